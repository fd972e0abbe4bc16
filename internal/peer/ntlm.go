package peer

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"unicode/utf16"
)

// NTLMPassword is the password of every user of an [NTLM] server; its hash is
// that of MS-NLMP §4.2.2.1.2.
const (
	NTLMPassword = "Password"
	ntlmHash     = "a4f49c406510bdcab6824ee7c30fd852"
)

// NTLM is a server that lets connections in by NTLMv2 and nothing else, and fails the
// test where a client does what it must not: answer on another connection than the one
// it was challenged on, send LM or NTLMv1, leave out the integrity code, or bind its
// answer to another TLS channel.
type NTLM struct {
	*httptest.Server

	// Offers are the challenges of a 401; nil: NTLM.
	Offers []string
	// Domain is that of the users.
	Domain string

	t       testing.TB
	handler http.Handler

	mu     sync.Mutex
	logins int
}

// ntlmConn is what the server knows of a connection.
type ntlmConn struct {
	mu                   sync.Mutex
	negotiate, challenge []byte
	user                 string // "": it was not let in
}

type ntlmKey struct{}

// StartNTLM starts a server, over TLS with this certificate, or in clear text (nil), until
// the test ends. handler finds the user in the request's field X-User.
func StartNTLM(t testing.TB, certificate *tls.Certificate, handler http.Handler) *NTLM {
	t.Helper()
	n := &NTLM{t: t, handler: handler, Domain: "Domain"}
	n.Server = httptest.NewUnstartedServer(n)
	n.Config.ConnContext = func(ctx context.Context, _ net.Conn) context.Context {
		return context.WithValue(ctx, ntlmKey{}, &ntlmConn{})
	}
	if certificate == nil {
		n.Start()
	} else {
		n.EnableHTTP2 = true
		n.TLS = &tls.Config{Certificates: []tls.Certificate{*certificate}}
		n.StartTLS()
	}
	t.Cleanup(n.Close)

	return n
}

// Logins is how many connections were let in.
func (n *NTLM) Logins() int {
	n.mu.Lock()
	defer n.mu.Unlock()

	return n.logins
}

// ServeHTTP lets a request in, or challenges it.
func (n *NTLM) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c, ok := r.Context().Value(ntlmKey{}).(*ntlmConn)
	if !ok {
		n.t.Error("the server has no connection of its own")

		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	message, err := base64.StdEncoding.DecodeString(token)
	switch {
	case c.user != "" && token == "":
	case r.ProtoMajor != 1 || scheme != "NTLM":
		n.refuse(w)

		return
	case err != nil || len(message) < 12 || string(message[:8]) != "NTLMSSP\x00":
		n.t.Errorf("the message %q is none of NTLM's", token)
		n.refuse(w)

		return
	case message[8] == 1:
		if r.ContentLength != 0 {
			n.t.Errorf("%d bytes of a body come with the first message", r.ContentLength)
		}
		c.negotiate, c.challenge, c.user = message, n.challenge(), ""
		w.Header().Set("WWW-Authenticate", "NTLM "+base64.StdEncoding.EncodeToString(c.challenge))
		w.WriteHeader(http.StatusUnauthorized)

		return
	default:
		user, err := n.check(c, message, r.TLS != nil)
		if err != nil {
			n.t.Error(err)
		}
		c.challenge = nil
		if c.user = user; user == "" {
			n.refuse(w)

			return
		}
		n.mu.Lock()
		n.logins++
		n.mu.Unlock()
	}
	r.Header.Set("X-User", c.user)
	n.handler.ServeHTTP(w, r)
}

func (n *NTLM) refuse(w http.ResponseWriter) {
	offers := n.Offers
	if offers == nil {
		offers = []string{"NTLM"}
	}
	w.Header()["Www-Authenticate"] = offers
	w.WriteHeader(http.StatusUnauthorized)
}

