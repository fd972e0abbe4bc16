package httpauth

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/urlkit/urlkit/protocols"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}

	return b
}

// MS-NLMP §4.2.4: user User, password Password, domain Domain, time 0.
func TestNTLMVectors(t *testing.T) {
	key := ntowfv2("User", "Password", "Domain")
	if got := hex.EncodeToString(key); got != "0c868a403bfd7a93a3001ef22ef02e3f" {
		t.Errorf("NTOWFv2 is %s", got)
	}
	challenge := [8]byte{0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef}
	random := [8]byte(bytes.Repeat([]byte{0xaa}, 8))
	info := unhex(t, "02000c0044006f006d00610069006e0001000c005300650072007600650072000000 0000")
	response, session := ntlmv2(key, challenge, random, make([]byte, 8), info)
	if got := hex.EncodeToString(response[:16]); got != "68cd0ab851e51c96aabc927bebef6a1c" {
		t.Errorf("NTProofStr is %s", got)
	}
	if got := hex.EncodeToString(session); got != "8de40ccadbc14a82f15cb0ad0de95ca3" {
		t.Errorf("the session's base key is %s", got)
	}
}

// challengeOf makes a CHALLENGE_MESSAGE.
func challengeOf(flags uint32, info []byte) []byte {
	m := append([]byte(signature), 2, 0, 0, 0)
	m = append(m, make([]byte, 8)...)
	m = binary.LittleEndian.AppendUint32(m, flags)
	m = append(m, 1, 2, 3, 4, 5, 6, 7, 8)
	m = append(m, make([]byte, 8)...)
	m = binary.LittleEndian.AppendUint16(m, uint16(len(info)))
	m = binary.LittleEndian.AppendUint16(m, uint16(len(info)))
	m = binary.LittleEndian.AppendUint32(m, 48)

	return append(m, info...)
}

// fieldOf reads one of the fields of an AUTHENTICATE_MESSAGE.
func fieldOf(m []byte, at int) []byte {
	length, offset := binary.LittleEndian.Uint16(m[at:]), binary.LittleEndian.Uint32(m[at+4:])

	return m[offset : offset+uint32(length)]
}

func TestNTLMAuthenticate(t *testing.T) {
	stamp := unhex(t, "0700 0800 0102030405060708")
	info := append(append(unhex(t, "02000c0044006f006d00610069006e00 0900 0200 4100"), stamp...), 0, 0, 0, 0)
	message := challengeOf(offeredFlags|0x40000000, info)
	n := &ntlm{user: "User", password: "Password", domain: "Domain", target: "HTTP/a"}
	m, err := n.answer(message, [8]byte{9}, time.Unix(0, 0), bytes.Repeat([]byte{7}, 16))
	if err != nil {
		t.Fatal(err)
	}
	if lm := fieldOf(m, 12); !bytes.Equal(lm, make([]byte, 24)) {
		t.Errorf("an LM response is sent: %x", lm)
	}
	if user, domain := fieldOf(m, 36), fieldOf(m, 28); !bytes.Equal(user, utf16le("User")) || !bytes.Equal(domain, utf16le("Domain")) {
		t.Errorf("user %q, domain %q", user, domain)
	}
	if flags := binary.LittleEndian.Uint32(m[60:]); flags != offeredFlags {
		t.Errorf("flags %x: what was not offered is agreed on", flags)
	}
	response := fieldOf(m, 20)
	if !bytes.Equal(response[24:32], stamp[4:]) {
		t.Errorf("the time is not the server's: %x", response[24:32])
	}
	parsed := &challengeMessage{}
	if err := parsed.readPairs(response[44 : len(response)-4]); err != nil {
		t.Fatal(err)
	}
	got := map[uint16]string{}
	for _, p := range parsed.pairs {
		got[p.id] += string(p.value)
	}
	if got[avTarget] != string(utf16le("HTTP/a")) || got[avBindings] != strings.Repeat("\x07", 16) || got[avFlags] != "\x02\x00\x00\x00" || got[2] == "" {
		t.Errorf("target information %v", got)
	}
	key := ntowfv2("User", "Password", "Domain")
	_, session := ntlmv2(key, [8]byte{1, 2, 3, 4, 5, 6, 7, 8}, [8]byte{9}, stamp[4:], response[44:len(response)-4])
	mic := bytes.Clone(m[micAt:payloadAt])
	copy(m[micAt:payloadAt], make([]byte, 16))
	if !bytes.Equal(mic, hmacMD5(session, negotiateMessage(), message, m)) {
		t.Error("the MIC is not that of the three messages")
	}
}

