package http

import (
	"net"
	"runtime"
	"sync"
	"sync/atomic"
)

const (
	// crowd is from how many requests on a connection their short writes are
	// gathered: fewer do not overlap, and would only be handed to another goroutine.
	crowd = 3
	// shortWrite bounds what is gathered: a request's head, not a piece of a body.
	shortWrite = 2 << 10
	// maxGathered bounds what waits to be written.
	maxGathered = 64 << 10
)

// gather writes to a connection that many requests share, several of their records
// in one call of the system: net/http writes each request's head by itself. What it
// could not write closes the connection, so that its reader learns of it.
type gather struct {
	conn  net.Conn
	close func() error
	loads atomic.Int32 // requests that the connection has

	mu      sync.Mutex
	quiet   sync.Cond // nobody writes
	queue   []byte
	spare   []byte
	writing bool
	err     error // of the first write that failed
}

func newGather(conn net.Conn, closeConn func() error) *gather {
	g := &gather{conn: conn, close: closeConn}
	g.quiet.L = &g.mu

	return g
}

func (g *gather) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.writing && len(g.queue)+len(p) > maxGathered && g.err == nil {
		g.quiet.Wait()
	}
	switch {
	case g.err != nil:
		return 0, g.err
	case g.writing:
		g.queue = append(g.queue, p...)
	case len(p) <= shortWrite && g.loads.Load() >= crowd:
		g.queue = append(g.queue, p...)
		g.writing = true
		go g.run()
	default:
		return len(p), g.drain(p, true)
	}

	return len(p), nil
}

// run writes what was gathered, after those who are about to write have.
func (g *gather) run() {
	runtime.Gosched()
	g.mu.Lock()
	defer g.mu.Unlock()
	_ = g.drain(g.take(), false)
}

// take gives what was gathered. The buffers are two: one is filled while the other
// is written.
func (g *gather) take() []byte {
	out := g.queue
	g.queue, g.spare = g.spare[:0], nil

	return out
}

// drain writes out, which is the caller's or comes from take, and what is gathered
// meanwhile. The lock is held, but not while it writes.
func (g *gather) drain(out []byte, lent bool) error {
	g.writing = true
	for len(out) > 0 && g.err == nil {
		g.mu.Unlock()
		_, err := g.conn.Write(out)
		if err != nil {
			_ = g.close()
		}
		g.mu.Lock()
		g.err = err
		if !lent {
			g.spare = out
		}
		lent, out = false, nil
		if len(g.queue) > 0 {
			out = g.take()
		}
		g.quiet.Broadcast()
	}
	g.writing = false
	g.quiet.Broadcast()

	return g.err
}
