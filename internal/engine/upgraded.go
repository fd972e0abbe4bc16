package engine

import (
	"context"
	"net"
	"sync"

	"github.com/urlkit/urlkit/protocols"
)

// deliverConnection is deliver for a response that is a connection: the session
// ends it with the context. The clocks end at the handshake.
func (l *load) deliverConnection(h *hop, resp *protocols.Response) *protocols.Response {
	h.collect(resp, 0, nil)
	l.engine.clock.stop(l)
	resp.Body = protocols.NoBody
	resp.ContentLength = 0
	if conn := resp.Upgraded; conn != nil {
		u := &upgraded{Conn: conn, of: l}
		u.stop = context.AfterFunc(l.ctx, func() { _ = u.close() })
		resp.Upgraded = u
		l.setOpen(u)
	}
	if m := resp.Messages; m != nil {
		c := &messages{Messages: m, of: l}
		c.stop = context.AfterFunc(l.ctx, func() { _ = c.close(1001, "") })
		resp.Messages = c
		l.setOpen(closing{c})
	}

	return resp
}

func (l *load) setOpen(c interface{ Close() error }) {
	l.openMu.Lock()
	defer l.openMu.Unlock()
	l.open = c
}

// upgraded is a connection after 101 or CONNECT.
type upgraded struct {
	net.Conn

	of   *load
	stop func() bool
	once sync.Once
	err  error
}

func (u *upgraded) Unwrap() net.Conn { return u.Conn }

func (u *upgraded) Close() error {
	u.stop()

	return u.close()
}

func (u *upgraded) close() error {
	u.once.Do(func() {
		u.err = u.Conn.Close()
		u.of.end(nil)
	})

	return u.err
}

// messages is a message connection.
type messages struct {
	protocols.Messages

	of   *load
	stop func() bool
	once sync.Once
	err  error
}

func (m *messages) Close(code int, reason string) error {
	m.stop()

	return m.close(code, reason)
}

func (m *messages) close(code int, reason string) error {
	m.once.Do(func() {
		m.err = m.Messages.Close(code, reason)
		m.of.end(nil)
	})

	return m.err
}

// closing makes an io.Closer of a message connection: going away (1001).
type closing struct{ m *messages }

func (c closing) Close() error { return c.m.close(1001, "") }