// Without a time of the server's the client's own is used, and no MIC is promised.
func TestNTLMWithoutTimestamp(t *testing.T) {
	n := &ntlm{user: "u", password: "p"}
	for _, message := range [][]byte{challengeOf(offeredFlags, nil), challengeOf(offeredFlags, nil)[:32], challengeOf(flagUnicode, []byte("ignored"))} {
		m, err := n.answer(message, [8]byte{}, time.Unix(0, 0), nil)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(m[micAt:payloadAt], make([]byte, 16)) || binary.LittleEndian.Uint64(fieldOf(m, 20)[24:]) != filetimeEpoch {
			t.Errorf("%x", m)
		}
	}
}

// hostile are messages that lie.
func hostile() map[string][]byte {
	good := challengeOf(offeredFlags, []byte{0, 0, 0, 0})
	at := func(offset int, b ...byte) []byte {
		m := bytes.Clone(good)
		copy(m[offset:], b)

		return m
	}

	return map[string][]byte{
		"empty": {}, "a signature": good[:8], "cut": good[:31], "another type": at(8, 3), "another signature": at(0, 'X'),
		"no Unicode":                 challengeOf(offeredFlags&^flagUnicode, nil),
		"an offset outside":          at(44, 0xff, 0xff, 0xff, 0xff),
		"an offset in the head":      at(44, 8, 0, 0, 0),
		"a length beyond the end":    at(40, 0xff, 0xff),
		"pairs without an end":       challengeOf(offeredFlags, []byte{1, 0, 0, 0}),
		"a pair that is too long":    challengeOf(offeredFlags, []byte{1, 0, 0xff, 0xff, 1, 2, 0, 0, 0, 0}),
		"thousands of pairs":         challengeOf(offeredFlags, append(bytes.Repeat([]byte{1, 0, 0, 0}, 10000), 0, 0, 0, 0)),
		"an answer that is too long": challengeOf(offeredFlags, append(append([]byte{1, 0, 0xf0, 0xff}, make([]byte, 0xfff0)...), 0, 0, 0, 0)),
	}
}

