package httpauth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/urlkit/urlkit/protocols"
)

// ntlm authenticates one connection by NTLMv2 (MS-NLMP; MS-NTHT carries it over
// HTTP). LM and NTLMv1 are never sent.
type ntlm struct {
	domain, user, password string
	target                 string // the service's principal name
	stage                  stage
	authenticate           []byte // the last message, once it can be made
}

// stage is how far an NTLM exchange is.
type stage uint8

const (
	toNegotiate stage = iota
	negotiating       // NEGOTIATE was sent
	toAuthenticate
	authenticating // AUTHENTICATE was sent
)

func beginNTLM(space protocols.ProtectionSpace, c *protocols.Credential) (Exchange, error) {
	if err := named(c); err != nil {
		return nil, err
	}
	n := &ntlm{user: c.User, password: c.Password, target: "HTTP/" + space.Host}
	if domain, user, found := strings.Cut(c.User, `\`); found {
		n.domain, n.user = domain, user
	}
	if len(n.user)+len(n.domain)+len(n.password) > maxParameter {
		return nil, errUnusable
	}

	return n, nil
}

// Field gives the next message.
func (n *ntlm) Field(context.Context, *Message) (string, error) {
	switch n.stage {
	case toNegotiate:
		n.stage = negotiating

		return "NTLM " + base64.StdEncoding.EncodeToString(negotiateMessage()), nil
	case toAuthenticate:
		n.stage = authenticating

		return "NTLM " + base64.StdEncoding.EncodeToString(n.authenticate), nil
	default:
		return "", nil
	}
}

// Continue takes the server's CHALLENGE_MESSAGE. A challenge without one, after the
// last message, refuses the credential.
func (n *ntlm) Continue(_ context.Context, c *protocols.Challenge) Verdict {
	token := c.Parameters[""]
	switch {
	case n.stage == authenticating && token == "":
		return Refused
	case n.stage != negotiating || token == "":
		return Failed
	}
	message, err := decode(token)
	if err != nil {
		return Failed
	}
	var random [8]byte
	_, _ = rand.Read(random[:])
	n.authenticate, err = n.answer(message, random, time.Now(), bindings(tlsOf(c)))
	if err != nil {
		return Failed
	}
	n.stage = toAuthenticate

	return Again
}

// Accepted: before the last message was sent nothing was verified.
func (n *ntlm) Accepted(context.Context, http.Header) bool { return n.stage == authenticating }

// Bound: the server lets the connection in.
func (n *ntlm) Bound() bool { return true }

// Opening: the first message never is enough.
func (n *ntlm) Opening() bool { return n.stage == toNegotiate }

// bindings is the MD5 of the channel bindings (RFC 5929 tls-server-end-point, in
// the form of RFC 2744 §3.11): they keep another from passing the answer on to this
// server. nil in clear text.
func bindings(state *tls.ConnectionState) []byte {
	if state == nil || len(state.PeerCertificates) == 0 {
		return nil
	}
	data := append([]byte("tls-server-end-point:"), fingerprint(state.PeerCertificates[0])...)
	channel := make([]byte, 16, 20+len(data)) // no addresses
	channel = binary.LittleEndian.AppendUint32(channel, uint32(len(data)))

	return md5Sum(append(channel, data...))
}

// fingerprint is the certificate's hash, by the hash of its signature, or SHA-256
// where that is weaker (RFC 5929 §4.1).
func fingerprint(c *x509.Certificate) []byte {
	switch c.SignatureAlgorithm {
	case x509.SHA384WithRSA, x509.ECDSAWithSHA384, x509.SHA384WithRSAPSS:
		sum := sha512.Sum384(c.Raw)

		return sum[:]
	case x509.SHA512WithRSA, x509.ECDSAWithSHA512, x509.SHA512WithRSAPSS:
		sum := sha512.Sum512(c.Raw)

		return sum[:]
	default:
		sum := sha256.Sum256(c.Raw)

		return sum[:]
	}
}

var errNTLM = errors.New("httpauth: an NTLM message that cannot be answered")
