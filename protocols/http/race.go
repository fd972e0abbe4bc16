package http

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	nethttp "net/http"
	"slices"
	"time"

	"github.com/urlkit/urlkit/protocols"
)

const (
	// attemptPatience is how long an attempt at HTTP/3 may take in all, most of it
	// beside a connection over TCP.
	attemptPatience = 5 * time.Second
	// lastPatience is how long it may where TCP has failed, and the load waits.
	lastPatience = 3 * time.Second
)

// service is where HTTP/3 is tried.
type service struct {
	addr    string // host:port to dial
	altUsed string // the field Alt-Used (RFC 7838 §5); "": nobody named the service
}

// attempt is one attempt at HTTP/3. A host has one at a time.
type attempt struct {
	host    *host
	service service // of the attempt's own goroutine, once it has begun
	asks    bool    // the DNS for the service
	trace   *protocols.Trace
	early   bool // the request that waits may be sent as early data
	began   time.Time

	cancel context.CancelCauseFunc
	done   chan struct{} // closed when it has ended; then:
	conn   *conn
	err    error
}

var (
	errAbandoned = errors.New("http: nobody waits for the attempt at HTTP/3 any more")
	errPatience  = errors.New("http: the attempt at HTTP/3 took too long")
	errNoService = errors.New("http: the host is not known to speak HTTP/3")
	errNoSocket  = errors.New("http: there is no way to the host, by HTTP/3 or otherwise")
)

// plan says how a waiter may get HTTP/3; nil: not at all. It may ask the app's store.
func (p *pool) plan(k key, req *protocols.Request) *attempt {
	if !p.mayQUIC(k) {
		return nil
	}
	s, blocked := p.serviceFor(k, req.AssumesHTTP3Capable)
	if s.addr == "" && (blocked || p.config.HTTPSRecords == nil) {
		return nil
	}
	safe := req.Method == nethttp.MethodGet || req.Method == nethttp.MethodHead

	return &attempt{
		service: s, asks: s.addr == "", trace: req.Trace,
		early: p.config.EnablesEarlyData && safe && req.Body.KnownLength() == 0 && !p.dropsPackets(),
	}
}

// mayQUIC tells whether HTTP/3 is allowed on the way.
func (p *pool) mayQUIC(k key) bool {
	return builtHTTP3 && p.secure && !p.config.OmitsHTTP3 && !k.http1 && k.route.Packets && k.route.Forward == ""
}

// begin starts the attempt of a host that has none. The lock is held.
func (p *pool) begin(ctx context.Context, h *host, a *attempt) {
	ctx, a.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	a.host, a.began, a.done = h, time.Now(), make(chan struct{})
	h.attempt = a
	p.watchPath()
	go func() {
		defer close(a.done)
		ctx, stop := context.WithTimeoutCause(ctx, p.patience, errPatience)
		defer stop()
		a.conn, a.err = p.tryHTTP3(ctx, a)
		if a.err != nil && !errors.Is(context.Cause(ctx), errAbandoned) && !errors.Is(a.err, errNoService) && !errors.Is(a.err, errNoSocket) {
			p.breakDown(h.key)
			if errors.Is(context.Cause(ctx), errPatience) {
				p.unanswered(h.key)
			}
		}
		a.cancel(nil)
		p.mu.Lock()
		h.attempt = nil
		p.mu.Unlock()
	}()
}

// tryHTTP3 finds out where HTTP/3 is, and connects.
func (p *pool) tryHTTP3(ctx context.Context, a *attempt) (*conn, error) {
	if a.asks {
		if a.service.addr = p.askRecords(ctx, a.host.key); a.service.addr == "" {
			return nil, errNoService
		}
	}

	return p.connect3(ctx, a)
}

// reach makes the connection of a dial: over TCP, or by HTTP/3 where that is faster.
func (p *pool) reach(ctx context.Context, d *dial) (*conn, error) {
	a := d.attempt
	if a == nil {
		return p.connect(ctx, d)
	}
	stop := context.AfterFunc(ctx, func() { a.cancel(errAbandoned) })
	timer := time.NewTimer(p.headStart(a))
	defer timer.Stop()
	select {
	case <-a.done:
	case <-timer.C:
	}
	p.mu.Lock()
	d.host.racing = false
	p.dialFor(d.host, nil)
	p.mu.Unlock()
	if ended, c := a.outcome(); ended && c != nil {
		return a.wins(d, stop)
	}

	return p.race(ctx, d, stop)
}

// outcome tells whether an attempt has ended, and gives its connection.
func (a *attempt) outcome() (bool, *conn) {
	select {
	case <-a.done:
		return true, a.conn
	default:
		return false, nil
	}
}

