package urlsession

import (
	"context"
	"math"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"

	"github.com/urlkit/urlkit/internal/engine"
	"github.com/urlkit/urlkit/protocols"
)

// run is a task whose turn it is, or a blocking call that has a delegate.
type run struct {
	session *core
	task    *task                // a data task hands over to a download task
	sends   atomic.Pointer[task] // the same, for the goroutine that sends the request's body
	asks    atomic.Pointer[Delegate]
	line    *line // nil: it needs no turn
	pump    *pump // makes what is told: the session's, or that of a blocking call
	direct  bool  // a blocking call: all is done on the caller's goroutine
	ctx     context.Context
	cancel  context.CancelCauseFunc
	room    engine.Room
	hooks   engine.Task
	changes protocols.Reprioritization
	failed  atomic.Pointer[Error] // what the session itself ended the task with
	ending  atomic.Bool           // a blocking call is done
	over    atomic.Bool           // DidComplete was told, or is about to be
	untold  atomic.Bool           // what others tell of the task may not be told yet

	head    *protocols.Response // nil: none came yet
	watched bool                // the request's body is counted as it goes out
	metrics *collector          // nil: nobody measures
	data    []byte              // what a completion handler gets
	file    *TemporaryFile      // the same
}

// newRun makes the run of a task.
func newRun(s *core, t *task, told *Delegate) *run {
	r := &run{session: s, task: t, pump: &s.pump}
	r.asks.Store(told)
	r.sends.Store(t)

	return r
}

// told are the task's own functions, and the session's where it has none. When all
// was told there are none: a connection may keep the run that made it.
func (r *run) told() *Delegate { return r.asks.Load() }

// op is the method, for errors.
func (t *task) op() string {
	if t.request.Method == "" {
		return http.MethodGet
	}

	return t.request.Method
}

func redacted(u *url.URL) string {
	if u == nil {
		return ""
	}

	return protocols.Redact(u)
}

// load runs the task to its end, in its turn of a line; nil: it needs none.
func (t *task) load(l *line) {
	r := t.start()
	if r == nil {
		return
	}
	r.line = l
	var err error = errEnded
	defer func() {
		r.cancel(nil)
		r.task.complete(r.fail(err))
	}()
	if err = r.delayed(); err == nil {
		err = r.perform(&t.request)
	}
}

// start makes the run of a task; nil: it was cancelled or suspended meanwhile.
func (t *task) start() *run {
	t.mu.Lock()
	if t.state == StateCanceling {
		err := t.err
		t.mu.Unlock()
		t.complete(err)

		return nil
	}
	if t.suspends > 0 {
		t.queued = false // Resume queues it again
		t.mu.Unlock()

		return nil
	}
	r := newRun(t.session, t, merge(t.delegate, t.session.delegated()))
	r.ctx, r.cancel = context.WithCancelCause(context.Background())
	t.run = r
	t.mu.Unlock()
	t.session.calls.Store(true)
	if d := t.session.delegated(); d != nil && d.DidCreateTask != nil {
		r.untold.Store(true)
	}
	r.hook(context.Background())

	return r
}

// delayed asks whether a task that had to wait for its date is still wanted.
func (r *run) delayed() error {
	t := r.task
	if t.EarliestBeginDate().IsZero() || r.told().WillBeginDelayedRequest == nil {
		return nil
	}
	next, err := ask(r, func(ctx context.Context) *Request {
		return r.told().WillBeginDelayedRequest(ctx, t.self, t.OriginalRequest())
	})
	switch {
	case err != nil:
		return r.fail(err)
	case next == nil:
		t.cancel(nil)

		return r.fail(context.Canceled)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.current = next.Clone()

	return nil
}

// perform loads a request and hands on what comes.
func (r *run) perform(req *Request) error {
	if current := r.task.current; current != nil {
		req = current
	}
	if err := r.held(); err != nil {
		return r.fail(err)
	}
	sink, err := newSink(r)
	if err != nil {
		return r.fail(err)
	}
	defer sink.discard()
	resp, err := r.session.engine.LoadIn(&r.room, r.ctx, r.outgoing(req), &r.hooks)
	if err == nil {
		err = unexpected(resp)
	}
	if err != nil {
		return r.fail(err)
	}
	defer resp.Body.Close()
	r.arrived(resp)

	if err = r.consume(resp, sink); err == nil && r.hooks.Cache != nil && r.ctx.Err() != nil {
		err = context.Cause(r.ctx) // cancelled by what was asked last
	}

	return r.fail(err)
}

// arrived notes the head.
func (r *run) arrived(resp *protocols.Response) {
	t := r.task
	expected := resp.ContentLength
	if engine.Decoded(resp) {
		expected = -1
	}
	t.toReceive.Store(expected)
	if n := t.toSend.Load(); n > 0 && !r.watched {
		t.sent.Store(n) // so short that it went out with the head
	}
	r.head = resp
	if r.line != nil && (resp.Proto == "h2" || resp.Proto == "h3") {
		r.session.turns.widen(r.line)
	}
	t.answered(newResponse(resp))
}

func (t *task) answered(resp *Response) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.response = resp
}

// atEnd notes the trailer fields, which come with the body's end.
func (r *run) atEnd() {
	if len(r.head.Trailer) == 0 {
		return
	}
	resp := *r.task.Response()
	resp.Trailer = r.head.Trailer
	r.task.answered(&resp)
}

// end cancels the load. An *Error is the task's; any other cause is beneath
// Cancelled.
func (r *run) end(cause error) {
	if own, ok := cause.(*Error); ok { //nolint:errorlint // what the session itself ends a task with
		r.failed.CompareAndSwap(nil, own)
	}
	r.cancel(cause)
}

// fail is the error of a task: what the session itself ended it with comes first.
func (r *run) fail(err error) error {
	if failed := r.failed.Load(); failed != nil { // perhaps only after the last byte
		return r.task.whole(failed)
	}
	if err == nil {
		return nil
	}
	if own, ok := err.(*Error); ok && own.Op != "" { //nolint:errorlint // Err is an *Error, not one that wraps it
		return own
	}

	return r.newError(engine.Classify(err), err)
}

func (r *run) newError(code Code, err error) *Error {
	if inner, ok := err.(*Error); ok && inner.Op == "" && inner.Err != nil { //nolint:errorlint // only the outermost
		err = inner.Err
	}

	return r.task.whole(&Error{Code: code, Phase: "task", Err: err})
}

// whole fills in what an error of the session's own does not say yet.
func (t *task) whole(e *Error) *Error {
	if e.Op != "" {
		return e
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	u := t.request.URL
	if t.response != nil {
		u = t.response.URL
	} else if t.current != nil {
		u = t.current.URL
	}

	return &Error{Code: e.Code, Op: t.op(), URL: redacted(u), Phase: e.Phase, Err: e.Err}
}

// outgoing is the request as it is loaded: with the task's priority, and its body
// watched where somebody wants to know, or it can be suspended on its way.
func (r *run) outgoing(req *Request) *Request {
	body := r.body(req.Body)
	priority := told(r.task.Priority())
	if body == req.Body && (priority == req.Priority || req.Priority == 0 && priority == PriorityDefault) {
		return req
	}
	out := *req
	out.Body, out.Priority = body, priority

	return &out
}

// told is a task's priority in a request, whose 0 is the default.
func told(priority float64) float64 { return max(priority, math.SmallestNonzeroFloat64) }

// isFolder tells whether a URL names a folder of the file system: there is no file
// to download.
func isFolder(u *url.URL) bool {
	return u != nil && strings.EqualFold(u.Scheme, "file") && strings.HasSuffix(u.Path, "/")
}
