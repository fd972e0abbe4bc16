// Package altsvc keeps what origins have said of their alternative services (RFC 7838):
// where they serve HTTP/3, mostly. A [Store] is memory; a [File] is kept beyond the
// process.
package altsvc

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/storage"
)

const (
	// maxOrigins bounds the origins that are remembered. What is dropped for it is
	// what expires first.
	maxOrigins = 1024
	// maxServices bounds what is kept of one origin. maxText bounds its key, and maxName
	// what a service says: names of protocols and of hosts are no longer (RFC 7301 §3.1,
	// RFC 1035 §2.3.4).
	maxServices = 8
	maxText     = 1024
	maxName     = 255
	// longest is how far off an expiry may be: one beyond it was told by a clock that was
	// wrong.
	longest = 365 * 24 * time.Hour
)

// Store keeps alternative services in memory. The zero value is empty and works. It is
// safe for concurrent use.
type Store struct {
	mu      sync.Mutex
	origins map[string][]protocols.AlternativeService
	changed map[string]bool // since the file was written; nil: there is none
	wake    func()          // is called with each change, under the lock; nil: nobody waits
}

var (
	_ protocols.AlternativeServiceStore = (*Store)(nil)
	_ storage.Resetter                  = (*Store)(nil)
)

// NewStore makes an empty store.
func NewStore() *Store { return &Store{} }

var shared = NewStore()

// Shared is the process-wide store, in memory, of sessions that are given no other.
func Shared() *Store { return shared }

// Services gives what was stored under a key and has not expired.
func (s *Store) Services(key string) []protocols.AlternativeService {
	s.mu.Lock()
	defer s.mu.Unlock()

	return valid(s.origins[key], time.Now())
}

// valid is what has not expired.
func valid(services []protocols.AlternativeService, now time.Time) []protocols.AlternativeService {
	return slices.DeleteFunc(slices.Clone(services), func(s protocols.AlternativeService) bool { return !now.Before(s.Expires) })
}

// limit makes expiries follow the clock on the wall, also where that jumps or the machine
// sleeps, which a monotonic reading would not; and none is too far off.
func limit(services []protocols.AlternativeService, now time.Time) {
	last := now.Add(longest)
	for i := range services {
		expires := &services[i].Expires
		if expires.After(last) {
			*expires = last
		}
		*expires = expires.Round(0)
	}
}

// StoreServices replaces what is stored under a key; none: it is forgotten. What no
// origin can say, by its length or number or because something is missing, is left out,
// and nothing is kept for more than a year.
func (s *Store) StoreServices(key string, services []protocols.AlternativeService) {
	if key == "" || len(key) > maxText {
		return
	}
	services = slices.DeleteFunc(slices.Clone(services), func(one protocols.AlternativeService) bool { return !possible(one) })
	services = services[:min(len(services), maxServices)]
	limit(services, time.Now())
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(key, services)
	s.note(key)
}

// possible tells whether an origin can have said it.
func possible(s protocols.AlternativeService) bool {
	return s.Protocol != "" && len(s.Protocol) <= maxName && len(s.Host) <= maxName && s.Port != 0 && !s.Expires.IsZero()
}

// put replaces a list. The lock is held.
func (s *Store) put(key string, services []protocols.AlternativeService) {
	if len(services) == 0 {
		delete(s.origins, key)

		return
	}
	if s.origins == nil {
		s.origins = make(map[string][]protocols.AlternativeService)
	}
	if _, known := s.origins[key]; !known && len(s.origins) >= maxOrigins {
		s.evict()
	}
	s.origins[key] = services
}

// evict drops the origin whose services are the first to expire. The lock is held.
func (s *Store) evict() {
	var oldest string
	var first time.Time
	for key, services := range s.origins {
		last := services[0].Expires
		for _, one := range services {
			if one.Expires.After(last) {
				last = one.Expires
			}
		}
		if oldest == "" || last.Before(first) {
			oldest, first = key, last
		}
	}
	delete(s.origins, oldest)
	s.note(oldest)
}

// note remembers that a key is to be written. The lock is held.
func (s *Store) note(key string) {
	if s.changed == nil {
		return
	}
	s.changed[key] = true
	s.wake()
}

// PathChanged forgets what does not persist when the network changes.
func (s *Store) PathChanged() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, services := range s.origins {
		kept := slices.DeleteFunc(slices.Clone(services), func(one protocols.AlternativeService) bool { return !one.Persist })
		if len(kept) < len(services) {
			s.put(key, kept)
			s.note(key)
		}
	}
}

// RemoveAll empties the store.
func (s *Store) RemoveAll(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.origins = nil

	return nil
}
