package urlsession

import (
	"context"
	"errors"
	"io"

	"github.com/urlkit/urlkit/internal/engine"
	"github.com/urlkit/urlkit/protocols"
)

// WithTaskDelegate returns a context whose blocking call (Data, Upload, Download or
// Bytes) has a delegate of its own, asked before the session's. Its functions are
// called one at a time and in order, beside what the session's other tasks tell, and
// on the goroutine of the caller, but for what is told of the request's body and of
// interim responses. Such a call delivers what it returns: DidReceiveResponse,
// DidFinishDownloading and DidBecomeDownloadTask are not called, nor is
// DidReceiveData by Bytes. A stream that is closed before its end completes with
// Cancelled. The delegate is for one call at a time.
func WithTaskDelegate(ctx context.Context, d *Delegate) context.Context {
	return context.WithValue(ctx, taskDelegateKey{}, d)
}

type taskDelegateKey struct{}

// asks tells whether a blocking call has somebody to ask or to tell.
func (s *Session) asks(ctx context.Context) bool {
	own, _ := ctx.Value(taskDelegateKey{}).(*Delegate)

	return own != nil || s.delegated() != nil || s.nested()
}

// nested tells whether the caller runs inside one of the session's callbacks: tasks
// that have connections may wait for it, so that their number must not hold it up.
func (s *core) nested() bool { return s.calls.Load() && s.pump.inside(nil) }

// kept is the consumer of a call whose result the caller gets.
type kept struct{}

// call makes the run of a blocking call: it has the questions of the session's
// delegate, and of what is told only that it was created.
func (s *Session) call(ctx context.Context, self Task, req *Request) (*run, error) {
	t := self.core()
	t.init(s.core, self, req)
	t.keeps = s
	if err := s.refused(req); err != nil {
		return nil, err
	}
	t.state, t.resumed, t.queued, t.suspends = StateRunning, true, true, 0
	own, _ := ctx.Value(taskDelegateKey{}).(*Delegate)
	session := s.delegated()
	tell := session != nil && session.DidCreateTask != nil
	if session != nil {
		session = &Delegate{
			DidReceiveChallenge:        session.DidReceiveChallenge,
			WillPerformHTTPRedirection: session.WillPerformHTTPRedirection,
			NeedNewBodyStream:          session.NeedNewBodyStream,
			WillCacheResponse:          session.WillCacheResponse,
		}
	}
	r := newRun(s.core, t, merge(own, session))
	r.direct, r.pump = true, newPump()
	t.run = r
	r.ctx, r.cancel = context.WithCancelCause(ctx)
	if !s.count(t) {
		r.cancel(nil)

		return nil, s.refused(req)
	}
	s.calls.Store(true)
	r.hooks.Nested = s.nested()
	r.hook(ctx)
	switch {
	case r.told().DidCreateTask != nil:
		r.tell(func() { r.told().DidCreateTask(self) })
	case tell:
		s.pump.post(func() { s.tellCreated(t) })
	}

	return r, nil
}

// carryOut loads, and tells the call's own delegate how it ended.
func (r *run) carryOut() (err error) {
	err = errEnded
	defer func() {
		r.ended(r.fail(err))
		r.cancel(nil)
		err = r.task.Err()
	}()
	err = r.perform(&r.task.request)

	return err
}

// ended is the end of a blocking call.
func (r *run) ended(err error) {
	if r.ending.Swap(true) {
		return
	}
	end := func() { r.task.end(r, err) }
	if r.pump.inside(nil) { // a callback closes the stream
		r.pump.post(end)

		return
	}
	r.pump.tell(end)
}

// data is Data for a call that has a delegate.
func (s *Session) data(ctx context.Context, self Task, req *Request) ([]byte, *Response, error) {
	t := self.core()
	t.consumer = kept{}
	r, err := s.call(ctx, self, req)
	if err != nil {
		return nil, nil, err
	}
	if err = r.carryOut(); err != nil {
		return nil, t.Response(), err
	}
	data := r.data
	r.data = nil // what else keeps the run need not keep the data

	return data, t.Response(), nil
}

// bytes is Bytes for a call that has a delegate.
func (s *Session) bytes(ctx context.Context, req *Request) (*ByteStream, error) {
	t := &DataTask{}
	r, err := s.call(ctx, t, req)
	if err != nil {
		return nil, err
	}
	var resp *protocols.Response
	if err = r.held(); err == nil {
		resp, err = s.engine.LoadIn(&r.room, r.ctx, r.outgoing(&t.request), &r.hooks)
	}
	if err == nil {
		err = unexpected(resp)
	}
	if err != nil {
		r.ended(r.fail(err))
		r.cancel(nil)

		return nil, t.Err()
	}
	r.arrived(resp)

	return &ByteStream{body: &streamed{resp, r}, response: t.Response(), load: resp}, nil
}

// streamed is the body of a Bytes call that has a delegate.
type streamed struct {
	resp *protocols.Response
	run  *run
}

func (s *streamed) Read(p []byte) (int, error) {
	r := s.run
	if err := r.held(); err != nil {
		err = r.fail(err)
		r.ended(err)

		return 0, err
	}
	n, err := s.resp.Body.Read(p)
	r.task.received.Add(int64(n))
	if err != nil {
		if failed := r.fail(failureOf(err)); failed != nil {
			err = failed
		}
		r.ended(failureOf(err))
		r.cancel(nil)
	}

	return n, err
}

// Close ends the call: with Cancelled where the body has not come to its end.
func (s *streamed) Close() error {
	t := s.run.task
	var given error
	if expected := t.toReceive.Load(); s.resp.Body != protocols.NoBody && t.received.Load() != expected {
		given = s.run.newError(Cancelled, errStreamClosed)
	}
	err := s.resp.Body.Close()
	s.run.ended(given)
	s.run.cancel(nil)

	return err
}

var errStreamClosed = errors.New("the stream is closed")

// failureOf is nil at the body's end.
func failureOf(err error) error {
	if err == io.EOF { //nolint:errorlint // a Reader returns io.EOF bare
		return nil
	}

	return err
}

// plainTask is the engine's task of a call without a delegate.
func (s *core) plainTask(ctx context.Context, req *Request) *engine.Task {
	c, log := s.measure(ctx, req), s.debugLog(ctx)
	if c == nil && log == nil {
		return &s.plain
	}
	task := s.plain
	task.Log = log
	if c != nil {
		c.hook(&task)
		task.Ended = c.end
	}

	return &task
}