// challenge makes a CHALLENGE_MESSAGE (MS-NLMP §2.2.1.2).
func (n *NTLM) challenge() []byte {
	var info []byte
	for _, pair := range []struct {
		id    uint16
		value []byte
	}{{2, inUTF16(n.Domain)}, {1, inUTF16("Server")}, {7, []byte{0, 1, 2, 3, 4, 5, 6, 7}}, {0, nil}} {
		info = binary.LittleEndian.AppendUint16(info, pair.id)
		info = binary.LittleEndian.AppendUint16(info, uint16(len(pair.value)))
		info = append(info, pair.value...)
	}
	const flags = 0x00000001 | 0x00000200 | 0x00008000 | 0x00080000 | 0x00800000 | 0x20000000 | 0x80000000
	m := append([]byte("NTLMSSP\x00"), 2, 0, 0, 0, 0, 0, 0, 0, 48, 0, 0, 0)
	m = binary.LittleEndian.AppendUint32(m, flags)
	random := make([]byte, 8)
	_, _ = rand.Read(random)
	m = append(append(m, random...), make([]byte, 8)...)
	m = binary.LittleEndian.AppendUint16(m, uint16(len(info)))
	m = binary.LittleEndian.AppendUint16(m, uint16(len(info)))
	m = binary.LittleEndian.AppendUint32(m, 48)

	return append(m, info...)
}

// check verifies an AUTHENTICATE_MESSAGE (MS-NLMP §3.2.5.2). A wrong password is no
// error, but no user either.
func (n *NTLM) check(c *ntlmConn, m []byte, secure bool) (user string, err error) {
	if c.challenge == nil {
		return "", fmt.Errorf("an answer comes over a connection that was not challenged")
	}
	if len(m) < 88 || m[8] != 3 {
		return "", fmt.Errorf("the last message has %d bytes", len(m))
	}
	field := func(at int) []byte {
		length, offset := int(binary.LittleEndian.Uint16(m[at:])), int(binary.LittleEndian.Uint32(m[at+4:]))
		if offset+length > len(m) {
			return nil
		}

		return m[offset : offset+length]
	}
	if lm := field(12); !bytes.Equal(lm, make([]byte, 24)) {
		return "", fmt.Errorf("an LM response is sent")
	}
	response, domain, name := field(20), field(28), fromUTF16(field(36))
	if len(response) < 48 {
		return "", fmt.Errorf("the response has %d bytes: it is none of NTLMv2", len(response))
	}
	hash, _ := hex.DecodeString(ntlmHash)
	key := hmacMD5(hash, inUTF16(strings.ToUpper(name)), domain)
	proof := hmacMD5(key, c.challenge[24:32], response[16:])
	if !hmac.Equal(proof, response[:16]) || fromUTF16(domain) != n.Domain {
		return "", nil
	}
	mic := bytes.Clone(m[72:88])
	copy(m[72:88], make([]byte, 16))
	if !hmac.Equal(mic, hmacMD5(hmacMD5(key, proof), c.negotiate, c.challenge, m)) {
		return "", fmt.Errorf("the integrity code is wrong")
	}
	bound := make([]byte, 16)
	if secure {
		sum := sha256.Sum256(n.TLS.Certificates[0].Certificate[0])
		data := append([]byte("tls-server-end-point:"), sum[:]...)
		bindings := md5.Sum(append(binary.LittleEndian.AppendUint32(make([]byte, 16), uint32(len(data))), data...))
		bound = bindings[:]
	}
	if !bytes.Contains(response, append([]byte{10, 0, 16, 0}, bound...)) {
		return "", fmt.Errorf("the answer is not bound to its channel")
	}

	return name, nil
}

func hmacMD5(key []byte, parts ...[]byte) []byte {
	h := hmac.New(md5.New, key)
	for _, p := range parts {
		_, _ = h.Write(p)
	}

	return h.Sum(nil)
}

func inUTF16(s string) (b []byte) {
	for _, unit := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, unit)
	}

	return b
}

func fromUTF16(b []byte) string {
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = binary.LittleEndian.Uint16(b[2*i:])
	}

	return string(utf16.Decode(units))
}
