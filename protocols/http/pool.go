package http

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/urlkit/urlkit/protocols"
)

// rememberedHosts is how many hosts the pool knows of before it forgets those
// that it has no connection to.
const rememberedHosts = 1024

// pool holds the connections of one scheme in one session.
type pool struct {
	client   protocols.Client
	config   Config
	secure   bool
	http3    http3State
	patience time.Duration // attemptPatience

	mu     sync.Mutex // never held while the Client, a codec or the network is called
	hosts  map[key]*host
	idle   []*conn // without a request, the longest first
	reaper *time.Timer
	armed  bool
	closed bool

	breakdowns map[key]breakdown  // of HTTP/3
	silent     []string           // hosts that did not answer over UDP, since one did; at most silentHosts
	unwatch    context.CancelFunc // ends the watching of the network; nil: nobody does
}

// key says which requests may share connections.
type key struct {
	route protocols.Route
	host  string // host and port as in the URL, in lower case, without the default port
	bind  string
	http1 bool // nothing but HTTP/1.1 will do
}

// host is what the pool knows under one key. Guarded by the pool's lock.
type host struct {
	key     key
	idle    []*conn // exclusive ones, the one used last at the end
	shared  *conn   // takes several requests at once
	open    int     // exclusive ones, busy and idle
	dials   []*dial
	waiting queue
	number  int64 // of the last waiter or attempt
	version version
	refuses bool // HTTP/2, by HTTP_1_1_REQUIRED

	attempt   *attempt  // at HTTP/3; nil: none
	racing    bool      // its head start is not over
	upgradeAt time.Time // when HTTP/3 may be tried beside a connection over TCP; zero: not
	altSvc    []string  // the field that was heard last
	altSvcAt  time.Time
}

// version is what a host spoke last.
type version uint8

const (
	unknown version = iota
	spokeHTTP1
	spokeHTTP2
)

// acquire gives a connection with a place for one request, which release gives
// back.
func (p *pool) acquire(ctx context.Context, k key, req *protocols.Request) (*conn, error) {
	p.mu.Lock()
	h := p.find(k)
	var c *conn
	if h.waiting.len() == 0 {
		c = p.pick(h)
	}
	full := c == nil && h.shared != nil
	upgrade := h.upgradeDue(c)
	p.mu.Unlock()
	if upgrade && p.mayQUIC(k) {
		p.upgrade(ctx, h, req)
	}
	if req.Nested && !k.http1 && (full || c != nil && c.shared && c.Available() == 0) {
		if c != nil {
			p.release(c, true)
		}
		k.http1 = true // those who have the streams may wait for it

		return p.acquire(ctx, k, req)
	}
	if c != nil {
		if c.alive() {
			return c, nil
		}
		p.bury(c)
	}
	w := &waiter{pool: p, host: h, ctx: ctx, trace: req.Trace, changes: req.Reprioritization, ready: make(chan delivery, 1)}
	if w.nested = req.Nested && k.bind == ""; w.nested {
		w.priority = 2 // before all others, who may wait for it
	}
	w.plan = p.plan(k, req)

	return p.wait(w, req)
}

// wait gives the connection that the waiter gets.
func (p *pool) wait(w *waiter, req *protocols.Request) (*conn, error) {
	w.changes.AddObserver(w)
	defer w.changes.RemoveObserver(w)
	h := w.host
	p.mu.Lock()
	if !w.nested {
		w.priority = priorityOf(req)
	}
	if w.priority == 0 {
		w.priority = 0.5
	}
	h.number++
	w.number = h.number
	h.waiting.push(w)
	p.dialFor(h, w)
	p.mu.Unlock()
	p.serve(h) // what became free before the push found nobody waiting
	select {
	case d := <-w.ready:
		return d.conn, d.err
	case <-w.ctx.Done():
		if !p.leave(h, w) {
			if d := <-w.ready; d.conn != nil {
				p.release(d.conn, true)
			}
		}

		return nil, w.ctx.Err()
	}
}

// find gives the host of a key. The lock is held.
func (p *pool) find(k key) *host {
	if h := p.hosts[k]; h != nil {
		return h
	}
	if len(p.hosts) >= rememberedHosts {
		for k, h := range p.hosts {
			if h.open == 0 && h.shared == nil && len(h.dials) == 0 && h.waiting.len() == 0 {
				delete(p.hosts, k)
			}
		}
	}
	h := &host{key: k}
	p.hosts[k] = h

	return h
}

// try gives a connection that takes a request now; nil: none does.
func (p *pool) try(h *host) *conn {
	for {
		p.mu.Lock()
		c := p.pick(h)
		p.mu.Unlock()
		if c == nil || c.alive() {
			return c
		}
		p.bury(c)
	}
}

