package httpauth

import (
	"crypto/hmac"
	"crypto/md5"
	"encoding/binary"
	"fmt"
	"strings"
	"time"
	"unicode/utf16"

	"golang.org/x/crypto/md4" //nolint:staticcheck // NTLM hashes passwords with it
)

// The flags of MS-NLMP §2.2.2.5 that are offered.
const (
	flagUnicode         = 0x00000001
	flagRequestTarget   = 0x00000004
	flagNTLM            = 0x00000200
	flagAlwaysSign      = 0x00008000
	flagExtendedSession = 0x00080000
	flagTargetInfo      = 0x00800000
	flag128             = 0x20000000
	flag56              = 0x80000000

	offeredFlags = flagUnicode | flagRequestTarget | flagNTLM | flagAlwaysSign | flagExtendedSession | flagTargetInfo | flag128 | flag56
)

// The AV_PAIRs of MS-NLMP §2.2.2.1 that matter here.
const (
	avEnd         = 0
	avFlags       = 6
	avTimestamp   = 7
	avTarget      = 9
	avBindings    = 10
	avHasMIC      = 2 // of avFlags
	maxPairs      = 64
	micAt         = 72
	payloadAt     = micAt + 16
	filetimeEpoch = 116444736000000000 // 1970 in steps of 100 ns since 1601
)

const signature = "NTLMSSP\x00"

// negotiateMessage is MS-NLMP §2.2.1.1, without names: they are of no use.
func negotiateMessage() []byte {
	m := append(make([]byte, 0, 32), signature...)
	m = binary.LittleEndian.AppendUint32(m, 1)
	m = binary.LittleEndian.AppendUint32(m, offeredFlags)

	return append(m, make([]byte, 16)...)
}

// challengeMessage is what is used of MS-NLMP §2.2.1.2.
type challengeMessage struct {
	flags     uint32
	challenge [8]byte
	pairs     []avPair // without the end
	timestamp []byte   // nil: the server gave none
}

type avPair struct {
	id    uint16
	value []byte
}

// readChallenge reads a CHALLENGE_MESSAGE.
func readChallenge(m []byte) (*challengeMessage, error) {
	if len(m) < 32 || string(m[:8]) != signature || binary.LittleEndian.Uint32(m[8:]) != 2 {
		return nil, fmt.Errorf("%w: it is no challenge", errNTLM)
	}
	c := &challengeMessage{flags: binary.LittleEndian.Uint32(m[20:])}
	copy(c.challenge[:], m[24:])
	if c.flags&flagUnicode == 0 {
		return nil, fmt.Errorf("%w: the server has no Unicode", errNTLM)
	}
	if c.flags&flagTargetInfo == 0 || len(m) < 48 {
		return c, nil
	}
	length, offset := int(binary.LittleEndian.Uint16(m[40:])), uint64(binary.LittleEndian.Uint32(m[44:]))
	if length == 0 {
		return c, nil
	}
	if offset < 48 || offset+uint64(length) > uint64(len(m)) {
		return nil, fmt.Errorf("%w: its target information lies outside", errNTLM)
	}

	return c, c.readPairs(m[offset : offset+uint64(length)])
}

func (c *challengeMessage) readPairs(b []byte) error {
	for len(b) >= 4 && len(c.pairs) < maxPairs {
		p := avPair{id: binary.LittleEndian.Uint16(b)}
		length := int(binary.LittleEndian.Uint16(b[2:]))
		if b = b[4:]; p.id == avEnd {
			return nil
		}
		if length > len(b) {
			break
		}
		p.value, b = b[:length], b[length:]
		if p.id == avTimestamp && length == 8 {
			c.timestamp = p.value
		}
		c.pairs = append(c.pairs, p)
	}

	return fmt.Errorf("%w: its target information does not end", errNTLM)
}

