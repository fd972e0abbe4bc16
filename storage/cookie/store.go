// Package cookie keeps cookies by the rules of RFC 6265bis: in memory ([Store]), or
// in a file that several processes may share ([File]). It reads and writes cookie
// files of the Netscape format too, which curl and others use.
package cookie

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/urlkit/urlkit/internal/observers"
	"github.com/urlkit/urlkit/storage"
)

const (
	// maxPerDomain bounds the cookies of one registrable domain (RFC 6265bis §6.1
	// asks for at least 50 per domain).
	maxPerDomain = 180
	// maxCookies bounds the cookies of a store (RFC 6265bis §6.1 asks for at least
	// 3000).
	maxCookies = 3000
)

// Store keeps cookies in memory (Apple's HTTPCookieStorage). It implements
// storage.CookieStore and http.CookieJar. The zero value is an empty store. It
// is safe for concurrent use.
//
// It holds 3000 cookies, 180 for one registrable domain. Beyond that expired ones go
// first; then the one that was not used for longest, of a domain with too many one
// without Secure if there is one (RFC 6265bis §5.7).
//
// The order of creation and of use is counted, so that a clock that jumps changes
// neither. An expired cookie is only hidden until its place is needed.
type Store struct {
	now func() time.Time // nil: time.Now

	size atomic.Int64 // the number of entries, also readable without the lock

	mu        sync.Mutex
	jars      map[jarKey][]*entry // each in the order of sending
	made      uint64              // how many entries were ever made
	uses      uint64              // how often entries were sent or set
	changes   uint64              // how often something changed
	accepts   storage.CookieAcceptPolicy
	observers observers.List
	journal   *journal // of a File; nil: the store has none
}

// jarKey is what cookies are looked up by. All cookies that can match a host
// have its registrable domain.
type jarKey struct{ partition, site string }

// entry is one cookie.
type entry struct {
	cookie

	made    uint64    // order of creation, kept when the cookie is replaced
	used    uint64    // order of the last use
	created time.Time // kept when the cookie is replaced
	stored  time.Time // when it was set last
	changed uint64    // the change that it was set by; 0: it came from the file
	onDisk  bool      // it may be in the file
}

var (
	_ storage.CookieStore = (*Store)(nil)
	_ storage.Resetter    = (*Store)(nil)
	_ http.CookieJar      = (*Store)(nil)
)

// NewStore makes an empty store.
func NewStore() *Store { return &Store{} }

// Shared is the store of the whole process (Apple's HTTPCookieStorage.shared).
func Shared() *Store { return shared }

var shared = NewStore()

// None is the store that keeps nothing and sends nothing.
var None storage.CookieStore = none{}

type none struct{}

func (none) CookieHeader(*storage.CookieQuery) string    { return "" }
func (none) StoreCookies(*storage.CookieQuery, []string) {}
func (none) RemoveAll(context.Context) error             { return nil }

// clock is the wall clock's time: a monotonic one stands still while a computer
// sleeps, and cookies would live on.
func (s *Store) clock() time.Time {
	if s.now != nil {
		return s.now()
	}

	return time.Now().Round(0)
}

// CookieHeader implements storage.CookieStore.
func (s *Store) CookieHeader(q *storage.CookieQuery) string {
	if s.size.Load() == 0 || q == nil || q.URL == nil {
		return ""
	}
	r, ok := requestOf(q)
	if !ok {
		return ""
	}
	now := s.clock()
	s.mu.Lock()
	defer s.mu.Unlock()
	jar := s.jars[r.key]
	length := 0
	for _, e := range jar {
		if e.matches(&r, now) {
			length += len(e.name) + len("=") + len(e.value) + len("; ")
		}
	}
	if length == 0 {
		return ""
	}
	var b strings.Builder
	b.Grow(length)
	for _, e := range jar {
		if !e.matches(&r, now) {
			continue
		}
		s.use(e)
		if b.Len() > 0 {
			b.WriteString("; ")
		}
		b.WriteString(e.name)
		b.WriteByte('=')
		b.WriteString(e.value)
	}

	return b.String()
}

// use notes that an entry was sent or set.
func (s *Store) use(e *entry) {
	s.uses++
	e.used = s.uses
}

// StoreCookies implements storage.CookieStore.
func (s *Store) StoreCookies(q *storage.CookieQuery, setCookie []string) {
	if len(setCookie) == 0 || q == nil || q.URL == nil {
		return
	}
	r, ok := requestOf(q)
	if !ok || !accepts(q, r.host) {
		return
	}
	now := s.clock()
	for _, line := range setCookie {
		if c, ok := parse(line, now); ok {
			_ = s.add(&r, c, now) // what is not allowed is left out
		}
	}
}