func TestNTLMHostileMessages(t *testing.T) {
	for name, message := range hostile() {
		x, err := beginNTLM(protocols.ProtectionSpace{Host: "a"}, &protocols.Credential{User: `D\u`, Password: "p"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := x.Field(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		c := &protocols.Challenge{Parameters: map[string]string{"": base64.StdEncoding.EncodeToString(message)}}
		if got := x.Continue(t.Context(), c); got != Failed {
			t.Errorf("%s: %v", name, got)
		}
		if field, _ := x.Field(t.Context(), nil); field != "" {
			t.Errorf("%s: goes on with %q", name, field)
		}
	}
}

func TestNTLMStages(t *testing.T) {
	x, err := beginNTLM(protocols.ProtectionSpace{Host: "a"}, &protocols.Credential{User: `D\u`, Password: "p"})
	if err != nil {
		t.Fatal(err)
	}
	bare := &protocols.Challenge{Parameters: map[string]string{}}
	token := &protocols.Challenge{Parameters: map[string]string{"": base64.StdEncoding.EncodeToString(challengeOf(offeredFlags, nil))}}
	if !x.Opening() || !x.Bound() {
		t.Error("the first message needs a body")
	}
	if field, _ := x.Field(t.Context(), nil); field != "NTLM TlRMTVNTUAABAAAABYKIoAAAAAAAAAAAAAAAAAAAAAA=" {
		t.Errorf("NEGOTIATE_MESSAGE is %s", field)
	}
	if x.Opening() || x.Continue(t.Context(), &protocols.Challenge{Parameters: map[string]string{"": "!"}}) != Failed || x.Continue(t.Context(), bare) != Failed {
		t.Error("what is no message is taken")
	}
	if x.Continue(t.Context(), token) != Again {
		t.Error("the challenge is not answered")
	}
	if field, _ := x.Field(t.Context(), nil); !strings.HasPrefix(field, "NTLM TlRMTVNTUAAD") {
		t.Errorf("AUTHENTICATE_MESSAGE is %s", field)
	}
	if x.Continue(t.Context(), bare) != Refused || x.Continue(t.Context(), token) != Failed {
		t.Error("the end")
	}
	for _, c := range []*protocols.Credential{{}, {User: "a\n"}, {User: strings.Repeat("u", maxParameter+1)}} {
		if _, err := beginNTLM(protocols.ProtectionSpace{}, c); err == nil {
			t.Errorf("%v is usable", c)
		}
	}
}

func TestChannelBindings(t *testing.T) {
	c := &protocols.Challenge{FailureResponse: &protocols.Response{Conn: &protocols.ConnInfo{TLS: &tls.ConnectionState{}}}}
	if bindings(tlsOf(c)) != nil || bindings(tlsOf(&protocols.Challenge{})) != nil {
		t.Error("bindings of no certificate")
	}
	for algorithm, size := range map[x509.SignatureAlgorithm]int{x509.SHA1WithRSA: 32, x509.SHA256WithRSA: 32, x509.ECDSAWithSHA384: 48, x509.SHA512WithRSA: 64} {
		if got := len(fingerprint(&x509.Certificate{SignatureAlgorithm: algorithm})); got != size {
			t.Errorf("%v: %d bytes", algorithm, got)
		}
	}
	c.FailureResponse.Conn.TLS.PeerCertificates = []*x509.Certificate{{Raw: []byte("certificate")}}
	sum := fingerprint(c.FailureResponse.Conn.TLS.PeerCertificates[0])
	want := md5Sum(append(append(make([]byte, 16), 53, 0, 0, 0), append([]byte("tls-server-end-point:"), sum...)...))
	if got := bindings(tlsOf(c)); !bytes.Equal(got, want) {
		t.Errorf("%x, want %x", got, want)
	}
}

func FuzzNTLM(f *testing.F) {
	for _, seed := range hostile() {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		n := &ntlm{user: "u", password: "p", domain: "d", target: "HTTP/a"}
		m, err := n.answer(message, [8]byte{}, time.Unix(0, 0), nil)
		if err != nil {
			return
		}
		if len(m) > payloadAt+len(message)+512 {
			t.Errorf("%d bytes answer %d", len(m), len(message))
		}
		for _, at := range []int{12, 20, 28, 36, 44, 52} {
			fieldOf(m, at)
		}
	})
}

// speaking is a security context that says what it is told to.
type speaking struct {
	heard []string
	say   []string
}

func (s *speaking) Next(_ context.Context, token []byte) ([]byte, error) {
	s.heard = append(s.heard, string(token))
	if len(s.say) == 0 {
		return nil, nil
	}
	next := s.say[0]
	s.say = s.say[1:]

	return []byte(next), nil
}

func (s *speaking) Negotiate(context.Context, protocols.ProtectionSpace, *protocols.Credential) (protocols.SecurityContext, error) {
	return s, nil
}

func TestNegotiate(t *testing.T) {
	s := &speaking{say: []string{"one", "two"}}
	c := &protocols.Challenge{Space: protocols.ProtectionSpace{Method: protocols.MethodNegotiate}, Parameters: map[string]string{}}
	if _, err := Begin(t.Context(), c, &protocols.Credential{}, nil, nil); err == nil {
		t.Error("without a Negotiator")
	}
	x, err := Begin(t.Context(), c, &protocols.Credential{}, nil, s)
	if err != nil {
		t.Fatal(err)
	}
	if field, _ := x.Field(t.Context(), nil); field != "Negotiate b25l" || x.Opening() || !x.Bound() {
		t.Errorf("%q", field)
	}
	if x.Continue(t.Context(), c) != Refused {
		t.Error("a challenge without a token")
	}
	c.Parameters[""] = "YQ"
	if x.Continue(t.Context(), c) != Again {
		t.Error("a token")
	}
	if field, _ := x.Field(t.Context(), nil); field != "Negotiate dHdv" {
		t.Errorf("%q", field)
	}
	x.Accepted(t.Context(), map[string][]string{"Www-Authenticate": {"Basic realm=x, Negotiate ZW5k"}})
	if got := strings.Join(s.heard, "|"); got != "|a|end" {
		t.Errorf("the context heard %q", got)
	}
	if x.Continue(t.Context(), c) != Failed {
		t.Error("a context that has nothing to say goes on")
	}
	if field, _ := x.Field(t.Context(), nil); field != "" {
		t.Errorf("afterwards %q", field)
	}
}
