package http

import (
	"slices"
	"time"
)

// rest puts a connection without a request among the idle ones, and gives the
// connections that have to end for it. The lock is held.
func (p *pool) rest(c *conn) (ended []*conn) {
	h := c.host
	if p.closed && h.waiting.len() == 0 {
		p.forget(c)
	}
	if c.gone {
		return []*conn{c}
	}
	c.idleSince = time.Now()
	p.idle = append(p.idle, c)
	if !c.shared {
		h.idle = append(h.idle, c)
	}
	for len(p.idle) > p.config.MaximumIdleConnections {
		ended = append(ended, p.idle[0])
		p.forget(p.idle[0])
	}
	p.arm()

	return ended
}

// wake takes a connection from the idle ones, if it is there. The lock is held.
func (p *pool) wake(c *conn) {
	p.idle = without(p.idle, c)
	if !c.shared {
		c.host.idle = without(c.host.idle, c)
	}
}

// without removes c, which mostly stands near the end.
func without(conns []*conn, c *conn) []*conn {
	for i := len(conns) - 1; i >= 0; i-- {
		if conns[i] == c {
			return slices.Delete(conns, i, i+1)
		}
	}

	return conns
}

// arm sets the one timer for the connection that is idle longest. The lock is
// held.
func (p *pool) arm() {
	if p.armed || len(p.idle) == 0 {
		return
	}
	p.armed = true
	left := p.config.IdleTimeout - time.Since(p.idle[0].idleSince)
	if p.reaper == nil {
		p.reaper = time.AfterFunc(left, p.reap)
	} else {
		p.reaper.Reset(left)
	}
}

// reap ends what has been idle too long.
func (p *pool) reap() {
	p.mu.Lock()
	var ended []*conn
	for len(p.idle) > 0 && time.Since(p.idle[0].idleSince) >= p.config.IdleTimeout {
		ended = append(ended, p.idle[0])
		p.forget(p.idle[0])
	}
	p.armed = false
	p.arm()
	p.mu.Unlock()
	endAll(ended)
}

// Close ends the idle connections, and makes the others end when their requests
// are done.
func (p *pool) Close() error {
	p.mu.Lock()
	p.closed = true
	ended := slices.Clone(p.idle)
	for _, c := range ended {
		p.forget(c)
	}
	var dropped []*dial
	for _, h := range p.hosts {
		for len(h.dials) > h.waiting.len() {
			dropped = append(dropped, h.drop(0))
		}
	}
	p.endAttempts()
	if p.unwatch != nil {
		p.unwatch()
	}
	if p.reaper != nil {
		p.reaper.Stop()
	}
	p.armed = false
	p.mu.Unlock()
	cancelAll(dropped)
	endAll(ended)

	return nil
}
