package engine

import (
	"sync"
	"time"

	"github.com/urlkit/urlkit/internal/httpcache"
	"github.com/urlkit/urlkit/protocols"
)

const (
	// longestHead is how long a load waits for the head of another's response, and
	// longestBody how long for its body after that.
	longestHead = 3 * time.Second
	longestBody = time.Second
	// mostAlone bounds the keys that are known to be of no use to others.
	mostAlone = 1024
)

// flights are the loads that others wait for, by key: of several that ask for the
// same at once one goes to the origin, and the others have what it stored. A key whose
// response was of no use to them is remembered, so that they do not wait for the next.
type flights struct {
	mu    sync.Mutex
	byKey map[string]*flight
	alone map[string]struct{}
}

// flight is one load that others wait for.
type flight struct {
	key   string
	owner *load
	head  chan struct{} // closed where the head is of use to others
	done  chan struct{} // closed at the end

	// Guarded by the lock of flights.
	landed, arrived bool
	stored          bool // settled before done is closed
}

// coalesces tells whether the hop may wait for another load, or be waited for: it
// asks for what anybody would get. Inner loads do neither, since their own chain may
// lead, and nor do those inside a callback that others wait for.
func (h *hop) coalesces() bool {
	c := h.cached
	if h.outer != nil || h.of.task.Nested || h.of.task.validates || h.request.Method != "GET" || len(h.request.Header["Range"]) > 0 {
		return false
	}
	if c.query.Defaults == nil && !hasCookies(h.request.URL.Scheme) {
		return false // whether it is stored is the protocol's to say
	}
	switch c.query.Policy {
	case protocols.UseProtocolCachePolicy, protocols.ReturnCacheElseLoad:
	default:
		return false
	}
	asked := h.of.engine.cacheRules.Request(c.query.Header)

	return !asked.Has(httpcache.RequestNoCache|httpcache.RequestNoStore) && h.of.engine.cacheRules.Bypasses(c.query.Header) == ""
}

// follow waits for another load of the key, and tells whether that has stored
// something. Where there is none others may wait for this one.
func (h *hop) follow() bool {
	l := h.of
	f := l.engine.flights.join(l, h.cached.flightKey())
	if f == nil {
		return false
	}
	l.idling() // nothing is asked of the network meanwhile
	defer l.waiting()
	timer := time.NewTimer(longestHead)
	defer timer.Stop()
	select {
	case <-f.head:
		timer.Reset(longestBody)
	case <-f.done:
	case <-timer.C:
		return false
	case <-l.ctx.Done():
		return false
	}
	select {
	case <-f.done:
	case <-timer.C:
		return false
	case <-l.ctx.Done():
		return false
	}
	l.engine.flights.mu.Lock()
	defer l.engine.flights.mu.Unlock()

	return f.stored
}

// flightKey is the key, the credential and the partition: what one of them is given is
// not for another.
func (c *caching) flightKey() string {
	credential := c.query.Header.Get("Authorization")
	if credential == "" && c.query.Partition == "" {
		return c.query.Key
	}

	return c.query.Key + "\n" + credential + "\n" + c.query.Partition
}

// join gives the load to wait for; nil: there is none, or it is l's own.
func (s *flights) join(l *load, key string) *flight {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, alone := s.alone[key]; alone {
		return nil
	}
	if f := s.byKey[key]; f != nil {
		if f.owner == l {
			return nil
		}

		return f
	}
	if old := l.lead.Load(); old != nil {
		s.land(old, false)
	}
	f := &flight{key: key, owner: l, head: make(chan struct{}), done: make(chan struct{})}
	if s.byKey == nil {
		s.byKey = make(map[string]*flight)
	}
	s.byKey[key] = f
	l.lead.Store(f)

	return nil
}

// land ends a flight. The caller has the lock.
func (s *flights) land(f *flight, stored bool) {
	if f.landed {
		return
	}
	f.landed, f.stored = true, stored
	if s.byKey[f.key] == f {
		delete(s.byKey, f.key)
	}
	close(f.done)
}

// leave lets those who wait for the load go alone: it will not give them anything, or
// not soon.
func (l *load) leave() { l.settle(false) }

// promise says that what the load gets will be of use to those who wait for it.
func (l *load) promise() {
	f := l.lead.Load()
	if f == nil {
		return
	}
	s := &l.engine.flights
	s.mu.Lock()
	defer s.mu.Unlock()
	if !f.arrived && !f.landed {
		f.arrived = true
		close(f.head)
	}
}

// settle is the load's, unless the hop is an inner one: nobody waits for that.
func (h *hop) settle(useful bool) {
	if h.outer == nil {
		h.of.settle(useful)
	}
}

// settle says that the load's response is stored, and whether it is of use to others.
func (l *load) settle(useful bool) {
	f := l.lead.Load()
	if f == nil {
		return
	}
	s := &l.engine.flights
	s.mu.Lock()
	defer s.mu.Unlock()
	s.land(f, useful)
}

// remember notes whether a key's response is of use to others.
func (s *flights) remember(key string, useful bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if useful {
		delete(s.alone, key)

		return
	}
	if s.alone == nil {
		s.alone = make(map[string]struct{})
	}
	for other := range s.alone {
		if len(s.alone) < mostAlone {
			break
		}
		delete(s.alone, other)
	}
	s.alone[key] = struct{}{}
}
