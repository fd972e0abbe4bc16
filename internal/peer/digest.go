package peer

import (
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// Digest guards Handler by RFC 7616, and fails the test where a client counts wrongly.
type Digest struct {
	Handler        http.Handler
	User, Password string
	Realm          string
	Algorithm      string // "" names none: MD5
	QOP            string // "" offers none: RFC 2069
	Domain         string // "" names none
	Charset        string
	UserHash       bool
	Uses           int  // of a nonce, before it is stale; 0: any number
	NextNonce      bool // each answer names another
	Other          string

	T testing.TB

	mu       sync.Mutex
	nonces   map[string]map[string]bool // the counts that each was used with
	refused  int                        // requests without an answer, or with a wrong one
	stale    int
	accepted int
}

var digestHashes = map[string]func() hash.Hash{"MD5": md5.New, "SHA-256": sha256.New, "SHA-512-256": sha512.New512_256}

var digestParameter = regexp.MustCompile(`([a-z*]+)=(?:"((?:[^"\\]|\\.)*)"|([^", ]+))`)

// ServeHTTP lets a request in, or challenges it.
func (d *Digest) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client has gone
	}
	d.mu.Lock()
	ok, stale := d.check(r, string(body))
	if ok && d.NextNonce {
		w.Header().Set("Authentication-Info", `nextnonce="`+d.newNonce()+`"`)
	}
	if ok {
		d.accepted++
	} else {
		d.challenge(w, stale)
	}
	d.mu.Unlock()
	if ok {
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		d.Handler.ServeHTTP(w, r)
	}
}

func (d *Digest) challenge(w http.ResponseWriter, stale bool) {
	challenge := fmt.Sprintf(`Digest realm="%s", nonce="%s", opaque="o\"p"`, d.Realm, d.newNonce())
	for name, value := range map[string]string{"algorithm": d.Algorithm, "qop": d.QOP, "domain": d.Domain, "charset": d.Charset} {
		if value != "" {
			challenge += fmt.Sprintf(`, %s="%s"`, name, value)
		}
	}
	if d.UserHash {
		challenge += ", userhash=true"
	}
	if d.refused++; stale {
		d.refused--
		d.stale++
		challenge += ", stale=true"
	}
	w.Header().Add("WWW-Authenticate", challenge)
	if d.Other != "" {
		w.Header().Add("WWW-Authenticate", d.Other)
	}
	w.WriteHeader(http.StatusUnauthorized)
}

func (d *Digest) newNonce() string {
	nonce := rand.Text()
	if d.nonces == nil {
		d.nonces = make(map[string]map[string]bool)
	}
	d.nonces[nonce] = make(map[string]bool)

	return nonce
}

// check verifies the answer of a request (RFC 7616 §3.4).
func (d *Digest) check(r *http.Request, body string) (ok, stale bool) {
	field, found := strings.CutPrefix(r.Header.Get("Authorization"), "Digest ")
	if !found {
		return false, false
	}
	got := map[string]string{}
	for _, m := range digestParameter.FindAllStringSubmatch(field, -1) {
		got[m[1]] = strings.NewReplacer(`\"`, `"`, `\\`, `\`).Replace(m[2] + m[3])
	}
	name, session := strings.CutSuffix(d.Algorithm, "-sess")
	if name == "" {
		name = "MD5"
	}
	sum := func(s string) string {
		h := digestHashes[name]()
		_, _ = io.WriteString(h, s)

		return hex.EncodeToString(h.Sum(nil))
	}
	user := d.User
	if d.UserHash {
		user = sum(d.User + ":" + d.Realm)
	}
	secret := sum(d.User + ":" + d.Realm + ":" + d.Password)
	if session {
		secret = sum(secret + ":" + got["nonce"] + ":" + got["cnonce"])
	}
	a2 := r.Method + ":" + r.RequestURI
	if got["qop"] == "auth-int" {
		a2 += ":" + sum(body)
	}
	text := secret + ":" + got["nonce"] + ":" + sum(a2)
	if got["qop"] != "" {
		text = secret + ":" + got["nonce"] + ":" + got["nc"] + ":" + got["cnonce"] + ":" + got["qop"] + ":" + sum(a2)
	}
	if got["username"] != user || got["opaque"] != `o"p` || got["uri"] != r.RequestURI || got["algorithm"] != d.Algorithm || got["response"] != sum(text) {
		return false, false
	}

	return d.count(got["nonce"], got["nc"])
}

// count notes a use of a nonce.
func (d *Digest) count(nonce, nc string) (ok, stale bool) {
	uses, known := d.nonces[nonce]
	switch {
	case !known:
		return false, true
	case d.QOP != "" && uses[nc]:
		d.T.Errorf("the count %s is used twice", nc)
	}
	if d.QOP == "" {
		nc = fmt.Sprint(len(uses))
	}
	uses[nc] = true
	if d.Uses > 0 && len(uses) > d.Uses {
		return false, true
	}

	return true, false
}

// Counts are how many requests it refused, found stale and let in.
func (d *Digest) Counts() (refused, stale, accepted int) {
	d.mu.Lock()
	defer d.mu.Unlock()

	return d.refused, d.stale, d.accepted
}
