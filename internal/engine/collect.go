package engine

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

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
	Sent      int64               // bytes of the request's body
	Received  int64               // bytes of the body on the wire
	Decoded   int64               // bytes of the body given to the app
	Redirects int                 // followed so far
	Retry     RetryReason         // why it repeats the one before
	Ended     time.Time
	Err       error
}

// collect reports the hop's transaction. An inner hop's may come from another
// goroutine than the pipeline's.
func (h *hop) collect(resp *protocols.Response, received int64, err error) {
	l := h.of
	if l.task.Collect == nil {
		return
	}
	if err == io.EOF { //nolint:errorlint // the body's end, bare
		err = nil
	}
	h.request.Trace.Mark(protocols.ResponseEnd)
	h.request.Trace.Complete()
	t := &Transaction{
		Request: &h.request, Response: resp, Sent: max(h.request.Trace.Bytes(protocols.RequestBodyBytes), 0),
		Received: received, Ended: time.Now(), Err: err, Inner: h.outer != nil,
		Decoded: received, Redirects: int(h.redirects), Retry: h.reason,
		Policy: h.verdict(), Network: h.match.Instance != nil && h.match.Security != protocols.Local,
	}
	if i := h.match.Instance; i != nil {
		t.Protocol, t.Scheme = strings.TrimPrefix(fmt.Sprintf("%T", i.Protocol), "*"), i.Scheme.Name
	}
	if h.outer == nil && l.body.hop == h {
		t.Decoded = l.body.given.Load()
	}
	l.task.Collect(t)
}

// refuse reports a hop that a stage ended before it was loaded.
func (h *hop) refuse(phase string, err error) error {
	h.collect(nil, 0, err)

	return at(phase, err)
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
	if err != nil {
		c.report(err)
	}

	return n, err
}

func (c *counted) Close() error {
	err := c.ReadCloser.Close()
	c.report(nil)

	return err
}

func (c *counted) report(err error) {
	c.once.Do(func() { c.hop.collect(c.resp, c.count.Load(), err) })
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
