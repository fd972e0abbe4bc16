package path

import (
	"context"
	"sync"
)

// Scripted is a Monitor that says what it is told, for tests. The zero value has no
// way to the network.
type Scripted struct {
	mu      sync.Mutex
	path    Path
	changed chan struct{} // closed by the next Set; nil: nobody waits
}

// NewScripted makes one that begins with a path.
func NewScripted(p Path) *Scripted { return &Scripted{path: p} }

// Set changes the path.
func (s *Scripted) Set(p Path) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.path = p
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

// Current is the path that was set last.
func (s *Scripted) Current() Path {
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.path
}

// Next waits for another path.
func (s *Scripted) Next(ctx context.Context, known Path) (Path, error) {
	for {
		s.mu.Lock()
		p := s.path
		if s.changed == nil {
			s.changed = make(chan struct{})
		}
		changed := s.changed
		s.mu.Unlock()
		if p != known {
			return p, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return known, ctx.Err()
		}
	}
}
