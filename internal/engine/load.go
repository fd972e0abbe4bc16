package engine

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/registry"
)

// Task is what the session adds to one load. All of its functions may be nil.
type Task struct {
	// OneHop ends the pipeline after the first hop: no cookies, redirects or
	// credentials (http.RoundTripper's contract).
	OneHop bool
	// Nested: the load is made inside a callback, and others may wait for that.
	Nested bool
	// Brief: it is made for another load, for which it neither waits for connectivity nor
	// repeats by the policy: that does. As long as loads run it may begin after Finish.
	Brief bool
	// Challenge answers a challenge.
	Challenge func(context.Context, *protocols.Challenge) (protocols.Disposition, *protocols.Credential)
	// Redirect is asked before a redirect is followed, and gives what to load. A
	// nil answer refuses it: the redirect itself becomes the result.
	Redirect func(context.Context, *protocols.Response, *protocols.Request) (*protocols.Request, error)
	// Unsent gives the body behind one whose readers count what is sent: it is to be
	// read, and not sent.
	Unsent func(*protocols.Body) *protocols.Body
	// Inform is told of interim responses (1xx).
	Inform func(context.Context, *protocols.Response)
	// Waiting is told, once at most, that there is no path and that the load waits
	// for one (Apple's taskIsWaitingForConnectivity).
	Waiting func()
	// Held returns when the task is not suspended, with an error where it was
	// cancelled. It is called before a hop is loaded again.
	Held func() error
	// Uncached: nothing is answered from the cache, or stored there. Uploads and
	// downloads are such tasks. What an unsafe method invalidates goes all the same.
	Uncached bool
	// Cache is asked whether a response may be stored, once all of its body has come,
	// and gives the policy: that which it is told, or a stricter one (Apple's
	// willCacheResponse). It is not asked of redirects, which are not stored then.
	Cache func(ctx context.Context, resp *protocols.Response, policy protocols.CacheStoragePolicy) protocols.CacheStoragePolicy
	// Collect is told of each transaction once it is done, in order; nil: nothing
	// is measured.
	Collect func(*Transaction)
	// Fields gives header fields for one transaction, before its request goes to its
	// protocol: those that the request lacks are added to this request, and not to
	// the one that a redirect leads to.
	Fields func(*protocols.Request) http.Header
	// Keep is how many bytes of each body a Transaction has; 0: none.
	Keep int
	// Ended is told once that the load is over, after the last transaction, and how it
	// failed; nil: it did not.
	Ended func(error)
	// Reprioritization tells of changes of the task's priority; nil: there are none.
	Reprioritization *protocols.Reprioritization
	// Log gets records of what the load does, at debug level; nil: nobody wants them.
	Log *slog.Logger

	validates bool // the load validates what is stored, for a response that was served stale
}

var noTask = &Task{}

// load is one load: the state that its hops share. It is made for the life of
// the load and released at the end of the body.
type load struct {
	engine *Engine
	task   *Task
	ctx    context.Context // the caller's, made cancellable
	cancel context.CancelCauseFunc
	parent context.Context // the caller's

	instances   *registry.Instances // of all hops, so that a flush brings no protocol in a second time
	first       hop                 // the first hop needs no allocation of its own
	op          string
	failing     *url.URL // what an error names
	redirects   int32
	replays     int32
	retries     int                     // that the policy made
	reason      RetryReason             // of the next hop
	waits       atomic.Int32            // for connectivity
	grace       int                     // attempts with a resolver that is not ready
	opened      atomic.Bool             // a body that is not in memory
	answers     atomic.Pointer[answers] // to challenges; nil: none
	lead        atomic.Pointer[flight]  // others wait for its response; nil: none do
	inner       atomic.Int32            // loads that protocols made, but for those of which nothing was carried out
	acrossSites bool                    // a redirect led to another site
	plain       bool                    // the app set Accept-Encoding: coded bodies are delivered as they are

	timer entry // guarded by the clock's lock
	idle  time.Duration
	moved atomic.Int64 // when a byte moved last, or waiting began
	wait  atomic.Int32 // waiting for the network: 1

	body      body
	continued *continued // of the body; nil: it is not continued
	ended     sync.Once

	openMu sync.Mutex
	open   interface{ Close() error } // what abandon closes
}

// Load runs the pipeline. The response's Body is decoded, and the caller must
// close it; every error, that of the body included, is a *protocols.Error.
func (e *Engine) Load(ctx context.Context, req *protocols.Request, task *Task) (*protocols.Response, error) {
	return e.LoadIn(new(Room), ctx, req, task)
}

