package engine

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/urlkit/urlkit/path"
	"github.com/urlkit/urlkit/protocols"
)

// Transaction is what one hop did (Apple's
// URLSessionTaskTransactionMetrics). It is made only where a Task collects.
type Transaction struct {
	Request   *protocols.Request
	Response  *protocols.Response // nil: none came; its Body is closed
	Protocol  string              // the URLProtocol's type
	Scheme    string              // the name under which it is registered
	Policy    string              // what App Transport Security decided
	Inner     bool                // made by a protocol for another request
	Network   bool                // the protocol may connect
	Path      path.Path           // at the end, where it may
	Cache     string              // what the cache had to say, in words; "": it was not asked
	Local     bool                // the response is a stored one
	Sent      int64               // bytes of the request's body, as the protocol has read them
	Received  int64               // bytes of the body, before decoding
	Decoded   int64               // bytes of the body given to the app
	Redirects int                 // followed so far
	Retry     RetryReason         // why it repeats the one before
	Err       error               // a *protocols.Error; nil: none

	// RequestBody and ResponseBody are the beginnings of the bodies, the latter as the
	// app was given it, where the Task keeps them.
	RequestBody, ResponseBody []byte
}

// ending is how a hop came to its end.
type ending struct {
	resp     *protocols.Response // nil: none came
	received int64               // bytes of its body, before decoding
	decoded  int64               // and those that were given on
	whole    bool                // the body was read to its end
	err      error
}

// collect reports a hop whose body nobody is given.
func (h *hop) collect(resp *protocols.Response, received int64, err error) {
	h.report(ending{resp: resp, received: received, whole: err == nil, err: err})
}

// report reports the hop's transaction. An inner hop's may come from another
// goroutine than the pipeline's.
func (h *hop) report(e ending) {
	l, trace := h.of, h.request.Trace
	h.logCache()
	if l.task.Collect == nil {
		return
	}
	if e.whole && e.resp != nil {
		trace.Mark(protocols.ResponseEnd)
	}
	trace.Complete()
	t := &Transaction{
		Request: &h.request, Response: e.resp, Sent: max(trace.Bytes(protocols.RequestBodyBytes), 0),
		Received: e.received, Decoded: e.decoded, Err: h.failure(e.err), Inner: h.outer != nil,
		Redirects: int(h.redirects), Retry: h.reason,
		Policy: h.verdict(), Network: h.match.Instance != nil && h.match.Security != protocols.Local,
	}
	t.RequestBody, t.ResponseBody = h.kept.bodies()
	t.Cache, t.Local = h.cached.verdict()
	t.Received = h.cached.received(t.Received)
	t.Network = t.Network && !t.Local
	if monitor := l.engine.config.Path; t.Network && monitor != nil {
		t.Path = monitor.Current()
	}
	if i := h.match.Instance; i != nil {
		t.Protocol, t.Scheme = strings.TrimPrefix(fmt.Sprintf("%T", i.Protocol), "*"), i.Scheme.Name
	}
	l.task.Collect(t)
}

// retrace begins a second transaction of the same hop.
func (h *hop) retrace() {
	if h.request.Trace != nil {
		h.request.Trace = &protocols.Trace{}
		h.request.Trace.Mark(protocols.FetchStart)
	}
}

// markLocal marks the moments of a transaction that needs nobody else.
func (h *hop) markLocal() {
	for _, e := range []protocols.Event{protocols.RequestStart, protocols.RequestEnd, protocols.ResponseStart} {
		h.request.Trace.Mark(e)
	}
}

// refuse reports a hop that a stage ended before it was loaded.
func (h *hop) refuse(phase string, err error) error {
	err = at(phase, err)
	h.collect(nil, 0, err)

	return err
}

// collectLater reports an inner hop at the end of its body.
func (h *hop) collectLater(resp *protocols.Response) {
	if resp.Body == protocols.NoBody {
		h.collect(resp, 0, nil)

		return
	}
	resp.Body = &counted{ReadCloser: resp.Body, hop: h, resp: resp}
}

// counted is an inner hop's body: its bytes move the load's clock, and are
// measured.
type counted struct {
	io.ReadCloser

	hop   *hop
	resp  *protocols.Response
	count atomic.Int64
	once  sync.Once
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	if n > 0 {
		c.count.Add(int64(n))
		c.hop.of.touch()
	}
	if err == io.EOF {
		c.report(true, nil)
	} else if err != nil {
		c.report(false, err)
	}

	return n, err
}

func (c *counted) Close() error {
	err := c.ReadCloser.Close()
	c.report(c.count.Load() == c.resp.KnownLength(), nil)

	return err
}

func (c *counted) report(whole bool, err error) {
	c.once.Do(func() {
		n := c.count.Load()
		c.hop.report(ending{resp: c.resp, received: n, decoded: n, whole: whole, err: err})
	})
}

// verdict is App Transport Security's decision in words.
func (h *hop) verdict() string {
	if h.match.Instance == nil {
		return ""
	}
	if h.match.Security == protocols.Local {
		return "local: no network"
	}

	return h.of.engine.rules.Explain(h.judged(h.request.URL.Host)).String()
}
