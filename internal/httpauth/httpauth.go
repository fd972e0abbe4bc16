// Package httpauth reads HTTP authentication challenges and makes their answers
// (RFC 9110 §11): Basic, Bearer, Digest, NTLM and Negotiate. It sends nothing:
// the engine uses it for origins, and for proxies that are spoken to in
// absolute-form.
package httpauth

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/urlkit/urlkit/protocols"
)

// What one response may offer: that many challenges, the longest parameter of
// one that is answered (it is sent back with each request).
const (
	maxChallenges = 16
	maxParameter  = 4 << 10
)

var errUnusable = errors.New("httpauth: the method has no use for the credential")

// Place is the protection space of a request's origin, without realm and method.
func Place(req *protocols.Request) protocols.ProtectionSpace {
	port, _ := strconv.Atoi(req.URL.Port())
	if port == 0 {
		port = req.DefaultPort
	}

	return protocols.ProtectionSpace{
		Host: strings.ToLower(req.URL.Hostname()), Port: port, Protocol: strings.ToLower(req.URL.Scheme),
	}
}

// Challenges are those of WWW-Authenticate or Proxy-Authenticate fields that can
// be answered, the strongest first. Schemes that are not known are passed over, as
// are challenges that lack what their scheme needs. negotiates: there is a
// Negotiator.
func Challenges(place protocols.ProtectionSpace, fields []string, negotiates bool) []*protocols.Challenge {
	type ranked struct {
		*protocols.Challenge

		strength int
	}
	var list []ranked
	for _, offered := range parse(fields) {
		method, strength := offered.rank(place.ProxyType != "")
		if strength == 0 || method == protocols.MethodNegotiate && !negotiates {
			continue
		}
		c := &protocols.Challenge{Space: place, Parameters: offered.parameters}
		c.Space.Method, c.Space.Realm = method, offered.parameters["realm"]
		list = append(list, ranked{c, strength})
	}
	slices.SortStableFunc(list, func(a, b ranked) int { return b.strength - a.strength })
	challenges := make([]*protocols.Challenge, len(list))
	for i, r := range list {
		challenges[i] = r.Challenge
	}

	return challenges
}

// rank tells the method of a challenge, and how strong it is; 0: it cannot be
// answered. To a proxy Digest is stronger than NTLM, whose connection others may
// share behind it.
func (c *challenge) rank(proxy bool) (protocols.AuthenticationMethod, int) {
	_, hasRealm := c.parameters["realm"]
	switch {
	case c.scheme == "negotiate":
		return protocols.MethodNegotiate, 100
	case c.scheme == "ntlm" && proxy:
		return protocols.MethodNTLM, 30
	case c.scheme == "ntlm":
		return protocols.MethodNTLM, 90
	case c.scheme == "digest" && hasRealm:
		if d, err := newDigest(c.parameters); err == nil {
			return protocols.MethodHTTPDigest, 50 + d.algorithm.strength
		}
	case c.scheme == "bearer":
		return protocols.MethodHTTPBearer, 20
	case c.scheme == "basic" && hasRealm:
		return protocols.MethodHTTPBasic, 10
	}

	return 0, 0
}

// Exchange answers one challenge with one credential, for as many requests as the
// method allows. Those of Basic, Bearer and Digest serve any number of requests at
// once; those of NTLM and Negotiate belong to one connection, and to one request
// at a time.
type Exchange interface {
	// Field is the value of Authorization or Proxy-Authorization for a request; "":
	// none is needed any more.
	Field(ctx context.Context, m *Message) (string, error)
	// Continue takes a challenge of the response that refused what Field gave.
	Continue(ctx context.Context, c *protocols.Challenge) Verdict
	// Accepted takes the header of a response that let the request in, and tells
	// whether that proves the credential: not where the exchange was cut short.
	Accepted(ctx context.Context, h http.Header) bool
	// Bound tells whether the exchange belongs to one connection.
	Bound() bool
	// Opening tells whether the request that Field is for next can only be refused:
	// its body may be left out.
	Opening() bool
}

// Verdict is what a challenge means for an exchange that has answered one.
type Verdict uint8

const (
	// Refused: the credential is not good.
	Refused Verdict = iota
	// Again: the exchange has its next answer.
	Again
	// Failed: the exchange cannot go on, which says nothing about the credential.
	Failed
)

// Message is what an answer may depend on.
type Message struct {
	// Method and URI are those of the request line (RFC 9112 §3).
	Method, URI string
	// Body is the request's body; nil: none. Digest reads it where the server wants
	// its integrity protected (auth-int).
	Body *protocols.Body
}

// Begin answers a challenge. An error means that the credential is of no use for
// the method, or that body, the request's, cannot be read before it is sent. The
// exchange is nil for methods that have no header field.
func Begin(ctx context.Context, c *protocols.Challenge, credential *protocols.Credential, body *protocols.Body, n protocols.Negotiator) (Exchange, error) {
	switch c.Space.Method {
	case protocols.MethodHTTPBasic, protocols.MethodHTTPBearer:
		return newStatic(c.Space.Method, credential)
	case protocols.MethodHTTPDigest:
		return beginDigest(c, credential, body)
	case protocols.MethodNTLM:
		return beginNTLM(c.Space, credential)
	case protocols.MethodNegotiate:
		return beginNegotiate(ctx, c.Space, credential, n)
	default:
		return nil, nil
	}
}

// named checks a user and a password for a method that sends the former as it is.
func named(c *protocols.Credential) error {
	if c.User == "" && c.Password == "" {
		return errUnusable
	}
	for i := range len(c.User) {
		if b := c.User[i]; b < ' ' || b == 0x7f {
			return fmt.Errorf("%w: the user's name holds a control character", errUnusable)
		}
	}

	return nil
}

// tlsOf is the TLS state of the connection that a challenge came over; nil: none.
func tlsOf(c *protocols.Challenge) *tls.ConnectionState {
	if r := c.FailureResponse; r != nil && r.Conn != nil {
		return r.Conn.TLS
	}

	return nil
}
