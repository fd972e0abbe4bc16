package protocols

import (
	"slices"
	"sync"
)

// Reprioritization tells the protocol that loads a request that the priority of the
// load changes while it runs (RFC 9218 §6; Apple's URLSessionTask.priority). A nil
// *Reprioritization is valid: the priority does not change. The zero value is ready,
// and holds no change yet. All methods are safe for concurrent use. It must not be
// copied after first use.
type Reprioritization struct {
	mu        sync.Mutex
	priority  float64
	observers []PriorityObserver
	first     [1]PriorityObserver // what observers begins in
}

// PriorityObserver is told by a Reprioritization that the priority has changed.
type PriorityObserver interface {
	// PriorityChanged is called after each change, on the goroutine of the one who
	// makes it and without a lock, and perhaps once more for a moment after
	// RemoveObserver. It asks Priority for the value, so that of two changes at once
	// the last one counts, and does not wait for the network.
	PriorityChanged()
}

// Priority is the priority that was set last, between 0 (excluded) and 1; 0: none was,
// and that of the Request counts.
func (r *Reprioritization) Priority() float64 {
	if r == nil {
		return 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()

	return r.priority
}

// SetPriority sets the priority, between 0 (excluded) and 1, and tells the observers.
// The session calls it.
func (r *Reprioritization) SetPriority(priority float64) {
	if r == nil {
		return
	}
	r.mu.Lock()
	changed := r.priority != priority
	r.priority = priority
	var told []PriorityObserver
	if changed {
		told = slices.Clone(r.observers)
	}
	r.mu.Unlock()
	for _, o := range told {
		o.PriorityChanged()
	}
}

// AddObserver has o told of changes from now on. A change before it is not told: ask
// Priority afterwards. A protocol removes the observer when the load no longer heeds a
// change, at the latest when the response's body has ended or was closed.
func (r *Reprioritization) AddObserver(o PriorityObserver) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.observers == nil {
		r.observers = r.first[:0] // mostly there is one: no allocation
	}
	r.observers = append(r.observers, o)
}

// RemoveObserver has o, which is compared with ==, told no more. One that is not
// there is ignored.
func (r *Reprioritization) RemoveObserver(o PriorityObserver) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if i := slices.Index(r.observers, o); i >= 0 {
		r.observers = slices.Delete(r.observers, i, i+1)
	}
}

// Observed tells whether there is an observer: a session's tests ask.
func (r *Reprioritization) Observed() bool {
	if r == nil {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()

	return len(r.observers) > 0
}
