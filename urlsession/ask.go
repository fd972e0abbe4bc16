package urlsession

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/urlkit/urlkit/protocols"
)

var noDelegate = &Delegate{}

// merge gives the functions of a task: its own, and the session's where it has
// none.
func merge(own, session *Delegate) *Delegate {
	switch {
	case own == nil && session == nil:
		return noDelegate
	case own == nil:
		return session
	case session == nil:
		return own
	}
	merged := *session
	from, to := reflect.ValueOf(own).Elem(), reflect.ValueOf(&merged).Elem()
	for i := range from.NumField() {
		if f := from.Field(i); f.Kind() == reflect.Func && !f.IsNil() {
			to.Field(i).Set(f)
		}
	}

	return &merged
}

// hook gives the engine what the delegate wants to be asked and told.
func (r *run) hook(ctx context.Context) {
	t, told := r.task, r.told()
	r.hooks.Redirect, r.hooks.Held, r.hooks.Reprioritization = r.redirect, r.held, &r.changes
	if told.DidReceiveChallenge != nil {
		r.hooks.Challenge = r.challenge
	}
	switch t.self.(type) {
	case *UploadTask, *DownloadTask:
		r.hooks.Uncached = true
	}
	if told.WillCacheResponse != nil {
		r.hooks.Cache = r.willCache
	}
	if told.DidReceiveInformationalResponse != nil {
		r.hooks.Inform = r.inform
	}
	if told.TaskIsWaitingForConnectivity != nil {
		r.hooks.Waiting = func() {
			r.tell(func() { r.told().TaskIsWaitingForConnectivity(t.self) })
		}
	}
	if r.hooks.Log = r.session.debugLog(ctx); r.hooks.Log != nil {
		r.hooks.Log = r.hooks.Log.With("task", t.id)
	}
	r.metrics = r.session.measure(ctx, &t.request)
	if r.metrics == nil && told.DidFinishCollecting != nil {
		r.metrics = newCollector()
	}
	if r.metrics != nil {
		r.metrics.since(t.made)
		r.metrics.hook(&r.hooks)
	}
}

// inform tells of an interim response. It does not wait for that: it is called where
// a connection is read that serves other tasks too, and whoever tells something now
// may wait for one of them. A protocol bounds how many there are.
func (r *run) inform(_ context.Context, resp *protocols.Response) {
	t, interim := r.task, newResponse(resp)
	r.untold.Store(true)
	r.pump.post(func() {
		r.unlessOver(func() { r.told().DidReceiveInformationalResponse(t.self, interim) })
	})
}

// ask puts a question to the app and waits for the answer, until the task is
// cancelled: a function that does not return holds up nothing but itself. A
// blocking call asks on the goroutine of its caller. A task that is suspended
// meanwhile goes on when it is resumed.
func ask[T any](r *run, question func(ctx context.Context) T) (answer T, err error) {
	r.room.Pause() // the clocks stand still
	defer r.room.Continue()
	if r.untold.Swap(false) {
		r.tell(func() {}) // a question comes after what was left to others to tell
	}
	if err := r.ctx.Err(); err != nil { // nobody waits for the answer
		return answer, context.Cause(r.ctx)
	}
	if r.direct {
		answer = answered(r, question)

		return answer, r.held()
	}
	done := make(chan T)
	go func() {
		answer := answered(r, question)
		select {
		case done <- answer:
		case <-r.ctx.Done():
			if late, ok := any(answer).(interface{ drop() }); ok {
				late.drop()
			}
		}
	}()
	select {
	case answer = <-done:
		return answer, r.held()
	case <-r.ctx.Done():
		return answer, context.Cause(r.ctx)
	}
}

// held waits as long as the task is suspended. Its error is what cancelled the task.
func (r *run) held() error {
	if r.task.pass(r.ctx) != nil || r.ctx.Err() != nil {
		return context.Cause(r.ctx)
	}

	return nil
}

// answered asks.
func answered[T any](r *run, question func(ctx context.Context) T) (answer T) {
	if r.ctx.Err() != nil {
		return answer
	}
	p := &r.session.pump
	p.enter(r.task)
	defer p.exit()
	r.guard(func() { answer = question(r.ctx) })

	return answer
}

// guard calls a function of the app's. If it panics, or ends the goroutine as
// testing's FailNow does, the task ends.
func (r *run) guard(call func()) {
	returned := false
	defer func() {
		if v := recover(); !returned {
			r.end(panicError(v))
		}
	}()
	call()
	returned = true
}

// errEnded is what a task ends with where a function of the app's has ended its
// goroutine.
var errEnded = &Error{Code: Unknown, Err: errors.New("a function of the delegate ended its goroutine")}

// panicError is what a task ends with whose delegate panicked: the program goes on.
// A nil value is that of runtime.Goexit.
func panicError(value any) *Error {
	if value == nil {
		return errEnded
	}

	return &Error{Code: Unknown, Err: fmt.Errorf("a function of the delegate panicked: %v", value)}
}

func (r *run) redirect(_ context.Context, resp *protocols.Response, next *protocols.Request) (*protocols.Request, error) {
	t := r.task
	if r.told().WillPerformHTTPRedirection == nil {
		if err := r.held(); err != nil {
			return nil, err
		}
	} else {
		answer, err := ask(r, func(ctx context.Context) *Request {
			return r.told().WillPerformHTTPRedirection(ctx, t.self, newResponse(resp), next)
		})
		if answer == nil || err != nil {
			return nil, err
		}
		next = answer
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.current = next.Clone()

	return next, nil
}

// challenge asks the task's own delegate first, but for what concerns a connection
// that other tasks will use: there the session's is.
func (r *run) challenge(_ context.Context, c *protocols.Challenge) (protocols.Disposition, *protocols.Credential) {
	function := r.told().DidReceiveChallenge
	if d := r.task.session.delegated(); d != nil && d.DidReceiveChallenge != nil && ofConnection(&c.Space) {
		function = d.DidReceiveChallenge
	}
	type reply struct {
		disposition Disposition
		credential  *Credential
	}
	answer, err := ask(r, func(ctx context.Context) reply {
		disposition, credential := function(ctx, r.task.self, c)

		return reply{disposition, credential}
	})
	if err != nil {
		return CancelAuthenticationChallenge, nil
	}

	return answer.disposition, answer.credential
}

// ofConnection tells what Apple asks the session's delegate for. A login at a proxy is
// the task's.
func ofConnection(space *ProtectionSpace) bool {
	switch space.Method {
	case MethodServerTrust, MethodClientCertificate:
		return true
	case MethodNTLM, MethodNegotiate:
		return space.ProxyType == ""
	default:
		return false
	}
}

// tell makes a call of the delegate. Nothing is told once the task is complete.
func (r *run) tell(call func()) { r.pump.tell(func() { r.unlessOver(call) }) }

// give is tell for data.
func (r *run) give(data []byte, call func([]byte)) {
	r.pump.give(data, func(data []byte) { r.unlessOver(func() { call(data) }) })
}

// unlessOver makes a call that comes up for the task. The caller has the token.
func (r *run) unlessOver(call func()) {
	if r.over.Load() {
		return
	}
	if r.direct {
		r.session.pump.enter(r.task)
		defer r.session.pump.exit()
	}
	r.guard(call)
}
