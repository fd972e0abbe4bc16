package conformance_test

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/proxy"
)

var policyFlaws = map[string]flaw{
	"concurrent": func(_ *testing.T, c protocols.Client) protocols.URLProtocol {
		var mu sync.Mutex
		var latest *protocols.Request
		f := newFrame(c)
		f.latest = func(*protocols.Request) *protocols.Request {
			mu.Lock()
			defer mu.Unlock()

			return latest
		}

		return altered{f, func(ctx context.Context, req *protocols.Request) (*protocols.Response, error) {
			mu.Lock()
			latest = req.Clone()
			mu.Unlock()

			return f.Load(ctx, req)
		}}
	},
	"independent": func(_ *testing.T, c protocols.Client) protocols.URLProtocol {
		inner, turn := newFrame(c), make(chan struct{}, 1)

		return altered{inner, func(ctx context.Context, req *protocols.Request) (*protocols.Response, error) {
			resp, err := inner.Load(ctx, req)
			if err != nil || resp.Body == protocols.NoBody {
				return resp, err
			}
			select {
			case turn <- struct{}{}:
			case <-ctx.Done():
				_ = resp.Body.Close()

				return nil, ctx.Err()
			}
			body := resp.Body
			resp.Body = &alteredBody{ReadCloser: body, close: sync.OnceValue(func() error {
				<-turn

				return body.Close()
			})}

			return resp, nil
		}}
	},
	"unlocked": func(_ *testing.T, c protocols.Client) protocols.URLProtocol {
		var mu sync.Mutex

		return newFrame(alteredClient{c, func(ctx context.Context, network, addr string) (net.Conn, error) {
			mu.Lock()
			defer mu.Unlock()

			return c.Dial(ctx, network, addr)
		}})
	},
	"untraced": func(_ *testing.T, c protocols.Client) protocols.URLProtocol {
		f := newFrame(c)
		f.informs = true

		return f
	},
	"through-client": func(_ *testing.T, c protocols.Client) protocols.URLProtocol {
		return newFrame(alteredClient{c, func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := new(proxy.Dialer).DialContext(ctx, network, bypassed.Load().(string))
			if err == nil {
				context.AfterFunc(ctx, func() { _ = conn.Close() })
			}

			return conn, err
		}})
	},
	"local": func(_ *testing.T, c protocols.Client) protocols.URLProtocol {
		return altered{memory{}, func(ctx context.Context, req *protocols.Request) (*protocols.Response, error) {
			if conn, err := c.Dial(ctx, "tcp", serverName+":4000"); err == nil { // tells home what is read
				_ = conn.Close()
			}

			return memory{}.Load(ctx, req)
		}}
	},
	"encrypted": func(_ *testing.T, c protocols.Client) protocols.URLProtocol {
		inner := newFrame(c)
		inner.secure = true

		return altered{inner, func(ctx context.Context, req *protocols.Request) (*protocols.Response, error) {
			if conn, err := c.Dial(ctx, "tcp", req.HostPort()); err == nil { // a greeting, for statistics
				_, _ = conn.Write([]byte("hello\n"))
				_ = conn.Close()
			}

			return inner.Load(ctx, req)
		}}
	},
	"claims": func(_ *testing.T, c protocols.Client) protocols.URLProtocol { return curious{newFrame(c)} },
	"unwrap": func(_ *testing.T, c protocols.Client) protocols.URLProtocol { return hollow{newFrame(c)} },
}

// bypassed is the real address of the fixture that is betrayed.
var bypassed atomic.Value

// curious looks into what it is asked about.
type curious struct{ *frame }

func (c curious) Claims(req *protocols.Request) bool {
	if body, err := req.OpenBody(); err == nil && body != nil {
		_ = body.Close()
	}

	return c.frame.Claims(req)
}

// hollow wraps a protocol and does not tell which.
type hollow struct{ inner *frame }

func (h hollow) Load(ctx context.Context, req *protocols.Request) (*protocols.Response, error) {
	return h.inner.Load(ctx, req)
}

func (h hollow) Unwrap() protocols.URLProtocol { return nil }
