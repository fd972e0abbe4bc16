package httpauth

import (
	"context"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/urlkit/urlkit/protocols"
)

var (
	errDigest = errors.New("httpauth: a Digest challenge that cannot be answered")
	errOnce   = errors.New("httpauth: the server wants a hash of a body that can be read only once")
)

// algorithm is a hash of RFC 7616 §3.3.
type algorithm struct {
	name     string
	strength int
	hash     func() hash.Hash
}

var algorithms = []algorithm{
	{"SHA-512-256", 3, sha512.New512_256},
	{"SHA-256", 2, sha256.New},
	{"MD5", 1, md5.New},
}

// The qualities of protection; without one RFC 2069 holds.
const (
	qopNone = ""
	qopAuth = "auth"
	qopInt  = "auth-int"
)

// digest answers Digest challenges of one protection space (RFC 7616). Its nonce
// and the count of its uses are shared by all requests of the space.
type digest struct {
	user, password string
	algorithm      algorithm
	session        bool // -sess
	named          bool // the challenge named its algorithm
	qop            string
	userhash, utf8 bool
	realm          string

	mu     sync.Mutex
	nonce  string
	opaque *string // nil: none was given
	cnonce string
	secret string // H(A1), in hex
	count  uint32 // requests that used the nonce
}

// newDigest reads a challenge.
func newDigest(parameters map[string]string) (*digest, error) {
	for _, name := range []string{"realm", "nonce", "opaque"} {
		if len(parameters[name]) > maxParameter {
			return nil, fmt.Errorf("%w: its %s has %d bytes", errDigest, name, len(parameters[name]))
		}
	}
	d := &digest{realm: parameters["realm"], nonce: parameters["nonce"]}
	if d.nonce == "" {
		return nil, fmt.Errorf("%w: it has no nonce", errDigest)
	}
	if opaque, given := parameters["opaque"]; given {
		d.opaque = &opaque
	}
	d.userhash = strings.EqualFold(parameters["userhash"], "true")
	d.utf8 = strings.EqualFold(parameters["charset"], "utf-8")
	if err := d.setAlgorithm(parameters); err != nil {
		return nil, err
	}

	return d, d.setQop(parameters)
}

func (d *digest) setAlgorithm(parameters map[string]string) error {
	name, given := parameters["algorithm"]
	if d.named = given; !given {
		name = "MD5"
	}
	if n := len(name) - len("-sess"); n > 0 && strings.EqualFold(name[n:], "-sess") {
		name, d.session = name[:n], true
	}
	for _, a := range algorithms {
		if strings.EqualFold(a.name, name) {
			d.algorithm = a

			return nil
		}
	}

	return fmt.Errorf("%w: its algorithm is not known", errDigest)
}

func (d *digest) setQop(parameters map[string]string) error {
	offered, given := parameters["qop"]
	if !given {
		return nil
	}
	for qop := range strings.SplitSeq(offered, ",") {
		switch qop = strings.ToLower(strings.TrimSpace(qop)); {
		case qop == qopAuth:
			d.qop = qopAuth // integrity costs reading the body twice

			return nil
		case qop == qopInt:
			d.qop = qopInt
		}
	}
	if d.qop == qopNone {
		return fmt.Errorf("%w: no quality of protection is known", errDigest)
	}

	return nil
}

func beginDigest(c *protocols.Challenge, credential *protocols.Credential, body *protocols.Body) (Exchange, error) {
	d, err := newDigest(c.Parameters)
	if err != nil {
		return nil, err
	}
	if err := named(credential); err != nil {
		return nil, err
	}
	if d.qop == qopInt && !body.Replayable() {
		return nil, errOnce
	}
	d.user, d.password = credential.User, credential.Password
	d.start(rand.Text())

	return d, nil
}

// start begins to use the nonce of a challenge, and with -sess a session.
func (d *digest) start(cnonce string) {
	d.cnonce, d.count = cnonce, 0
	d.secret = d.sum(d.user + ":" + d.realm + ":" + d.password)
	if d.session {
		d.secret = d.sum(d.secret + ":" + d.nonce + ":" + d.cnonce)
	}
}

func (d *digest) sum(text string) string {
	h := d.algorithm.hash()
	_, _ = io.WriteString(h, text)

	return hex.EncodeToString(h.Sum(nil))
}