// targetInfo is the server's, with what the client adds (MS-NLMP §3.1.5.1.2).
func (c *challengeMessage) targetInfo(target string, channel []byte) []byte {
	var info []byte
	add := func(id uint16, value []byte) {
		info = binary.LittleEndian.AppendUint16(info, id)
		info = binary.LittleEndian.AppendUint16(info, uint16(len(value)))
		info = append(info, value...)
	}
	flags := uint32(0)
	for _, p := range c.pairs {
		switch p.id {
		case avFlags:
			if len(p.value) == 4 {
				flags = binary.LittleEndian.Uint32(p.value)
			}
		case avTarget, avBindings:
		default:
			add(p.id, p.value)
		}
	}
	if c.timestamp != nil {
		flags |= avHasMIC
	}
	if flags != 0 {
		add(avFlags, binary.LittleEndian.AppendUint32(nil, flags))
	}
	if channel == nil {
		channel = make([]byte, md5.Size) // said to be none
	}
	add(avBindings, channel)
	add(avTarget, utf16le(target))
	add(avEnd, nil)

	return info
}

// answer makes the AUTHENTICATE_MESSAGE (MS-NLMP §2.2.1.3) that answers a
// CHALLENGE_MESSAGE.
func (n *ntlm) answer(message []byte, random [8]byte, now time.Time, channel []byte) ([]byte, error) {
	c, err := readChallenge(message)
	if err != nil {
		return nil, err
	}
	timestamp := c.timestamp
	if timestamp == nil {
		timestamp = binary.LittleEndian.AppendUint64(nil, uint64(now.UnixNano()/100+filetimeEpoch))
	}
	key := ntowfv2(n.user, n.password, n.domain)
	response, session := ntlmv2(key, c.challenge, random, timestamp, c.targetInfo(n.target, channel))

	m := append(make([]byte, 0, payloadAt+len(response)+256), signature...)
	m = binary.LittleEndian.AppendUint32(m, 3)
	var payload []byte
	field := func(value []byte) {
		m = binary.LittleEndian.AppendUint16(m, uint16(len(value)))
		m = binary.LittleEndian.AppendUint16(m, uint16(len(value)))
		m = binary.LittleEndian.AppendUint32(m, uint32(payloadAt+len(payload)))
		payload = append(payload, value...)
	}
	field(make([]byte, 24)) // of LM: none
	if len(response) > 0xffff {
		return nil, fmt.Errorf("%w: its target information is too long", errNTLM)
	}
	field(response)
	field(utf16le(n.domain))
	field(utf16le(n.user))
	field(nil) // the workstation's name is nobody's business
	field(nil) // no session key is exchanged: nothing is signed or sealed
	m = binary.LittleEndian.AppendUint32(m, c.flags&offeredFlags)
	m = append(m, make([]byte, payloadAt-len(m))...) // version and MIC
	m = append(m, payload...)
	if c.timestamp != nil {
		copy(m[micAt:], hmacMD5(session, negotiateMessage(), message, m))
	}

	return m, nil
}

// ntowfv2 is NTOWFv2 of MS-NLMP §3.3.2.
func ntowfv2(user, password, domain string) []byte {
	h := md4.New()
	_, _ = h.Write(utf16le(password))

	return hmacMD5(h.Sum(nil), utf16le(strings.ToUpper(user)+domain))
}

// ntlmv2 is ComputeResponse of MS-NLMP §3.3.2: the NTLMv2 response, and the
// session's base key.
func ntlmv2(key []byte, challenge, random [8]byte, timestamp, targetInfo []byte) (response, session []byte) {
	temp := append(make([]byte, 0, 32+len(targetInfo)), 1, 1, 0, 0, 0, 0, 0, 0)
	temp = append(temp, timestamp...)
	temp = append(temp, random[:]...)
	temp = append(temp, 0, 0, 0, 0)
	temp = append(temp, targetInfo...)
	temp = append(temp, 0, 0, 0, 0)
	proof := hmacMD5(key, challenge[:], temp)

	return append(proof, temp...), hmacMD5(key, proof)
}

func hmacMD5(key []byte, parts ...[]byte) []byte {
	h := hmac.New(md5.New, key)
	for _, p := range parts {
		_, _ = h.Write(p)
	}

	return h.Sum(nil)
}

func md5Sum(b []byte) []byte {
	sum := md5.Sum(b)

	return sum[:]
}

func utf16le(s string) []byte {
	units := utf16.Encode([]rune(s))
	b := make([]byte, 0, 2*len(units))
	for _, u := range units {
		b = binary.LittleEndian.AppendUint16(b, u)
	}

	return b
}
