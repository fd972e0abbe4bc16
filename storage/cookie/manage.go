package cookie

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/urlkit/urlkit/storage"
)

// Cookies gives copies of the cookies that a GET of u would send, in that order
// and with their attributes (Apple's cookies(for:)). It implements http.CookieJar.
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
			s.use(e)
			list = append(list, e.export())
		}
	}

	return list
}

// SetCookies stores cookies as a response from u that set them would, unless the
// store accepts none (Apple's setCookies(_:for:mainDocumentURL:)). It implements
// http.CookieJar.
func (s *Store) SetCookies(u *url.URL, cookies []*http.Cookie) {
	if u == nil {
		return
	}
	q := &storage.CookieQuery{URL: u, AcceptPolicy: s.AcceptPolicy()}
	r, ok := requestOf(q)
	if !ok || !accepts(q, r.host) {
		return
	}
	now := s.clock()
	for _, hc := range cookies {
		if c, ok := imported(hc, now); ok {
			_ = s.add(&r, c, now) // http.CookieJar has no error
		}
	}
}

// Set stores a cookie of the app's own making, in place of one with the same name,
// domain and path (Apple's setCookie). It needs a Name and a Domain, with a leading
// dot where subdomains get the cookie too, as in what All gives; an empty Path is
// "/". One that has expired deletes its like. A cookie that breaks a rule of
// RFC 6265bis §5.7 is an error, and so is any while the store accepts none.
func (s *Store) Set(hc *http.Cookie) error {
	if s.AcceptPolicy() == storage.AcceptNever {
		return fmt.Errorf("cookie: the store accepts none")
	}
	now := s.clock()
	c, ok := imported(hc, now)
	if !ok {
		return fmt.Errorf("cookie: a name is missing, or a part is too long or malformed")
	}

	return s.set("", c, now)
}

// set stores a cookie by its own domain, as if that had set it.
func (s *Store) set(partition string, c cookie, now time.Time) error {
	domain, subdomains := strings.CutPrefix(c.domain, ".")
	host, ok := canonicalHost(domain)
	if !ok {
		return fmt.Errorf("cookie: the domain is missing or malformed")
	}
	if c.path == "" {
		c.path = "/"
	}
	if !subdomains {
		c.domain = ""
	}
	r := request{key: jarKey{partition, sites.of(host)}, host: host, path: "/", secure: true, topLevel: true, safe: true}
	if err := s.add(&r, c, now); err != nil {
		return fmt.Errorf("cookie: %w", err)
	}

	return nil
}

// Delete removes the cookie with the name, domain and path of one that All or
// Cookies gave, or that Set was given, from every partition (Apple's deleteCookie).
// Deleting what is not there is no error.
func (s *Store) Delete(hc *http.Cookie) {
	if hc == nil {
		return
	}
	domain, subdomains := strings.CutPrefix(hc.Domain, ".")
	host, _ := canonicalHost(domain)
	path := cmp.Or(hc.Path, "/")
	s.removeWhere(func(e *entry) bool {
		return e.name == hc.Name && e.path == path && e.domain == host && e.hostOnly == !subdomains
	})
}

// RemoveSince removes what was set at a time or after it (Apple's
// removeCookies(since:)).
func (s *Store) RemoveSince(t time.Time) {
	s.removeWhere(func(e *entry) bool { return !e.stored.Before(t) })
}

func (s *Store) removeWhere(which func(*entry) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key := range s.jars {
		s.discard(key, which)
	}
}

// RemoveAll empties the store. It implements storage.Resetter, and neither waits
// nor fails.
func (s *Store) RemoveAll(context.Context) error {
	s.removeWhere(func(*entry) bool { return true })

	return nil
}

// All gives copies of all cookies that have not expired, oldest first, those of
// every partition (Apple's cookies). Domain has a leading dot where subdomains
// get the cookie too.
func (s *Store) All() []*http.Cookie {
	now := s.clock()
	s.mu.Lock()
	defer s.mu.Unlock()
	live := s.live(now)
	list := make([]*http.Cookie, len(live))
	for i, e := range live {
		list[i] = e.export()
	}

	return list
}

// keyed is an entry with what it is found by.
type keyed struct {
	*entry

	key jarKey
}

// live are the entries that have not expired, oldest first.
func (s *Store) live(now time.Time) []keyed {
	var live []keyed
	for key, jar := range s.jars {
		for _, e := range jar {
			if !e.expired(now) {
				live = append(live, keyed{e, key})
			}
		}
	}
	slices.SortFunc(live, func(a, b keyed) int { return cmp.Compare(a.made, b.made) })

	return live
}

// AcceptPolicy is the policy for what an app sets by Set and SetCookies (Apple's
// cookieAcceptPolicy). For responses the configuration of their session has one,
// which is in force instead.
func (s *Store) AcceptPolicy() storage.CookieAcceptPolicy {
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.accepts
}

// SetAcceptPolicy sets the policy of AcceptPolicy. Neither call has a main document,
// so only AcceptNever makes a difference. What is stored stays.
func (s *Store) SetAcceptPolicy(p storage.CookieAcceptPolicy) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accepts = p
}