// LoadIn is Load with the caller's room.
func (e *Engine) LoadIn(room *Room, ctx context.Context, req *protocols.Request, task *Task) (*protocols.Response, error) {
	if task == nil {
		task = noTask
	}
	l := &room.load
	if err := l.begin(e, ctx, req, task); err != nil {
		return nil, err
	}
	room.begin()
	done := false
	defer func() {
		if !done {
			l.end(errInterrupted) // a panic of the app's, or runtime.Goexit, passes through
		}
	}()
	resp, err := l.run(req)
	if err != nil {
		err = l.fail(err, "")
		l.end(err)
	}
	done = true

	return resp, err
}

// run is the pipeline: one turn of the loop is one hop.
func (l *load) run(req *protocols.Request) (*protocols.Response, error) {
	l.wait.Store(1) // the clock has just begun
	defer l.idling()
	for h := &l.first; ; h = new(hop) {
		h.init(l, l.ctx, nil, req)
		l.failing, l.op = req.URL, h.request.Method
		h.reason, l.reason = l.reason, RetryNone
		if err := h.lookup(); err != nil {
			return nil, h.refuse("lookup", err)
		}
		if err := h.gate(); err != nil {
			return nil, h.refuse("policy", err)
		}
		h.route()
		h.attachCookies()
		if err := l.authorize(h); err != nil {
			return nil, h.refuse("challenge", err)
		}
		resp, err := h.cache()
		if err != nil {
			return nil, h.refuse("cache", err)
		}
		if resp == nil {
			again := false
			if resp, again, err = l.fetch(h); err != nil {
				return nil, err
			} else if again {
				continue
			}
		}
		if next, err := l.challenged(h, resp); err != nil {
			return nil, h.reject(resp, "challenge", err)
		} else if next {
			continue
		}
		if next, err := l.redirected(h, resp); err != nil {
			return nil, h.reject(resp, "redirect", err)
		} else if next != nil {
			req = next

			continue
		}
		l.continuable(h, resp)
		h.store(resp)
		l.answers.Load().settle()

		return l.deliver(h, resp)
	}
}

// fetch loads a hop that the cache has not answered. again: it is to be loaded once
// more.
func (l *load) fetch(h *hop) (resp *protocols.Response, again bool, err error) {
	resp, err = h.load()
	l.touch() // the head's bytes
	if err != nil {
		if l.repeats(h, err) {
			return nil, true, nil
		}
		resp, err = h.staleIfError(err)

		return resp, false, err
	}
	h.learnCookies(resp)
	if again, err = l.answeredForNow(h, resp); again || err != nil {
		return nil, again, err
	}
	resp, err = h.answered(resp)

	return resp, false, err
}

func (l *load) begin(e *Engine, ctx context.Context, req *protocols.Request, task *Task) error {
	l.engine, l.task, l.parent, l.op = e, task, ctx, canonicalMethod(req.Method)
	l.first.given = req // whose body is to be closed in every outcome
	if req.URL == nil {
		return l.refuse(&protocols.Error{Code: protocols.UnsupportedURL, Op: l.op, Err: errNoURL})
	}
	l.failing = req.URL
	l.ctx, l.cancel = context.WithCancelCause(ctx)
	l.plain = len(req.Header) > 0 && canonicalHeader(req.Header).Get("Accept-Encoding") != ""
	l.setClock(req.Timeout)
	if err := e.clock.add(l); err != nil {
		l.cancel(nil)

		return l.refuse(l.fail(err, ""))
	}
	l.logBegin(req)
	l.instances = e.instances.Load()
	if err := ctx.Err(); err != nil {
		err = l.fail(err, "")
		l.end(err)

		return err
	}

	return nil
}

var errInterrupted = errors.New("a function of the app's ended the load")

// refuse ends a load that has not begun.
func (l *load) refuse(err error) error {
	l.dropBody()
	if l.task.Ended != nil {
		l.task.Ended(err)
	}

	return err
}

// end releases what the load holds. It is called once the result is complete, has
// failed (err is why), or is given up.
func (l *load) end(err error) {
	l.ended.Do(func() {
		l.leave()
		l.engine.clock.remove(l)
		l.cancel(nil)
		l.dropBody()
		l.answers.Load().release(l.engine)
		l.logEnd(err)
		if l.task.Ended != nil {
			l.task.Ended(err)
		}
		l.engine.clock.active.Done()
	})
}

// abandon ends a load from outside: its clock ran out, or the session is closed.
// The body is closed too, so that a reader is released whose protocol does not
// look at the context.
func (l *load) abandon(cause error) {
	l.cancel(cause)
	l.openMu.Lock()
	open := l.open
	l.openMu.Unlock()
	if open != nil {
		_ = open.Close()
		l.end(cause)
	}
}

// ask runs a question to the app: the clocks stand still meanwhile.
func (l *load) ask(question func()) {
	l.leave()
	l.engine.clock.pause(l)
	defer l.engine.clock.resume(l)
	question()
}