// Field makes the answer for one request.
func (d *digest) Field(ctx context.Context, m *Message) (string, error) {
	a2 := m.Method + ":" + m.URI
	if d.qop == qopInt {
		entity, err := d.entity(ctx, m.Body)
		if err != nil {
			return "", err
		}
		a2 += ":" + entity
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.count++
	count := fmt.Sprintf("%08x", d.count)
	text := d.secret + ":" + d.nonce
	if d.qop != qopNone {
		text += ":" + count + ":" + d.cnonce + ":" + d.qop
	}
	var b strings.Builder
	b.WriteString("Digest " + d.username())
	b.WriteString(`, realm=` + quoted(d.realm) + `, uri=` + quoted(m.URI))
	if d.named {
		b.WriteString(`, algorithm=` + d.algorithm.name)
		if d.session {
			b.WriteString("-sess")
		}
	}
	b.WriteString(`, nonce=` + quoted(d.nonce))
	if d.qop != qopNone {
		b.WriteString(`, nc=` + count + `, qop=` + d.qop)
	}
	if d.qop != qopNone || d.session { // the session's key depends on it
		b.WriteString(`, cnonce=` + quoted(d.cnonce))
	}
	b.WriteString(`, response="` + d.sum(text+":"+d.sum(a2)) + `"`)
	if d.opaque != nil {
		b.WriteString(`, opaque=` + quoted(*d.opaque))
	}

	return b.String(), nil
}

// username is the user's name as the server wants it: hashed, in the form for
// other characters than ASCII (RFC 5987), or as it is.
func (d *digest) username() string {
	switch {
	case d.userhash:
		return `username="` + d.sum(d.user+":"+d.realm) + `", userhash=true`
	case d.utf8 && !isASCII(d.user):
		return `username*=UTF-8''` + encoded(d.user)
	default:
		return `username=` + quoted(d.user)
	}
}

// entity is the hash of a body, which is read as long as ctx lasts.
func (d *digest) entity(ctx context.Context, body *protocols.Body) (string, error) {
	if !body.Replayable() {
		return "", errOnce
	}
	h := d.algorithm.hash()
	if body != nil {
		rc, err := body.OpenAt(0)
		if err != nil {
			return "", err
		}
		_, err = io.Copy(h, lasting{rc, ctx})
		if cerr := rc.Close(); err == nil {
			err = cerr
		}
		if err != nil {
			return "", err
		}
	}

	return hex.EncodeToString(h.Sum(nil)), nil
}

// lasting is a reader that fails once its context has ended.
type lasting struct {
	io.Reader

	ctx context.Context
}

func (l lasting) Read(p []byte) (int, error) {
	if l.ctx.Err() != nil {
		return 0, context.Cause(l.ctx)
	}

	return l.Reader.Read(p)
}

// Continue goes on with a new nonce where only the old one was not good any more.
func (d *digest) Continue(_ context.Context, c *protocols.Challenge) Verdict {
	next, err := newDigest(c.Parameters)
	if err != nil || !strings.EqualFold(c.Parameters["stale"], "true") || next.realm != d.realm ||
		next.algorithm.name != d.algorithm.name || next.session != d.session || next.qop != d.qop {
		return Refused
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if next.nonce != d.nonce { // else another request has it already
		d.nonce, d.opaque = next.nonce, next.opaque
		d.start(rand.Text())
	}

	return Again
}

// Accepted takes the next nonce, if the server names one (RFC 7616 §3.5).
func (d *digest) Accepted(_ context.Context, h http.Header) bool {
	next := ""
	for _, name := range []string{"Authentication-Info", "Proxy-Authentication-Info"} {
		for _, value := range h[name] {
			parameters := map[string]string{}
			(&scanner{rest: value}).parameters(parameters)
			if n := parameters["nextnonce"]; n != "" && len(n) <= maxParameter {
				next = n
			}
		}
	}
	if next == "" {
		return true
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if next != d.nonce {
		d.nonce, d.count = next, 0
	}

	return true
}

// Bound: any connection will do.
func (d *digest) Bound() bool { return false }

// Opening: each request may be let in.
func (d *digest) Opening() bool { return false }

// quoted is a quoted-string (RFC 9110 §5.6.4).
func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}

	return true
}

// encoded is the value-chars of RFC 5987.
func encoded(s string) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		letter := 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9'
		if letter || strings.IndexByte("!#$&+-.^_`|~", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}

	return b.String()
}
