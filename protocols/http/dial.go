package http

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"slices"

	"github.com/urlkit/urlkit/protocols"
)

// dial is one attempt to connect. It belongs to the waiter that started it, and
// goes on for the others when that one leaves. Guarded by the pool's lock.
type dial struct {
	host    *host
	owner   *waiter // nil: served otherwise, or gone
	trace   *protocols.Trace
	cancel  context.CancelFunc
	attempt *attempt // at HTTP/3, before TCP and beside it; nil: none
	number  int64    // among the host's waiters and attempts, in the order of time
	http2   bool     // may be offered
	dropped bool     // nobody wants it
}

// dialFor starts the attempts that those who wait may have, beginning with from
// (nil: the first). The lock is held.
func (p *pool) dialFor(h *host, from *waiter) {
	if from == nil {
		from = h.waiting.first
	}
	for w := from; w != nil && (p.mayDial(h) || w.mustDial(h)); w = w.behind {
		if w.dial != nil {
			continue
		}
		// What Dial gives ends with its context, and the connection outlives the task.
		ctx, cancel := context.WithCancel(context.WithoutCancel(w.ctx))
		h.number++
		w.dial = &dial{host: h, owner: w, number: h.number, trace: w.trace, cancel: cancel, http2: p.mayShare(h)}
		h.dials = append(h.dials, w.dial)
		if w.plan != nil && h.attempt == nil && h.shared == nil && !p.blocked(h.key) {
			w.dial.attempt, w.plan = w.plan, nil
			h.racing = true
			p.begin(ctx, h, w.dial.attempt)
		}
		go p.run(ctx, w.dial)
	}
}

// mayDial tells whether another attempt is of use. While it is open whether an
// https host speaks HTTP/2 there is one at a time, which may serve all.
func (p *pool) mayDial(h *host) bool {
	switch {
	case h.shared != nil || len(h.dials)+len(h.idle) >= h.waiting.len():
		return false
	case h.racing, p.mayShare(h) && h.version != spokeHTTP1:
		return len(h.dials) == 0
	case h.key.bind != "":
		return h.open+len(h.dials) == 0
	default:
		return h.open+len(h.dials) < p.config.MaximumConnectionsPerHost
	}
}

// mustDial tells whether a waiter gets an attempt beyond the limit: it is nested, and
// those who have the connections may wait for it.
func (w *waiter) mustDial(h *host) bool {
	return w.nested && w.dial == nil && len(h.idle) == 0 && h.shared == nil && (h.version == spokeHTTP1 || len(h.dials) == 0)
}

// mayShare tells whether HTTP/2 may be offered.
func (p *pool) mayShare(h *host) bool {
	return p.secure && !h.key.http1 && !h.refuses && !p.config.OmitsHTTP2
}

// drop takes an attempt from its host. The lock is held; the caller cancels it.
func (h *host) drop(i int) *dial {
	d := h.dials[i]
	h.dials = slices.Delete(h.dials, i, i+1)
	d.dropped = true
	if d.owner != nil {
		d.owner.dial, d.owner = nil, nil
	}

	return d
}

func cancelAll(dials []*dial) {
	for _, d := range dials {
		d.cancel()
	}
}

// run makes the attempt and hands its outcome to those who wait.
func (p *pool) run(ctx context.Context, d *dial) {
	c, err := p.reach(ctx, d)
	if err == nil {
		err = c.stillborn()
	}
	p.mu.Lock()
	h := d.host
	if d.dropped {
		p.mu.Unlock()
		d.cancel()
		if c != nil {
			c.end()
		}

		return
	}
	owner := d.owner
	h.drop(slices.Index(h.dials, d))
	if err != nil {
		failed := h.failed(owner, err)
		p.dialFor(h, nil)
		p.mu.Unlock()
		d.cancel()
		for _, w := range failed {
			w.ready <- delivery{err: err}
		}

		return
	}
	ended, dropped := p.admit(c)
	p.dialFor(h, nil)
	p.mu.Unlock()
	cancelAll(dropped)
	endAll(ended)
	p.serve(h)
	p.mu.Lock()
	if c.active == 0 { // who has the connection reads this without the lock
		c.rested = true
	}
	p.mu.Unlock()
}

