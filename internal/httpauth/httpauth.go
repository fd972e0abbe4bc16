// Package httpauth reads HTTP authentication challenges and writes their
// answers (RFC 9110 §11). The engine uses it for origins.
package httpauth

import (
	"encoding/base64"
	"strconv"
	"strings"

	"github.com/urlkit/urlkit/protocols"
)

// maxChallenges bounds what one response may offer.
const maxChallenges = 16

// Challenges are those of a 401's WWW-Authenticate fields that can be answered,
// in the order of their strength. Schemes that are not known are passed over, as
// is Basic without a realm.
func Challenges(req *protocols.Request, resp *protocols.Response) []*protocols.Challenge {
	port, _ := strconv.Atoi(req.URL.Port())
	if port == 0 {
		port = req.DefaultPort
	}
	var bearer, basic []*protocols.Challenge
	for _, offered := range parse(resp.Header["Www-Authenticate"]) {
		c := &protocols.Challenge{
			Space: protocols.ProtectionSpace{
				Host:     strings.ToLower(req.URL.Hostname()),
				Port:     port,
				Protocol: strings.ToLower(req.URL.Scheme),
				Realm:    offered.parameters["realm"],
			},
			Parameters: offered.parameters,
		}
		_, hasRealm := offered.parameters["realm"]
		switch {
		case offered.scheme == "bearer":
			c.Space.Method = protocols.MethodHTTPBearer
			bearer = append(bearer, c)
		case offered.scheme == "basic" && hasRealm:
			c.Space.Method = protocols.MethodHTTPBasic
			basic = append(basic, c)
		}
	}

	return append(bearer, basic...)
}

// Authorization is the field value that answers a challenge of the space; "" for
// a method that has none, and for a token that would not be one on the wire.
func Authorization(space protocols.ProtectionSpace, c *protocols.Credential) string {
	switch {
	case c == nil:
		return ""
	case space.Method == protocols.MethodHTTPBearer && visible(c.Token):
		return "Bearer " + c.Token
	case space.Method == protocols.MethodHTTPBasic:
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(c.User+":"+c.Password))
	default:
		return ""
	}
}

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
