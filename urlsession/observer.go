package urlsession

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"

	"github.com/urlkit/urlkit/internal/engine"
)

// Observer watches the loads of a session: to record, trace or count them.
// Configuration.Observers are asked by all loads at once, so that it must be safe
// for concurrent use.
type Observer interface {
	// Observe is called when a load begins: at the call, or when it is a task's turn.
	// ctx is that of the call, or of the http.Request; a task's has no values. req must
	// not be changed. nil: this load is of no interest. A task that is cancelled before
	// its turn, and a load that an invalid session refuses, are not observed.
	Observe(ctx context.Context, req *Request) *Observation
}

// Observation is what an Observer wants of one load. Its functions may be nil. They
// run on the goroutine that carries the load on, and hold it up; DidFinishCollecting of
// a task runs in its place among the calls of the delegate.
type Observation struct {
	// WillSend is called before the request of a transaction goes to its protocol; not
	// where the cache answers. The very req becomes TransactionMetrics.Request and must
	// not be changed; header fields that are to be added to it are returned: one value
	// each, sent with this transaction only, unless the request has the field already.
	// A redirect does not carry them on. Inner loads of one task may ask at once.
	WillSend func(req *Request) http.Header
	// Bodies is how many bytes of each transaction's bodies TransactionMetrics holds;
	// 0: none.
	Bodies int
	// DidFinishCollecting is called once, before the load is complete. m must not be
	// changed: others get it too.
	DidFinishCollecting func(m *TaskMetrics)
}

// measure asks the app's context and the observers who measures a load; nil: nobody
// does.
func (s *core) measure(ctx context.Context, req *Request) *collector {
	c := collectorOf(ctx)
	if c != nil && !c.begin() {
		c = nil
	}
	for _, o := range s.configuration.Observers {
		var seen *Observation
		s.guard(func() { seen = o.Observe(ctx, req) })
		if seen == nil {
			continue
		}
		if c == nil {
			c = newCollector()
		}
		c.observations = append(c.observations, seen)
	}
	if c != nil {
		c.session = s
	}

	return c
}

// hook makes the engine report to the collector; nil: to nobody.
func (c *collector) hook(task *engine.Task) {
	if c == nil {
		return
	}
	task.Collect = c.collect
	for _, o := range c.observations {
		task.Keep = max(task.Keep, o.Bodies)
		if o.WillSend != nil {
			task.Fields = c.fields
		}
	}
}

// fields are what the observers add to a request.
func (c *collector) fields(req *Request) http.Header {
	var all http.Header
	for _, o := range c.observations {
		if o.WillSend == nil {
			continue
		}
		c.session.guard(func() {
			for name, values := range o.WillSend(req) {
				if all == nil {
					all = make(http.Header)
				}
				all[name] = values
			}
		})
	}

	return all
}

// tell makes the last calls of the observations.
func (c *collector) tell() {
	for _, o := range c.observations {
		if o.DidFinishCollecting != nil {
			c.session.guard(func() { o.DidFinishCollecting(c.metrics) })
		}
	}
}

// guard calls a function of an observer's. Its panic is no matter of the load's.
func (s *core) guard(call func()) {
	defer func() {
		if v := recover(); v != nil {
			s.log().Error("urlsession: an observer panicked", "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
		}
	}()
	call()
}

// debugLog is where a load records what it does; nil: nowhere, because nobody looks.
func (s *core) debugLog(ctx context.Context) *slog.Logger {
	log := s.log()
	if !log.Enabled(ctx, slog.LevelDebug) {
		return nil
	}
	attrs := []any{slog.Uint64("load", s.loads.Add(1))}
	if label := s.label.Load(); label != nil && *label != "" {
		attrs = append(attrs, slog.String("session", *label))
	}

	return log.With(attrs...)
}