// admit takes a new connection in, and gives the connections and attempts that
// are of no use beside it. The lock is held.
func (p *pool) admit(c *conn) (ended []*conn, dropped []*dial) {
	h := c.host
	switch {
	case c.gone, c.shared && h.shared != nil: // gone: a shared one tells its end by itself
		c.gone = true
	case c.quic:
		h.shared = c // what the host speaks over TCP stays as it was known
		for len(h.dials) > 0 {
			dropped = append(dropped, h.drop(0))
		}
	case c.shared:
		h.shared, h.version = c, spokeHTTP2
		for len(h.dials) > 0 {
			dropped = append(dropped, h.drop(0))
		}
	default:
		h.version = spokeHTTP1
		h.open++
	}
	if !c.gone {
		p.grow(c)
	}

	return p.rest(c), dropped
}

// failed gives the waiters that a failed attempt ends: the one that started it,
// and all of them if the network refuses the host and nothing else serves them.
// What TLS and policy refuse is each task's own question. The lock is held.
func (h *host) failed(owner *waiter, err error) (failed []*waiter) {
	if owner != nil {
		h.waiting.remove(owner)
		failed = append(failed, owner)
	}
	var refused *net.OpError
	var lookup *net.DNSError
	if h.open == 0 && h.shared == nil && (errors.As(err, &refused) && refused.Op == "dial" || errors.As(err, &lookup)) {
		for w := h.waiting.pop(); w != nil; w = h.waiting.pop() {
			failed = append(failed, w)
		}
	}

	return failed
}

// connect dials, makes TLS and the codec.
func (p *pool) connect(ctx context.Context, d *dial) (*conn, error) {
	port := "80"
	if p.secure {
		port = "443"
	}
	addr := d.host.key.route.Forward
	if addr == "" {
		addr = withPort(d.host.key.host, port)
	}
	nc, err := p.client.Dial(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	c := &conn{host: d.host, cancel: d.cancel, limit: 1, socket: &socket{Conn: nc, secure: p.secure}}
	c.raw = c.socket
	if p.secure {
		if c.raw, err = p.handshake(ctx, d, c, addr); err != nil {
			_ = c.socket.Close()

			return nil, err
		}
	}
	c.info = protocols.InfoOf(c.raw)
	if !c.shared {
		c.wire = newCodec1(c.raw, c.socket, &p.config)

		return c, nil
	}
	codec := newCodec2(c.raw, c.socket, &p.config, func() { p.changed(c) })
	c.wire = codec
	codec.begin()

	return c, nil
}

func (p *pool) handshake(ctx context.Context, d *dial, c *conn, addr string) (net.Conn, error) {
	name, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	config := p.client.TLSConfig(ctx, name)
	config.NextProtos = []string{"http/1.1"}
	if d.http2 {
		config.NextProtos = []string{"h2", "http/1.1"}
	}
	conn := tls.Client(c.socket, config)
	d.trace.Mark(protocols.SecureConnectionStart)
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	d.trace.Mark(protocols.SecureConnectionEnd)
	d.trace.Mark(protocols.ConnectEnd)
	if conn.ConnectionState().NegotiatedProtocol == "h2" {
		c.shared, c.limit = true, newcomerLimit
	}

	return conn, nil
}

// withPort adds the port to a URL's host that has none.
func withPort(host, port string) string {
	if _, _, err := net.SplitHostPort(host); err == nil {
		return host
	}
	if n := len(host); n > 1 && host[0] == '[' && host[n-1] == ']' {
		host = host[1 : n-1]
	}

	return net.JoinHostPort(host, port)
}
