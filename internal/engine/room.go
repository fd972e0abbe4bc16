package engine

import "sync"

// Room is what one load needs. A caller that has more to allocate for a load
// puts both into one struct, and gives LoadIn a Room of its own for each.
//
// Pause and Continue may be called by any goroutine, at any time.
type Room struct {
	load load

	mu     sync.Mutex
	pauses int32 // that no Continue has followed
	begun  bool  // the load has its clocks
}

// Pause stops both clocks of the load, as a question to the app does, until as
// many calls of Continue have followed: a suspended task does not run out of time.
// A load that is yet to begin begins with its clocks stopped; for one that has
// ended there is nothing to stop.
func (r *Room) Pause() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pauses++; r.pauses == 1 && r.begun {
		r.load.leave() // who waits for its response would wait for a long time
		r.load.engine.clock.pause(&r.load)
	}
}

// Continue undoes one Pause. Without one it does nothing.
func (r *Room) Continue() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pauses == 0 {
		return
	}
	if r.pauses--; r.pauses == 0 && r.begun {
		r.load.engine.clock.resume(&r.load)
	}
}

// begin stops the clocks that have just begun, where a Pause came before.
func (r *Room) begin() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.begun = true; r.pauses > 0 {
		r.load.engine.clock.pause(&r.load)
	}
}