// pick takes a connection that has a place: the shared one, or the idle one used
// last. The lock is held.
func (p *pool) pick(h *host) *conn {
	c := h.shared
	switch {
	case c != nil && c.active >= c.limit, c == nil && len(h.idle) == 0:
		return nil
	case c == nil:
		c = h.idle[len(h.idle)-1]
	}
	if c.active == 0 {
		p.wake(c)
	}
	c.active++

	return c
}

// bury takes back a connection that is dead.
func (p *pool) bury(c *conn) {
	p.mu.Lock()
	p.forget(c)
	ended := p.settle(c)
	p.mu.Unlock()
	endAll(ended)
}

// serve gives connections to those who wait, as long as there are both.
func (p *pool) serve(h *host) {
	for h.waiting.len() > 0 {
		c := p.try(h)
		if c == nil {
			return
		}
		p.mu.Lock()
		w := h.waiting.pop()
		p.mu.Unlock()
		if w == nil {
			p.release(c, true)

			return
		}
		w.ready <- delivery{conn: c}
	}
}

// leave takes a waiter out of the queue; false: it was served already. Attempts
// that nobody waits for any more are cancelled, and those that have taken longer than
// the waiter's clock allows, its own or one that nobody owns: those who wait get new
// ones.
func (p *pool) leave(h *host, w *waiter) bool {
	p.mu.Lock()
	if !w.queued {
		p.mu.Unlock()

		return false
	}
	started := w.dial
	h.waiting.remove(w)
	var dropped []*dial
	if late(w.ctx) {
		for i := len(h.dials) - 1; i >= 0; i-- {
			if d := h.dials[i]; d == started || d.owner == nil && d.number < w.number {
				dropped = append(dropped, h.drop(i))
			}
		}
		p.dialFor(h, nil)
	}
	for len(h.dials) > h.waiting.len() {
		i := max(slices.IndexFunc(h.dials, func(d *dial) bool { return d.owner == nil }), 0)
		dropped = append(dropped, h.drop(i))
	}
	p.mu.Unlock()
	cancelAll(dropped)

	return true
}

// release takes a connection back from a request that is done with it. keep says
// whether an exclusive one may serve another.
func (p *pool) release(c *conn, keep bool) {
	keep = c.shared || keep && c.Available() > 0
	p.mu.Lock()
	if !keep || !c.shared && c.host.open > p.config.MaximumConnectionsPerHost {
		p.forget(c)
	}
	ended := p.settle(c)
	p.mu.Unlock()
	endAll(ended)
	p.serve(c.host)
}

// settle counts a request out, and gives the connections to end. The lock is
// held.
func (p *pool) settle(c *conn) (ended []*conn) {
	c.active--
	if c.active == 0 {
		ended = p.rest(c)
	}
	p.dialFor(c.host, nil)

	return ended
}

// changed is told by a shared connection that it takes more or fewer requests at once,
// or none any more.
func (p *pool) changed(c *conn) {
	limit, dead := c.Limit(), c.Err() != nil
	p.mu.Lock()
	c.limit = limit
	if dead {
		p.forget(c)
		p.dialFor(c.host, nil)
	}
	alone := dead && c.active == 0
	p.mu.Unlock()
	if alone {
		c.end()
	}
	p.serve(c.host)
}

// retire keeps new requests from a connection that refuses them. http1: its host
// does not want HTTP/2 (HTTP_1_1_REQUIRED).
func (p *pool) retire(c *conn, http1 bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c.host.refuses = c.host.refuses || http1
	p.forget(c)
	p.dialFor(c.host, nil)
}

// grow begins to count a connection's age. The lock is held.
func (p *pool) grow(c *conn) {
	c.age = time.AfterFunc(p.config.MaximumConnectionAge, func() { p.expire(c) })
}

// expire keeps new requests from a connection that is too old.
func (p *pool) expire(c *conn) {
	p.mu.Lock()
	var ended []*conn
	if !c.gone && c.active == 0 {
		ended = append(ended, c)
	}
	p.forget(c)
	p.dialFor(c.host, nil)
	p.mu.Unlock()
	endAll(ended)
}

// forget takes a connection from its host; requests that have it go on. The lock
// is held.
func (p *pool) forget(c *conn) {
	if c.gone {
		return
	}
	if c.active == 0 {
		p.wake(c)
	}
	c.gone = true
	if c.age != nil {
		c.age.Stop()
	}
	switch h := c.host; {
	case !c.shared:
		h.open--
	case h.shared == c:
		h.shared = nil
	}
}

func endAll(conns []*conn) {
	for _, c := range conns {
		c.end()
	}
}
