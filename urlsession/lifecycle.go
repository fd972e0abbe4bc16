package urlsession

import (
	"context"
	"time"

	"github.com/urlkit/urlkit/internal/engine"
)

func (t *task) Resume() {
	line := t.session.lineOf(&t.request) // asks protocols, so before the lock
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.state >= StateCanceling || t.suspends == 0 {
		return
	}
	if t.suspends--; t.suspends > 0 {
		return
	}
	t.state, t.resumed = StateRunning, true
	if t.gate != nil {
		close(t.gate)
		t.gate = nil
		t.run.room.Continue()
	}
	if t.queued {
		return
	}
	t.queued = true
	if wait := time.Until(t.earliest); wait > 0 && !t.earliest.IsZero() {
		t.date = time.AfterFunc(wait, t.due)

		return
	}
	t.session.turns.begin(t, line, t.priority)
}

// due is called at the task's EarliestBeginDate.
func (t *task) due() {
	line := t.session.lineOf(&t.request)
	t.mu.Lock()
	t.date = nil
	err, cancelled := t.err, t.state == StateCanceling
	switch {
	case cancelled: // too late to stop the timer
	case t.suspends > 0:
		t.queued = false // Resume puts it in its line
	default:
		t.session.turns.begin(t, line, t.priority)
	}
	t.mu.Unlock()
	if cancelled {
		t.complete(err)
	}
}

func (t *task) Suspend() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.state >= StateCanceling {
		return
	}
	if t.suspends++; t.suspends > 1 {
		return
	}
	t.state = StateSuspended
	switch {
	case t.run != nil:
		t.gate = make(chan struct{})
		t.run.room.Pause()
	case t.session.turns.leave(t):
		t.queued = false // Resume puts it at the end of its line
	}
}

func (t *task) Cancel() { t.cancel(nil) }

// cancel ends the task with Cancelled; cause is beneath, nil: context.Canceled.
func (t *task) cancel(cause error) {
	err := t.cancelled(cause)
	t.mu.Lock()
	if t.state >= StateCanceling {
		t.mu.Unlock()

		return
	}
	t.state = StateCanceling
	if t.run != nil {
		t.run.end(cause)
		t.mu.Unlock()

		return
	}
	t.err = err
	waiting := !t.queued || t.date != nil && t.date.Stop() || t.session.turns.leave(t)
	t.mu.Unlock()
	if waiting { // else it is about to begin, and finds out
		t.complete(err)
	}
}

// cancelled is the error of a task that was cancelled before it began.
func (t *task) cancelled(cause error) error {
	if own, ok := cause.(*Error); ok { //nolint:errorlint // what the session itself ends a task with
		return t.whole(own)
	}
	if cause == nil {
		cause = context.Canceled
	}

	return t.whole(&Error{Code: Cancelled, Err: cause})
}

// refuse ends a task that was made in a session that is invalid: nothing is told of
// it, but its completion handler is called.
func (t *task) refuse() {
	err := t.cancelled(ErrSessionInvalidated)
	t.mu.Lock()
	t.state, t.err = StateCanceling, err
	t.mu.Unlock()
	if t.consumer == nil {
		t.finish()

		return
	}
	t.session.pump.post(func() {
		defer t.finish()
		t.tellLast(newRun(t.session, t, noDelegate))
	})
}

// pass lets a task go on that is not suspended, and holds one that is.
func (t *task) pass(ctx context.Context) error {
	for {
		t.mu.Lock()
		gate := t.gate
		t.mu.Unlock()
		if gate == nil {
			return nil
		}
		select {
		case <-gate:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// complete ends the task; it is called once. What the task was and what it did is
// told; then nothing more is.
func (t *task) complete(err error) {
	t.mu.Lock()
	r := t.run
	t.mu.Unlock()
	if r == nil { // Cancel may have been called by a callback
		t.session.pump.post(func() { t.end(t.unbegun(), err) })

		return
	}
	t.session.pump.tell(func() {
		if err == nil {
			err = r.fail(nil) // a Queue may have made a call that panicked after the last byte
		}
		t.end(r, err)
	})
}

// unbegun stands in for the run of a task that has not begun.
func (t *task) unbegun() *run {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := newRun(t.session, t, merge(t.delegate, t.session.delegated()))
	r.cancel = func(error) {}
	r.metrics = newCollector()
	r.metrics.since(t.made)

	return r
}

// end makes the last calls of a task, its measurements and how it ended, and then
// lets go of it. Each follows even if the one before ends the goroutine. The caller
// has the token.
func (t *task) end(r *run, err error) {
	t.mu.Lock()
	t.state, t.err = StateCompleted, err
	t.mu.Unlock()
	defer t.finish()
	defer t.tellLast(r)
	if r.metrics != nil {
		r.metrics.end(err)
	}
	if r.told().DidFinishCollecting != nil && r.metrics != nil {
		r.unlessOver(func() { r.told().DidFinishCollecting(t.self, r.metrics.metrics) })
	}
}

// fails gives a task its error, unless it has one.
func (t *task) fails(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err == nil {
		t.err = err
	}
}

// tellLast makes the very last call of a task.
func (t *task) tellLast(r *run) {
	r.over.Store(true)
	defer r.asks.Store(noDelegate)
	if failed := r.fail(nil); failed != nil { // perhaps DidFinishCollecting
		t.fails(failed)
	}
	if r.direct {
		r.session.pump.enter(t)
		defer r.session.pump.exit()
	}
	returned := false
	defer func() {
		if v := recover(); !returned { // nobody is left who could be told
			err := panicError(v)
			t.fails(t.whole(err))
			t.session.log().Error("urlsession: the last function that is called for a task has failed", "task", t.id, "error", err.Err)
		}
	}()
	resp, err := t.Response(), t.Err()
	switch handler := t.consumer.(type) {
	case func([]byte, *Response, error):
		data := r.data
		r.data = nil // what else keeps the run need not keep the data
		if err != nil {
			data = nil
		}
		handler(data, resp, err)
	case func(*TemporaryFile, *Response, error):
		r.handOut(handler, resp, err)
	default:
		if r.told().DidComplete != nil {
			r.told().DidComplete(t.self, err)
		}
	}
	returned = true
}

// handOut gives a download to its completion handler, and removes the file that it
// does not move.
func (r *run) handOut(handler func(*TemporaryFile, *Response, error), resp *Response, err error) {
	f := r.file
	if f == nil {
		handler(nil, resp, err)

		return
	}
	defer f.file.Discard()
	if err != nil { // a call panicked after the last byte
		f = nil
	}
	handler(f, resp, err)
}

// finish lets go of the task and of those who wait, once all was told.
func (t *task) finish() {
	s := t.retire()
	engine.Drop(t.request.Body)
	s.ended(t)
}

// retire makes the task complete. What its session is left with is the caller's.
func (t *task) retire() *Session {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.keeps
	t.state = StateCompleted
	t.run, t.gate, t.delegate, t.keeps = nil, nil, nil, nil
	if t.done == nil {
		t.done = make(chan struct{})
	}
	close(t.done)

	return s
}
