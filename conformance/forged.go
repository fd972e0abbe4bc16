package conformance

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// forged is a peer that is made up: it says what it has to say, whatever it is
// asked, but not before it is asked.
type forged struct {
	answer []byte
	greets bool         // speaks without being asked
	fill   []byte       // repeated after answer, up to a bound; nil: the connection ends there
	given  atomic.Int64 // bytes of all its connections
}

// next makes a connection to it.
func (f *forged) next(int) net.Conn {
	c := &forgedConn{of: f, rest: f.answer, asked: make(chan struct{}), closed: make(chan struct{})}
	if f.greets {
		c.ask.Do(func() { close(c.asked) })
	}

	return c
}

// forgedConn waits for nothing but the first byte that is written to it, or Close:
// deadlines mean nothing to it.
type forgedConn struct {
	of            *forged
	ask, end      sync.Once
	asked, closed chan struct{}

	mu   sync.Mutex
	rest []byte
}

// Read implements net.Conn.
func (c *forgedConn) Read(p []byte) (int, error) {
	select {
	case <-c.closed:
	case <-c.asked:
	}
	select {
	case <-c.closed:
		return 0, net.ErrClosed
	default:
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	for fill := c.of.fill; len(fill) > 0 && n < len(p) && c.of.given.Load() <= maxHead; {
		n += copy(p[n:], fill)
	}
	c.of.given.Add(int64(n))
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}

	return n, nil
}

// Write implements net.Conn.
func (c *forgedConn) Write(p []byte) (int, error) {
	select {
	case <-c.closed:
		return 0, net.ErrClosed
	default:
		c.ask.Do(func() { close(c.asked) })

		return len(p), nil
	}
}

// Close implements net.Conn.
func (c *forgedConn) Close() error {
	c.end.Do(func() { close(c.closed) })

	return nil
}

var loopback = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9}

func (c *forgedConn) LocalAddr() net.Addr              { return loopback }
func (c *forgedConn) RemoteAddr() net.Addr             { return loopback }
func (c *forgedConn) SetDeadline(time.Time) error      { return nil }
func (c *forgedConn) SetReadDeadline(time.Time) error  { return nil }
func (c *forgedConn) SetWriteDeadline(time.Time) error { return nil }
