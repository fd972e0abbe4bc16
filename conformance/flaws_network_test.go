package conformance_test

import (
	"context"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"

	"github.com/urlkit/urlkit/protocols"
)

// onConn is frame over other connections.
func onConn(alter func(c net.Conn) net.Conn) flaw {
	return onDial(func(ctx context.Context, network, addr string, c protocols.Client) (net.Conn, error) {
		conn, err := c.Dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}

		return alter(conn), nil
	})
}

// onDial is frame that connects in another way.
func onDial(dial func(ctx context.Context, network, addr string, c protocols.Client) (net.Conn, error)) flaw {
	return func(_ *testing.T, c protocols.Client) protocols.URLProtocol {
		return newFrame(alteredClient{c, func(ctx context.Context, network, addr string) (net.Conn, error) {
			return dial(ctx, network, addr, c)
		}})
	}
}

// readConn is a connection that is read in another way.
type readConn struct {
	net.Conn
	read func(p []byte) (int, error)
}

func (c *readConn) Read(p []byte) (int, error) { return c.read(p) }

var networkFlaws = map[string]flaw{
	"truncation": onBody(func(body io.ReadCloser) io.ReadCloser { return forgiving(body, io.ErrUnexpectedEOF) }),
	"reset":      onBody(func(body io.ReadCloser) io.ReadCloser { return forgiving(body, syscall.ECONNRESET) }),
	"byte-by-byte": onConn(func(c net.Conn) net.Conn {
		first := true

		return &readConn{c, func(p []byte) (int, error) {
			n, err := c.Read(p)
			if first && n < 8 && err == nil { // a head is never shorter
				err = errors.New("the head has no end")
			}
			first = false

			return n, err
		}}
	}),
	"no-retry": onLoad(func(ctx context.Context, req *protocols.Request, p protocols.URLProtocol) (*protocols.Response, error) {
		resp, err := p.Load(ctx, req)
		if errors.Is(err, syscall.ECONNRESET) {
			return p.Load(ctx, req)
		}

		return resp, err
	}),
	"garbage": onConn(func(c net.Conn) net.Conn {
		first := true

		return &readConn{c, func(p []byte) (int, error) {
			n, err := c.Read(p)
			if first && n > 0 {
				first = false
				_ = [10]byte{}[p[0]-'0'] // the class of the status
			}

			return n, err
		}}
	}),
	"endless-head": func(_ *testing.T, c protocols.Client) protocols.URLProtocol {
		f := newFrame(c)
		f.maxHead = 1 << 40

		return f
	},
}

// forgiving is a body that takes an error for its end.
func forgiving(body io.ReadCloser, forgiven error) io.ReadCloser {
	return &alteredBody{ReadCloser: body, read: func(p []byte) (int, error) {
		n, err := body.Read(p)
		if errors.Is(err, forgiven) {
			err = io.EOF
		}

		return n, err
	}}
}
