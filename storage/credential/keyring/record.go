package keyring

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/urlkit/urlkit/protocols"
)

// record is what is kept of one space, in JSON.
type record struct {
	Default *string           `json:"default,omitempty"` // the user; nil: none
	Users   map[string]secret `json:"users"`
}

type secret struct {
	Password string `json:"password,omitempty"`
	Token    string `json:"token,omitempty"`
}

var errCorrupt = errors.New("keyring: an entry is damaged")

// decode reads a record.
func decode(data []byte) (*record, error) {
	var r record
	if err := json.Unmarshal(data, &r); err != nil || len(r.Users) == 0 {
		return nil, errCorrupt // the reason would quote a secret
	}
	if r.Default != nil {
		if _, ok := r.Users[*r.Default]; !ok {
			r.Default = nil
		}
	}

	return &r, nil
}

func (r *record) credential(user string) *protocols.Credential {
	s := r.Users[user]

	return &protocols.Credential{User: user, Password: s.Password, Token: s.Token, Persistence: protocols.PersistencePermanent}
}

func (r *record) isDefault(user string) bool { return r.Default != nil && *r.Default == user }

func (r *record) put(c *protocols.Credential, first bool) {
	if r.Users == nil {
		r.Users = make(map[string]secret, 1)
	}
	r.Users[c.User] = secret{c.Password, c.Token}
	if first {
		user := c.User
		r.Default = &user
	}
}

func (r *record) drop(user string) {
	delete(r.Users, user)
	if r.isDefault(user) {
		r.Default = nil
	}
}

// key names a space in a keyring, for its user to read too. A realm of any length
// fits.
func key(space protocols.ProtectionSpace) string {
	where := fmt.Sprintf("%s://%s:%d", space.Protocol, space.Host, space.Port)
	if space.ProxyType != "" {
		where = fmt.Sprintf("%s proxy %s:%d", space.ProxyType, space.Host, space.Port)
	}
	name := fmt.Sprintf("%s %s %q", where, space.Method, space.Realm)
	if len(name) <= 200 {
		return name
	}
	sum := sha256.Sum256([]byte(name))

	return strings.ToValidUTF8(name[:100], "") + "... " + hex.EncodeToString(sum[:])
}

// canonical is the space with the names that know no case in lower case.
func canonical(space protocols.ProtectionSpace) protocols.ProtectionSpace {
	space.Host = strings.ToLower(space.Host)
	space.Protocol = strings.ToLower(space.Protocol)

	return space
}
