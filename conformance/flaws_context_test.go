package conformance_test

import (
	"context"
	"net"
	"testing"

	"github.com/urlkit/urlkit/protocols"
)

var contextFlaws = map[string]flaw{
	"cancelled-before": onLoad(func(ctx context.Context, req *protocols.Request, p protocols.URLProtocol) (*protocols.Response, error) {
		if ctx.Err() != nil { // "too late to stop what has begun"
			ctx = context.WithoutCancel(ctx)
		}

		return p.Load(ctx, req)
	}),
	"cancelled-in-dial": onDial(func(ctx context.Context, network, addr string, c protocols.Client) (net.Conn, error) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		conn, err := c.Dial(context.WithoutCancel(ctx), network, addr)
		if err == nil {
			context.AfterFunc(ctx, func() { _ = conn.Close() })
		}

		return conn, err
	}),
	"cancelled-at-head": func(_ *testing.T, c protocols.Client) protocols.URLProtocol {
		inner := newFrame(alteredClient{c, func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dialDetached(ctx, network, addr, c)
			if at, ok := ctx.Deadline(); ok && err == nil {
				err = conn.SetDeadline(at)
			}

			return conn, err
		}})

		return altered{inner, func(ctx context.Context, req *protocols.Request) (*protocols.Response, error) {
			resp, err := inner.Load(ctx, req)
			if err == nil {
				body := resp.Body
				context.AfterFunc(ctx, func() { _ = body.Close() })
			}

			return resp, err
		}}
	},
	"cancelled-in-body": func(_ *testing.T, c protocols.Client) protocols.URLProtocol {
		inner := newFrame(alteredClient{c, func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dialDetached(ctx, network, addr, c)
			if err == nil {
				*ctx.Value(stopKey{}).(*func() bool) = context.AfterFunc(ctx, func() { _ = conn.Close() })
			}

			return conn, err
		}})

		return altered{inner, func(ctx context.Context, req *protocols.Request) (*protocols.Response, error) {
			stop := func() bool { return true }
			defer func() { stop() }()

			return inner.Load(context.WithValue(ctx, stopKey{}, &stop), req)
		}}
	},
	"deadline": onDial(func(ctx context.Context, network, addr string, c protocols.Client) (net.Conn, error) {
		at, ok := ctx.Deadline()
		if !ok {
			return c.Dial(ctx, network, addr)
		}
		conn, err := dialDetached(ctx, network, addr, c)
		if err == nil {
			err = conn.SetWriteDeadline(at) // and who reads?
		}

		return conn, err
	}),
}

// dialDetached makes a connection that outlives ctx. While it connects, ctx
// counts.
func dialDetached(ctx context.Context, network, addr string, c protocols.Client) (net.Conn, error) {
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, cancel)
	conn, err := c.Dial(life, network, addr)
	if !stop() && err == nil {
		_ = conn.Close()
		err = ctx.Err()
	}
	if err != nil {
		cancel()

		return nil, err
	}

	return &releasing{conn, cancel}, nil
}

// releasing is a connection that gives its context up with itself.
type releasing struct {
	net.Conn
	cancel context.CancelFunc
}

func (r *releasing) Close() error {
	defer r.cancel()

	return r.Conn.Close()
}
