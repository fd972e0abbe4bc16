package httpauth

import (
	"context"
	"encoding/base64"
	"net/http"
	"strings"

	"github.com/urlkit/urlkit/protocols"
)

// static is Basic or Bearer: the same field for each request.
type static struct{ field string }

// newStatic makes the field of Basic (RFC 7617, in UTF-8 whatever the charset
// parameter says: it can say nothing else) or Bearer (RFC 6750).
func newStatic(method protocols.AuthenticationMethod, c *protocols.Credential) (Exchange, error) {
	switch {
	case method == protocols.MethodHTTPBearer && visible(c.Token):
		return static{"Bearer " + c.Token}, nil
	case method == protocols.MethodHTTPBasic && (c.User != "" || c.Password != "" || c.Token == "") && !strings.Contains(c.User, ":"):
		return static{"Basic " + base64.StdEncoding.EncodeToString([]byte(c.User+":"+c.Password))}, nil
	default:
		return nil, errUnusable
	}
}

func (s static) Field(context.Context, *Message) (string, error) { return s.field, nil }

func (static) Continue(context.Context, *protocols.Challenge) Verdict { return Refused }

func (static) Accepted(context.Context, http.Header) bool { return true }

func (static) Bound() bool { return false }

func (static) Opening() bool { return false }

// visible tells whether a token has visible ASCII characters only (RFC 6750 §2.1
// allows fewer): one with a line break in it would write fields of its own.
func visible(token string) bool {
	for i := range len(token) {
		if token[i] <= ' ' || token[i] >= 0x7f {
			return false
		}
	}

	return token != ""
}