// wins makes the attempt's connection that of the dial, whose own context it does not
// need: that ends what runs beside it.
func (a *attempt) wins(d *dial, stop func() bool) (*conn, error) {
	stop()
	d.cancel()

	return a.conn, nil
}

// race runs TCP beside the attempt, if that has not failed. What loses is closed, but
// for an attempt that has not ended: it may serve the requests to come.
func (p *pool) race(ctx context.Context, d *dial, stop func() bool) (*conn, error) {
	type outcome struct {
		conn *conn
		err  error
	}
	a, tcp := d.attempt, make(chan outcome, 1)
	go func() {
		c, err := p.connect(ctx, d)
		tcp <- outcome{c, err}
	}()
	select {
	case o := <-tcp:
		if o.err == nil {
			stop()
			if ended, _ := a.outcome(); !ended && !a.asks {
				p.unanswered(d.host.key) // and TCP was, though it began later
			}
			go p.late(a)

			return o.conn, nil
		}
		timer := time.AfterFunc(time.Until(a.began.Add(lastPatience)), func() { a.cancel(errPatience) })
		defer timer.Stop()
		if <-a.done; a.err == nil {
			return a.wins(d, stop)
		}

		return nil, a.orElse(o.err)
	case <-a.done:
		if a.err != nil {
			o := <-tcp
			if o.err != nil {
				return nil, a.orElse(o.err)
			}

			return o.conn, nil
		}
		c, err := a.wins(d, stop)
		if o := <-tcp; o.conn != nil {
			o.conn.end()
		}

		return c, err
	}
}

// orElse is the error of a load that gets neither connection: TCP's, unless that found
// nobody where HTTP/3 found a server that the app or its policy refuses.
func (a *attempt) orElse(tcp error) error {
	var nobody *net.OpError
	var certificate *tls.CertificateVerificationError
	var coded *protocols.Error
	if errors.As(tcp, &nobody) && nobody.Op == "dial" && (errors.As(a.err, &certificate) || errors.As(a.err, &coded)) {
		return a.err
	}

	return tcp
}

// late takes in what comes of an attempt that nobody waits for.
func (p *pool) late(a *attempt) {
	if <-a.done; a.err == nil {
		p.adopt(a.conn)
	}
}

// adopt makes a connection over HTTP/3 the one that a host's requests take. Those
// that run over another go on there.
func (p *pool) adopt(c *conn) {
	h := c.host
	p.mu.Lock()
	var ended []*conn
	old := h.shared
	switch {
	case c.gone || p.closed || p.hosts[h.key] != h || old != nil && old.quic:
		c.gone = true
	default:
		if old != nil {
			p.forget(old)
			if old.active == 0 {
				ended = append(ended, old)
			}
		}
		h.shared = c
		p.grow(c)
	}
	ended = append(ended, p.rest(c)...)
	p.mu.Unlock()
	endAll(ended)
	p.serve(h)
}

// upgrade tries HTTP/3 beside the connection that a request has taken, so that those
// to come may use it.
func (p *pool) upgrade(ctx context.Context, h *host, req *protocols.Request) {
	s, blocked := p.serviceFor(h.key, req.AssumesHTTP3Capable)
	if s.addr == "" || blocked {
		return
	}
	a := &attempt{service: s}
	p.mu.Lock()
	if p.closed || h.attempt != nil || h.shared != nil && h.shared.quic {
		p.mu.Unlock()

		return
	}
	p.begin(protocols.WithoutTrace(ctx), h, a)
	p.mu.Unlock()
	go p.late(a)
}

// upgradeDue tells, once, that HTTP/3 may be tried beside a connection. The lock is
// held.
func (h *host) upgradeDue(c *conn) bool {
	if c == nil || c.quic || h.upgradeAt.IsZero() || time.Now().Before(h.upgradeAt) {
		return false
	}
	h.upgradeAt = time.Time{}

	return true
}

// died is called when a connection over HTTP/3 has ended. broken: TCP may do better.
func (p *pool) died(c *conn, broken bool) {
	if broken {
		p.breakDown(c.host.key)
		if !c.answered.Load() {
			p.unanswered(c.host.key)
		}
	}
	p.changed(c)
}

// endAttempts cancels the attempts that nobody waits for. The lock is held.
func (p *pool) endAttempts() {
	for _, h := range p.hosts {
		waited := slices.ContainsFunc(h.dials, func(d *dial) bool { return d.attempt == h.attempt })
		if h.attempt != nil && !waited {
			h.attempt.cancel(errAbandoned)
		}
	}
}
