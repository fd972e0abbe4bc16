// Package cookie keeps cookies in memory by the rules of RFC 6265, with those of
// RFC 6265bis on prefixes, SameSite, sizes and secure origins.
package cookie

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/urlkit/urlkit/storage"
)

const (
	// maxPerDomain bounds the cookies of one registrable domain (RFC 6265 §6.1
	// asks for at least 50 per domain).
	maxPerDomain = 180
	// maxCookies bounds the cookies of a store (RFC 6265 §6.1 asks for at least
	// 3000).
	maxCookies = 3000
)

// Store keeps cookies in memory (Apple's HTTPCookieStorage). It implements
// storage.CookieStore and http.CookieJar. The zero value is an empty store. It
// is safe for concurrent use.
//
// It holds 3000 cookies, 180 for one registrable domain; then the ones that were
// not used for longest go, expired ones first.
type Store struct {
	now func() time.Time // nil: time.Now

	size atomic.Int64 // the number of entries, also readable without the lock

	mu   sync.Mutex
	jars map[jarKey][]*entry // each in the order of sending
	made uint64              // how many entries were ever made
}

// jarKey is what cookies are looked up by. All cookies that can match a host
// have its registrable domain.
type jarKey struct{ partition, site string }

// entry is one cookie.
type entry struct {
	cookie
	made     uint64 // order of creation, kept when the cookie is replaced
	lastUsed time.Time
}

var (
	_ storage.CookieStore = (*Store)(nil)
	_ storage.Resetter    = (*Store)(nil)
	_ http.CookieJar      = (*Store)(nil)
)

// NewStore makes an empty store.
func NewStore() *Store { return &Store{} }

// Shared is the store of the whole process (Apple's HTTPCookieStorage.shared).
var Shared = sync.OnceValue(NewStore)

// None is the store that keeps nothing and sends nothing.
var None storage.CookieStore = none{}

type none struct{}

func (none) CookieHeader(*storage.CookieQuery) string    { return "" }
func (none) StoreCookies(*storage.CookieQuery, []string) {}
func (none) RemoveAll(context.Context) error             { return nil }

func (s *Store) clock() time.Time {
	if s.now != nil {
		return s.now()
	}

	return time.Now()
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
		e.lastUsed = now
		if b.Len() > 0 {
			b.WriteString("; ")
		}
		b.WriteString(e.name)
		b.WriteByte('=')
		b.WriteString(e.value)
	}

	return b.String()
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
			s.add(&r, c, now)
		}
	}
}

// Cookies gives copies of the cookies that a GET of u would send, in that order
// and with their attributes. It implements http.CookieJar.
func (s *Store) Cookies(u *url.URL) []*http.Cookie {
	if u == nil {
		return nil
	}
	r, ok := requestOf(&storage.CookieQuery{URL: u})
	if !ok {
		return nil
	}
	now := s.clock()
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []*http.Cookie
	for _, e := range s.jars[r.key] {
		if e.matches(&r, now) {
			e.lastUsed = now
			list = append(list, e.export())
		}
	}

	return list
}

// SetCookies stores cookies as a response from u that set them would. It
// implements http.CookieJar.
func (s *Store) SetCookies(u *url.URL, cookies []*http.Cookie) {
	if u == nil {
		return
	}
	r, ok := requestOf(&storage.CookieQuery{URL: u})
	if !ok {
		return
	}
	now := s.clock()
	for _, hc := range cookies {
		if c, ok := imported(hc, now); ok {
			s.add(&r, c, now)
		}
	}
}

// All gives copies of all cookies that have not expired, oldest first, those of
// every partition (Apple's cookies). Domain has a leading dot where subdomains
// get the cookie too.
func (s *Store) All() []*http.Cookie {
	now := s.clock()
	s.mu.Lock()
	defer s.mu.Unlock()
	var live []*entry
	for _, jar := range s.jars {
		for _, e := range jar {
			if !e.expired(now) {
				live = append(live, e)
			}
		}
	}
	slices.SortFunc(live, func(a, b *entry) int { return cmp.Compare(a.made, b.made) })
	list := make([]*http.Cookie, len(live))
	for i, e := range live {
		list[i] = e.export()
	}

	return list
}

// RemoveAll empties the store. It implements storage.Resetter, and neither waits
// nor fails.
func (s *Store) RemoveAll(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.jars = nil
	s.size.Store(0)

	return nil
}
