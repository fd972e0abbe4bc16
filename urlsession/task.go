package urlsession

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// ErrTaskStarted is what SetDelegate returns once a task was resumed.
var ErrTaskStarted = errors.New("urlsession: the task was resumed already")

// task is what all kinds of tasks have. While it waits for its turn it is all that
// there is of it: no goroutine, no buffer, nothing of the engine.
type task struct {
	session  *core
	keeps    *Session // as long as it is not complete
	self     Task     // as the app knows it
	id       int
	request  Request // as it was made; Body is what it sends
	made     time.Time
	consumer any // what takes the result: a completion handler; nil: the delegates

	sent, received    atomic.Int64
	toSend, toReceive atomic.Int64
	progress          atomic.Pointer[Progress]
	place             place

	mu          sync.Mutex
	state       State
	resumed     bool // at least once
	queued      bool // it waits for its date or its turn, or runs
	call        bool // of a blocking call
	suspends    int32
	priority    float64
	earliest    time.Time
	date        *time.Timer // until earliest; nil: it does not wait for it
	description string
	delegate    *Delegate
	current     *Request // nil: the original one
	response    *Response
	err         error
	run         *run          // nil: it is not its turn
	gate        chan struct{} // closed when it goes on; nil: it is not suspended, or does not run
	done        chan struct{} // nil: nobody asked, and it is not complete
}

// init makes a task of the session; the caller registers it.
func (t *task) init(s *core, self Task, req *Request) {
	t.session, t.self, t.suspends, t.made = s, self, 1, time.Now()
	t.request = *req.Clone()
	t.priority = PriorityDefault
	if t.request.Priority != 0 {
		t.priority = bounded(t.request.Priority)
	}
	t.toSend.Store(t.request.Body.KnownLength())
}

func (t *task) core() *task { return t }

func (t *task) Identifier() int { return t.id }

func (t *task) OriginalRequest() *Request { return t.request.Clone() }

func (t *task) CurrentRequest() *Request {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.current == nil {
		return t.request.Clone()
	}

	return t.current.Clone()
}

func (t *task) Response() *Response {
	t.mu.Lock()
	defer t.mu.Unlock()

	return t.response
}

func (t *task) Err() error {
	t.mu.Lock()
	defer t.mu.Unlock()

	return t.err
}

func (t *task) State() State {
	t.mu.Lock()
	defer t.mu.Unlock()

	return t.state
}

func (t *task) CountOfBytesSent() int64              { return t.sent.Load() }
func (t *task) CountOfBytesReceived() int64          { return t.received.Load() }
func (t *task) CountOfBytesExpectedToSend() int64    { return t.toSend.Load() }
func (t *task) CountOfBytesExpectedToReceive() int64 { return t.toReceive.Load() }

func (t *task) Priority() float64 {
	t.mu.Lock()
	defer t.mu.Unlock()

	return t.priority
}

func (t *task) SetPriority(priority float64) {
	t.mu.Lock()
	t.priority = bounded(priority)
	t.session.turns.moved(t, t.priority)
	r, now := t.run, t.priority
	t.mu.Unlock()
	for r != nil {
		r.changes.SetPriority(told(now))
		last := now
		if now = t.Priority(); now == last { // else another one, who may have been faster
			return
		}
	}
}

// bounded is a priority between 0 and 1; no number is 0.
func bounded(priority float64) float64 {
	if priority > 0 {
		return min(priority, 1)
	}

	return 0
}

func (t *task) EarliestBeginDate() time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()

	return t.earliest
}

func (t *task) SetEarliestBeginDate(at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.earliest = at
}

func (t *task) Description() string {
	t.mu.Lock()
	defer t.mu.Unlock()

	return t.description
}

func (t *task) SetDescription(description string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.description = description
}

func (t *task) Delegate() *Delegate {
	t.mu.Lock()
	defer t.mu.Unlock()

	return t.delegate
}

func (t *task) SetDelegate(d *Delegate) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.resumed || t.state == StateCompleted {
		return ErrTaskStarted
	}
	t.delegate = d

	return nil
}

func (t *task) Done() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.done == nil {
		t.done = make(chan struct{})
	}

	return t.done
}

func (t *task) Wait(ctx context.Context) error {
	done := t.Done()
	select {
	case <-done:
		return t.Err()
	default:
	}
	if t.session.pump.inside(t) {
		return ErrInCallback
	}
	select {
	case <-done:
		return t.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Progress tells how far the task is.
func (t *task) Progress() *Progress {
	if p := t.progress.Load(); p != nil {
		return p
	}
	t.progress.CompareAndSwap(nil, &Progress{task: t})

	return t.progress.Load()
}
