package conformance_test

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/urlkit/urlkit/protocols"
)

var lifeFlaws = map[string]flaw{
	"goroutines": func(_ *testing.T, c protocols.Client) protocols.URLProtocol {
		inner, closed := newFrame(c), make(chan struct{})

		return closing{altered{inner, func(ctx context.Context, req *protocols.Request) (*protocols.Response, error) {
			go func() { <-closed }() // watches over the load

			return inner.Load(ctx, req)
		}}, sync.OnceFunc(func() { close(closed) })}
	},
	"connections": func(_ *testing.T, c protocols.Client) protocols.URLProtocol { return newHoarder(c) },
	"close-spares-loads": func(_ *testing.T, c protocols.Client) protocols.URLProtocol {
		var mu sync.Mutex
		var conns []net.Conn

		return closing{newFrame(alteredClient{c, func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := c.Dial(ctx, network, addr)
			if err == nil {
				mu.Lock()
				defer mu.Unlock()
				conns = append(conns, conn)
			}

			return conn, err
		}}), func() {
			mu.Lock()
			defer mu.Unlock()
			for _, conn := range conns {
				_ = conn.Close()
			}
		}}
	},
	"load-after-close": func(_ *testing.T, c protocols.Client) protocols.URLProtocol {
		var closed atomic.Bool
		inner := newFrame(c)

		return closing{altered{inner, func(ctx context.Context, req *protocols.Request) (*protocols.Response, error) {
			if closed.Load() {
				return nil, net.ErrClosed
			}

			return inner.Load(ctx, req)
		}}, func() { closed.Store(true) }}
	},
	"shutdown": func(t *testing.T, c protocols.Client) protocols.URLProtocol {
		inner := newFrame(c)
		watch := sync.OnceFunc(func() { go func() { <-t.Context().Done() }() })

		return altered{inner, func(ctx context.Context, req *protocols.Request) (*protocols.Response, error) {
			watch()

			return inner.Load(ctx, req)
		}}
	},
}

// closing is a protocol with another Close.
type closing struct {
	protocols.URLProtocol
	close func()
}

func (c closing) Unwrap() protocols.URLProtocol { return c.URLProtocol }

func (c closing) Close() error {
	c.close()

	return nil
}

// hoarder keeps the connection of a body that is closed before its end.
type hoarder struct {
	inner *frame

	mu   sync.Mutex
	kept []net.Conn
}

type connKey struct{}

func newHoarder(c protocols.Client) *hoarder {
	return &hoarder{inner: newFrame(alteredClient{c, func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dialDetached(ctx, network, addr, c)
		if err == nil {
			*ctx.Value(connKey{}).(*net.Conn) = conn
			*ctx.Value(stopKey{}).(*func() bool) = context.AfterFunc(ctx, func() { _ = conn.Close() })
		}

		return conn, err
	}})}
}

type stopKey struct{}

func (h *hoarder) Unwrap() protocols.URLProtocol { return h.inner }

func (h *hoarder) Load(ctx context.Context, req *protocols.Request) (*protocols.Response, error) {
	var conn net.Conn
	stop := func() bool { return true }
	resp, err := h.inner.Load(context.WithValue(context.WithValue(ctx, connKey{}, &conn), stopKey{}, &stop), req)
	if err != nil || resp.Body == protocols.NoBody {
		return resp, err
	}
	body := resp.Body
	var mu sync.Mutex
	whole := false
	resp.Body = &alteredBody{body, func(p []byte) (int, error) {
		n, err := body.Read(p)
		mu.Lock()
		defer mu.Unlock()
		whole = whole || errors.Is(err, io.EOF)

		return n, err
	}, sync.OnceValue(func() error {
		mu.Lock()
		defer mu.Unlock()
		if whole || !stop() {
			return body.Close()
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		h.kept = append(h.kept, conn)

		return conn.SetDeadline(time.Unix(1, 0)) // releases who reads
	})}

	return resp, nil
}

func (h *hoarder) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	var errs []error
	for _, conn := range h.kept {
		errs = append(errs, conn.Close())
	}
	h.kept = nil

	return errors.Join(errs...)
}
