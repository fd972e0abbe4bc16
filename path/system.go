package path

import (
	"context"
	"hash/fnv"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"
)

// memory is how long what Current has found is told again: looking takes a fifth of a
// millisecond, and many requests may ask.
const memory = 250 * time.Millisecond

// pollInterval is how often the interfaces are looked at where the system does not
// report changes.
const pollInterval = time.Second

// system asks the system. As long as somebody waits, and no longer, one goroutine
// listens to what it reports, or looks at the interfaces once a second.
type system struct {
	look  func() Path
	watch func(report func()) (stop func()) // nil: it cannot be watched

	seen struct {
		sync.Mutex

		path Path
		at   time.Time
	}

	mu      sync.Mutex
	waiting int
	stop    func()
	changed chan struct{} // closed by the next report
}

var shared = &system{look: look, watch: watch}

// System is the monitor of the machine: by route events of netlink on Linux, elsewhere,
// and where these cannot be had, by its interfaces once a second. It costs nothing
// while nobody waits.
func System() Monitor { return shared }

// Current looks at the interfaces, unless it has just done so.
func (s *system) Current() Path {
	s.seen.Lock()
	defer s.seen.Unlock()
	if now := time.Now(); s.seen.at.IsZero() || now.Sub(s.seen.at) >= memory {
		s.seen.path, s.seen.at = s.look(), now
	}

	return s.seen.path
}

// afresh looks, whatever was seen, so that Current is never behind Next: who waited
// would be told of the same change again.
func (s *system) afresh() Path {
	s.seen.Lock()
	defer s.seen.Unlock()
	s.seen.path, s.seen.at = s.look(), time.Now()

	return s.seen.path
}

// Next waits for a change.
func (s *system) Next(ctx context.Context, known Path) (Path, error) {
	changed := s.join()
	defer s.leave()
	for {
		if p := s.afresh(); p != known {
			return p, nil
		}
		select {
		case <-changed:
			s.mu.Lock()
			changed = s.changed
			s.mu.Unlock()
		case <-ctx.Done():
			return known, ctx.Err()
		}
	}
}

// join begins to watch with the first who waits.
func (s *system) join() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting++; s.waiting > 1 {
		return s.changed
	}
	s.changed = make(chan struct{})
	if s.watch != nil {
		s.stop = s.watch(s.report)
	}
	if s.stop == nil {
		s.stop = s.poll()
	}

	return s.changed
}

// leave ends it with the last.
func (s *system) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting--; s.waiting == 0 {
		s.stop()
		s.stop = nil
	}
}

// report wakes those who wait, who look for themselves.
func (s *system) report() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.changed)
	s.changed = make(chan struct{})
}

// poll reports once a second that somebody should look.
func (s *system) poll() (stop func()) {
	end := make(chan struct{})
	go func() {
		ticker := time.NewTicker(pollInterval)
		defer ticker.Stop()
		known := s.look()
		s.report() // who waits may have looked before
		for {
			select {
			case <-ticker.C:
				if p := s.look(); p != known {
					known = p
					s.report()
				}
			case <-end:
				return
			}
		}
	}()

	return func() { close(end) }
}

// interfaces describes the machine's interfaces that are up, but for loopback, by
// their names and addresses. connected: one of them has an address that is of use
// beyond its link.
func interfaces(w io.Writer) (connected bool) {
	all, err := net.Interfaces()
	if err != nil {
		return false
	}
	for _, i := range all {
		if i.Flags&net.FlagUp == 0 || i.Flags&net.FlagLoopback != 0 {
			continue
		}
		addrs, _ := i.Addrs() // an interface that has just gone has none
		_, _ = io.WriteString(w, i.Name+" "+i.Flags.String())
		for _, a := range addrs {
			_, _ = io.WriteString(w, " "+a.String())
			prefix, err := netip.ParsePrefix(a.String())
			if err == nil && prefix.Addr().IsGlobalUnicast() && i.Flags&net.FlagRunning != 0 {
				connected = true
			}
		}
		_, _ = io.WriteString(w, "\n")
	}

	return connected
}

// byInterfaces is the path as far as the interfaces tell.
func byInterfaces() Path {
	h := fnv.New64a()
	connected := interfaces(h)

	return Path{Satisfied: connected, ID: h.Sum64()}
}
