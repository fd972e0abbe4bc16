// Package observers tells those who want to know that a store has changed.
package observers

import (
	"slices"
	"sync"
)

// List are the observers of one store. The zero value has none. It is safe for
// concurrent use, and may be called with the store's lock held: it takes no other
// than its own.
type List struct {
	mu      sync.Mutex
	list    []*observer
	changed bool // since they were told last
	telling bool // a goroutine tells them
}

type observer struct{ tell func() }

// Add has tell called after each Wake. Calls come one at a time for all observers, on a
// goroutine that lives as long as there is something to tell and holds no lock. After
// stop no call begins; one that runs may go on.
func (l *List) Add(tell func()) (stop func()) {
	o := &observer{tell}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(l.list, o)

	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.list = slices.DeleteFunc(l.list, func(other *observer) bool { return other == o })
	}
}

// Wake has the observers told. Calls that follow each other fast are told once.
func (l *List) Wake() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.list) == 0 {
		return
	}
	l.changed = true
	if !l.telling {
		l.telling = true
		go l.tell()
	}
}

func (l *List) tell() {
	for {
		l.mu.Lock()
		if !l.changed {
			l.telling = false
			l.mu.Unlock()

			return
		}
		l.changed = false
		list := slices.Clone(l.list)
		l.mu.Unlock()
		for _, o := range list {
			if l.has(o) {
				o.tell()
			}
		}
	}
}

// has tells whether an observer has not stopped.
func (l *List) has(o *observer) bool {
	l.mu.Lock()
	defer l.mu.Unlock()

	return slices.Contains(l.list, o)
}
