package cookie

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// add stores a cookie that a response to r set (RFC 6265 §5.3), or deletes its
// like if it has expired already.
func (s *Store) add(r *request, c cookie, now time.Time) {
	if !c.settle(r) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	jar := s.jars[r.key]
	if !c.secure && !r.secure && hidesSecure(jar, &c) {
		return
	}
	old := slices.IndexFunc(jar, func(e *entry) bool { return e.same(&c) })
	if c.expired(now) {
		if old >= 0 {
			s.setJar(r.key, slices.Delete(jar, old, old+1), -1)
		}

		return
	}
	if old >= 0 {
		jar[old].cookie, jar[old].lastUsed = c, now
		return
	}
	s.made++
	e := &entry{cookie: c, made: s.made, lastUsed: now}
	at, _ := slices.BinarySearchFunc(jar, e, sendingOrder)
	s.setJar(r.key, slices.Insert(jar, at, e), 1)
	s.shrink(r.key, now)
}

// setJar puts a changed jar back. An empty one goes.
func (s *Store) setJar(key jarKey, jar []*entry, change int) {
	s.size.Add(int64(change))
	if len(jar) == 0 {
		delete(s.jars, key)
		return
	}
	if s.jars == nil {
		s.jars = make(map[jarKey][]*entry)
	}
	s.jars[key] = jar
}

// sendingOrder is that of RFC 6265 §5.4: the longest path first, then the oldest.
func sendingOrder(a, b *entry) int {
	if c := cmp.Compare(len(b.path), len(a.path)); c != 0 {
		return c
	}

	return cmp.Compare(a.made, b.made)
}

// hidesSecure tells whether a cookie from an insecure origin would stand in for
// a Secure one of the same name (RFC 6265bis §5.7, "leave Secure cookies alone").
func hidesSecure(jar []*entry, c *cookie) bool {
	return slices.ContainsFunc(jar, func(e *entry) bool {
		return e.secure && e.name == c.name && pathMatches(c.path, e.path) &&
			(domainMatches(c.domain, e.domain) || domainMatches(e.domain, c.domain))
	})
}

// shrink holds the limits after a cookie was added to the jar of key.
func (s *Store) shrink(key jarKey, now time.Time) {
	if len(s.jars[key]) > maxPerDomain {
		s.purge(key, now)
	}
	if jar := s.jars[key]; len(jar) > maxPerDomain {
		s.evict(key, stalest(jar))
	}
	if s.size.Load() <= maxCookies {
		return
	}
	for k := range s.jars {
		s.purge(k, now)
	}
	if s.size.Load() <= maxCookies {
		return
	}
	var worst jarKey
	at := -1
	for k, jar := range s.jars {
		if i := stalest(jar); at < 0 || staler(jar[i], s.jars[worst][at]) {
			worst, at = k, i
		}
	}
	s.evict(worst, at)
}

func (s *Store) evict(key jarKey, at int) {
	s.setJar(key, slices.Delete(s.jars[key], at, at+1), -1)
}

// purge drops what has expired from a jar.
func (s *Store) purge(key jarKey, now time.Time) {
	jar := s.jars[key]
	kept := slices.DeleteFunc(jar, func(e *entry) bool { return e.expired(now) })
	s.setJar(key, kept, len(kept)-len(jar))
}

// stalest is the index of the entry to evict from a jar that is not empty.
func stalest(jar []*entry) int {
	at := 0
	for i, e := range jar {
		if staler(e, jar[at]) {
			at = i
		}
	}

	return at
}

func staler(a, b *entry) bool {
	if a.lastUsed.Equal(b.lastUsed) {
		return a.made < b.made
	}

	return a.lastUsed.Before(b.lastUsed)
}

// pathMatches is RFC 6265 §5.1.4: does a request for path get cookies of
// cookiePath?
func pathMatches(path, cookiePath string) bool {
	rest, ok := strings.CutPrefix(path, cookiePath)
	return ok && (rest == "" || strings.HasSuffix(cookiePath, "/") || rest[0] == '/')
}

// domainMatches is RFC 6265 §5.1.3 for names in canonical form. That an IP
// address matches nothing but itself is seen to where a domain is set.
func domainMatches(host, domain string) bool {
	rest, ok := strings.CutSuffix(host, domain)
	return ok && (rest == "" || strings.HasSuffix(rest, "."))
}
