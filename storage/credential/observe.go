package credential

import "slices"

// observers are told of changes. They are guarded by the lock of their store.
type observers struct {
	list    []*observer
	changed bool // since they were told last
	telling bool // a goroutine tells them
}

type observer struct{ tell func() }

// Observe has tell called after the store has changed: a credential is another, came
// or went, or another one is the default of its space (Apple's
// NSURLCredentialStorageChanged). Changes that follow each other fast are told once.
// Calls come one at a time for all observers of the store, on a goroutine that lives
// as long as there is something to tell and holds no lock. After stop no call begins;
// one that runs may go on.
func (s *Store) Observe(tell func()) (stop func()) {
	o := &observer{tell}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.observers.list = append(s.observers.list, o)

	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.observers.list = slices.DeleteFunc(s.observers.list, func(other *observer) bool { return other == o })
	}
}

// wake has the observers told. The caller has the lock.
func (o *observers) wake(s *Store) {
	if len(o.list) == 0 {
		return
	}
	o.changed = true
	if !o.telling {
		o.telling = true
		go s.tellObservers()
	}
}

func (s *Store) tellObservers() {
	for {
		s.mu.Lock()
		if !s.observers.changed {
			s.observers.telling = false
			s.mu.Unlock()

			return
		}
		s.observers.changed = false
		list := slices.Clone(s.observers.list)
		s.mu.Unlock()
		for _, o := range list {
			if s.observes(o) {
				o.tell()
			}
		}
	}
}

// observes tells whether an observer has not stopped.
func (s *Store) observes(o *observer) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()

	return slices.Contains(s.observers.list, o)
}
