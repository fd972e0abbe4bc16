package callback

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/urlkit/urlkit/protocols"
)

// Load implements protocols.URLProtocol.
func (p *urlProtocol) Load(ctx context.Context, req *protocols.Request) (*protocols.Response, error) {
	if ctx.Err() != nil {
		return nil, contextError(ctx)
	}
	if req.URL == nil {
		return nil, req.Validate()
	}
	c := newClient(ctx, p.session)
	c.executor.run(func() { c.start(p.class, req) })
	<-c.head // closed when ctx ends, too

	return c.result()
}

func newClient(ctx context.Context, session protocols.Client) *Client {
	c := &Client{session: session, head: make(chan struct{}), turn: make(chan struct{}, 1)}
	c.ctx, c.cancel = context.WithCancel(ctx)
	c.reader, c.writer = io.Pipe()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unwatch = context.AfterFunc(ctx, func() { c.end(contextError(ctx)) })

	return c
}

// start makes the instance and starts it, on the executor.
func (c *Client) start(class Class, req *protocols.Request) {
	if c.ctx.Err() != nil {
		return // ended before it began
	}
	if class.New == nil {
		c.end(protocols.Errorf(protocols.Unknown, "callback: the Class has no New"))

		return
	}
	guard("the Class", func() {
		c.request = class.Canonical(req)
		if c.request == nil || c.request.URL == nil {
			c.end(protocols.Errorf(protocols.BadURL, "callback: CanonicalRequest returned no request"))

			return
		}
		if class.CachedResponse != nil {
			c.cached = class.CachedResponse(c.ctx, c.request)
		}
		if c.cached != nil && c.cached.Request != nil && !class.CacheEquivalent(c.request, c.cached.Request) {
			c.cached = nil
		}
		// The instance's request is its own: what the Client reads stays as it is.
		if c.instance = class.New(c.request.Clone(), c.cached, c); c.instance == nil {
			c.end(protocols.Errorf(protocols.UnsupportedURL, "callback: New returned no Protocol"))
		}
	}, c.end)
	if c.instance == nil || c.ctx.Err() != nil {
		return
	}
	c.started = true
	guard("StartLoading", c.instance.StartLoading, c.end)
}

// stop lets the instance stop, on the executor, after all that was to run before.
// It has nowhere to report a panic: the load has its result.
func (c *Client) stop() {
	if c.started {
		guard("StopLoading", c.instance.StopLoading, func(error) {})
	}
}

// respond gives Load its response.
func (c *Client) respond(r *protocols.Response) {
	c.response = r
	c.announce()
}

// announce lets Load return. The caller holds mu.
func (c *Client) announce() {
	if !c.announced {
		c.announced = true
		close(c.head)
	}
}

// end ends the load; the first end counts. nil is success.
func (c *Client) end(err error) {
	c.mu.Lock()
	if c.phase == ended {
		c.mu.Unlock()

		return
	}
	c.phase, c.err, c.question = ended, err, nil
	unwatch := c.unwatch
	c.mu.Unlock()
	c.cancel()
	unwatch()
	_ = c.writer.CloseWithError(err) // nil: EOF
	c.mu.Lock()
	c.announce()
	c.mu.Unlock()
	c.executor.run(c.stop)
}

// result is what Load returns. A response that was received counts even where the
// load failed after it: its body tells.
func (c *Client) result() (*protocols.Response, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.response == nil {
		return nil, c.err
	}

	return c.response, nil
}

// body is what the protocol gives to DidLoad.
type body struct{ c *Client }

var errBodyClosed = errors.New("the body was closed before its end")

func (b body) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}

	n, err := b.c.reader.Read(p)
	if err == io.EOF { //nolint:errorlint // io.Reader's contract: EOF comes bare
		b.c.mu.Lock()
		b.c.response.Trailer = b.c.trailer // here, so that only the reader changes its response
		b.c.mu.Unlock()
	}

	return n, err
}

// Close ends the load if it has not ended.
func (b body) Close() error {
	b.c.end(errBodyClosed)

	return b.c.reader.Close()
}

// contextError is the context's error, and its cause beneath.
func contextError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if errors.Is(cause, err) {
		return cause
	}

	return fmt.Errorf("%w: %w", err, cause)
}
