package cookie

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"time"
)

var errHidesSecure = errors.New("a cookie without Secure would hide one with it")

// add stores a cookie that a response to r set (RFC 6265bis §5.7), or deletes its
// like if it has expired already. The error says what rule it breaks.
func (s *Store) add(r *request, c cookie, now time.Time) error {
	if err := c.settle(r); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !c.secure && !r.secure && hidesSecure(s.jars[r.key], &c, now) {
		return errHidesSecure
	}
	s.discard(r.key, func(e *entry) bool { return e.same(&c) && e.expired(now) }) // it has no place to leave to another
	jar := s.jars[r.key]
	old := slices.IndexFunc(jar, func(e *entry) bool { return e.same(&c) })
	switch {
	case c.expired(now):
		if old >= 0 {
			s.discard(r.key, func(e *entry) bool { return e == jar[old] })
		}
	case old >= 0:
		s.replace(r.key, jar[old], c)
		jar[old].stored = now
	default:
		e := &entry{cookie: c, created: now, stored: now}
		s.insert(r.key, e)
		s.change(c.persists())
		e.changed = s.changes
		s.shrink(r.key, now)
	}

	return nil
}

// insert puts a new entry where it belongs in its jar.
func (s *Store) insert(key jarKey, e *entry) {
	s.made++
	e.made = s.made
	if e.used == 0 {
		s.use(e)
	}
	jar := s.jars[key]
	at, _ := slices.BinarySearchFunc(jar, e, sendingOrder)
	if s.jars == nil {
		s.jars = make(map[jarKey][]*entry)
	}
	s.jars[key] = slices.Insert(jar, at, e)
	s.size.Add(1)
}

// replace gives an entry what was set anew. Its place in the order stays.
func (s *Store) replace(key jarKey, e *entry, c cookie) {
	s.use(e)
	if e.equal(&c) { // which need not be written, but is newer than the file's word
		s.changes++
		e.changed = s.changes

		return
	}
	kept := e.onDisk || c.persists()
	if e.onDisk && !c.persists() {
		s.journal.bury(e.identity(key), s.changes+1)
		e.onDisk = false
	}
	e.cookie = c
	s.change(kept)
	e.changed = s.changes
}

// discard removes entries from a jar. An empty one goes.
func (s *Store) discard(key jarKey, which func(*entry) bool) {
	jar := s.jars[key]
	if !slices.ContainsFunc(jar, which) {
		return
	}
	kept := slices.DeleteFunc(slices.Clone(jar), which)
	s.size.Add(int64(len(kept) - len(jar)))
	filed := false
	for _, e := range jar {
		if e.onDisk && !slices.Contains(kept, e) {
			filed = true
			s.journal.bury(e.identity(key), s.changes+1)
		}
	}
	if len(kept) == 0 {
		delete(s.jars, key)
	} else {
		s.jars[key] = kept
	}
	s.change(filed)
}

// change notes that something changed, for who listens; filed: for the file too.
func (s *Store) change(filed bool) {
	s.changes++
	s.observers.Wake()
	if filed && s.journal != nil {
		s.journal.wake()
	}
}

// sendingOrder is that of RFC 6265bis §5.8.3: the longest path first, then the
// oldest.
func sendingOrder(a, b *entry) int {
	if c := cmp.Compare(len(b.path), len(a.path)); c != 0 {
		return c
	}

	return cmp.Compare(a.made, b.made)
}

// hidesSecure tells whether a cookie from an insecure origin would stand in for
// a Secure one of the same name (RFC 6265bis §5.7, "leave Secure cookies alone").
func hidesSecure(jar []*entry, c *cookie, now time.Time) bool {
	return slices.ContainsFunc(jar, func(e *entry) bool {
		return e.secure && e.name == c.name && !e.expired(now) && pathMatches(c.path, e.path) &&
			(domainMatches(c.domain, e.domain) || domainMatches(e.domain, c.domain))
	})
}

// shrink holds the limits after a cookie was added to the jar of key.
func (s *Store) shrink(key jarKey, now time.Time) {
	expired := func(e *entry) bool { return e.expired(now) }
	if len(s.jars[key]) > maxPerDomain {
		s.discard(key, expired)
	}
	for len(s.jars[key]) > maxPerDomain {
		worst := evictable(s.jars[key])
		s.discard(key, func(e *entry) bool { return e == worst })
	}
	if s.size.Load() <= maxCookies {
		return
	}
	for k := range s.jars {
		s.discard(k, expired)
	}
	for s.size.Load() > maxCookies {
		var worst *entry
		var from jarKey
		for k, jar := range s.jars {
			for _, e := range jar {
				if worst == nil || e.used < worst.used {
					worst, from = e, k
				}
			}
		}
		s.discard(from, func(e *entry) bool { return e == worst })
	}
}

// evictable is the entry to evict from a jar that has too many: one without Secure if
// there is one (RFC 6265bis §5.7).
func evictable(jar []*entry) *entry {
	worst := jar[0]
	for _, e := range jar[1:] {
		if e.secure != worst.secure && worst.secure || e.secure == worst.secure && e.used < worst.used {
			worst = e
		}
	}

	return worst
}

// pathMatches is RFC 6265bis §5.1.4: does a request for path get cookies of
// cookiePath?
func pathMatches(path, cookiePath string) bool {
	rest, ok := strings.CutPrefix(path, cookiePath)
	return ok && (rest == "" || strings.HasSuffix(cookiePath, "/") || rest[0] == '/')
}

// domainMatches is RFC 6265bis §5.1.3 for names in canonical form. That an IP
// address matches nothing but itself is seen to where a domain is set.
func domainMatches(host, domain string) bool {
	rest, ok := strings.CutSuffix(host, domain)
	return ok && (rest == "" || strings.HasSuffix(rest, "."))
}
