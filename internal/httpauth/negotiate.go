package httpauth

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"

	"github.com/urlkit/urlkit/protocols"
)

// maxToken bounds a peer's token, in base64.
const maxToken = 96 << 10

var errNoNegotiator = errors.New("httpauth: there is no Negotiator")

// negotiate carries the tokens of a security context (RFC 4559).
type negotiate struct {
	security protocols.SecurityContext
	next     []byte // to be sent; nil: nothing is
	sent     bool
}

func beginNegotiate(ctx context.Context, space protocols.ProtectionSpace, c *protocols.Credential, n protocols.Negotiator) (Exchange, error) {
	if n == nil {
		return nil, errNoNegotiator
	}
	if c != nil && c.User == "" {
		c = nil // the Negotiator's own
	}
	security, err := n.Negotiate(ctx, space, c)
	if err != nil {
		return nil, err
	}
	token, err := security.Next(ctx, nil)
	if err != nil {
		return nil, err
	}

	return &negotiate{security: security, next: token}, nil
}

// Field sends a token once: it is good for one request.
func (n *negotiate) Field(context.Context, *Message) (string, error) {
	token := n.next
	if n.next, n.sent = nil, token != nil; token == nil {
		return "", nil
	}

	return "Negotiate " + base64.StdEncoding.EncodeToString(token), nil
}

// Continue takes the peer's token. Without one the context was refused.
func (n *negotiate) Continue(ctx context.Context, c *protocols.Challenge) Verdict {
	token := c.Parameters[""]
	if token == "" {
		return Refused
	}
	peer, err := decode(token)
	if err != nil {
		return Failed
	}
	if n.next, err = n.security.Next(ctx, peer); err != nil || n.next == nil {
		return Failed
	}

	return Again
}

// Accepted lets the security context see the server's last token. What it thinks
// of that changes nothing: the response is there.
func (n *negotiate) Accepted(ctx context.Context, h http.Header) bool {
	if !n.sent {
		return false
	}
	n.sent = false
	for _, name := range []string{"Www-Authenticate", "Proxy-Authenticate"} {
		for _, offered := range parse(h[name]) {
			if offered.scheme != "negotiate" {
				continue
			}
			if peer, err := decode(offered.parameters[""]); err == nil && len(peer) > 0 {
				_, _ = n.security.Next(ctx, peer)
			}
		}
	}

	return true
}

// Bound: the server lets the connection in.
func (n *negotiate) Bound() bool { return true }

// Opening: the first token may be enough.
func (n *negotiate) Opening() bool { return false }

// decode reads a token68, with or without its padding.
func decode(token string) ([]byte, error) {
	if len(token) > maxToken {
		return nil, base64.CorruptInputError(maxToken)
	}

	return base64.RawStdEncoding.DecodeString(strings.TrimRight(token, "="))
}
