package fault

import (
	"io"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Conn is c with f in it. It keeps deadlines and Close, also in a stall. One
// goroutine may read while one writes; all else may be called by any. Its method
// Unwrap gives c. With a Fault of no Kind it fails in nothing.
func Conn(c net.Conn, f Fault) net.Conn {
	f.At = max(f.At, 0)
	if f.Kind == Split {
		f.Size = max(f.Size, 1)
	}
	fc := &conn{Conn: c}
	if f.Kind == Deny {
		f = Fault{Kind: Reset}
		fc.both = true
	}
	fc.fault = f
	// Reading from or writing to one end of a pipe that nobody uses the other end
	// of is a stall that already knows deadlines and Close.
	fc.stalled, fc.unused = net.Pipe()

	return fc
}

type conn struct {
	net.Conn // the real one
	fault    Fault
	both     bool // the fault is at the first byte of either direction
	stalled  net.Conn
	unused   net.Conn

	broken atomic.Bool // the fault has ended the connection
	breaks sync.Once

	read    int64 // the bytes that have passed, the reader's own
	written int64 // the same, the writer's own
}

// Unwrap gives the connection beneath.
func (c *conn) Unwrap() net.Conn { return c.Conn }

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	if c.broken.Load() {
		return 0, c.readError()
	}
	if len(p) == 0 {
		return c.Conn.Read(p)
	}
	hurt := c.fault.Direction == Reading
	if hurt || c.both {
		room, err := c.before(c.read, len(p))
		if err != nil {
			return 0, err
		}
		if room == 0 {
			return c.stall(c.stalled.Read, p)
		}
		p = p[:room]
	}
	n, err := c.Conn.Read(p)
	if hurt {
		c.garble(p[:n], c.read)
	}
	c.read += int64(n)
	if err != nil && c.broken.Load() {
		err = c.readError()
	}

	return n, err
}

// Write implements net.Conn.
func (c *conn) Write(p []byte) (int, error) {
	if c.broken.Load() {
		return 0, c.writeError()
	}
	if c.fault.Direction == Reading && !c.both || len(p) == 0 {
		n, err := c.Conn.Write(p)
		if err != nil && c.broken.Load() {
			err = c.writeError()
		}

		return n, err
	}
	done := 0
	for done < len(p) {
		room, err := c.before(c.written, len(p)-done)
		if err != nil {
			return done, c.writeError()
		}
		if room == 0 {
			n, err := c.stall(c.stalled.Write, p[done:])
			return done + n, err
		}
		n, err := c.send(p[done : done+room])
		done += n
		if err != nil {
			return done, err
		}
		runtime.Gosched() // lets a peer in the same process see the pieces
	}

	return done, nil
}

// send writes one piece, garbled where it has to be.
func (c *conn) send(piece []byte) (int, error) {
	if c.fault.Kind == Garble {
		piece = append([]byte(nil), piece...) // the caller's bytes are lent
		c.garble(piece, c.written)
	}
	n, err := c.Conn.Write(piece)
	c.written += int64(n)

	return n, err
}

// before is how many of want bytes may pass now, after passed have. 0 without an
// error means: stall.
func (c *conn) before(passed int64, want int) (int, error) {
	left := c.fault.At - passed
	switch c.fault.Kind {
	case Cut, Reset, Stall:
		if left > 0 {
			return int(min(int64(want), left)), nil
		}
		if c.fault.Kind == Stall {
			return 0, nil
		}
		c.end()

		return 0, c.readError()
	case Split:
		if left > 0 {
			return int(min(int64(want), left)), nil
		}

		return min(want, c.fault.Size), nil
	default:
		return want, nil
	}
}

// stall waits for a deadline or Close.
func (c *conn) stall(wait func([]byte) (int, error), p []byte) (int, error) {
	n, err := wait(p)
	if err == io.ErrClosedPipe || err == io.EOF { //nolint:errorlint // net.Pipe returns them bare
		err = net.ErrClosed
	}

	return n, err
}

// garble turns the bits of p, whose first byte comes after passed others.
func (c *conn) garble(p []byte, passed int64) {
	if c.fault.Kind != Garble {
		return
	}
	for i := range p {
		at := passed + int64(i) - c.fault.At
		if at >= 0 && (c.fault.Size <= 0 || at < int64(c.fault.Size)) {
			p[i] ^= 0xff
		}
	}
}

// end carries out a Cut or a Reset.
func (c *conn) end() {
	c.breaks.Do(func() {
		c.broken.Store(true)
		if c.fault.Kind == Cut {
			// A full close with input unread would be a reset.
			if c.CloseWrite() != nil {
				_ = c.Conn.Close()
			}

			return
		}
		if tcp, ok := c.Conn.(interface{ SetLinger(seconds int) error }); ok {
			_ = tcp.SetLinger(0) // Close sends RST instead of FIN
		}
		_ = c.Conn.Close()
	})
}

func (c *conn) readError() error {
	if c.fault.Kind == Cut {
		return io.EOF
	}

	return errBroken(c.Conn, "read", syscall.ECONNRESET)
}

func (c *conn) writeError() error {
	if c.fault.Kind == Cut {
		return errBroken(c.Conn, "write", syscall.EPIPE)
	}

	return errBroken(c.Conn, "write", syscall.ECONNRESET)
}

// Close implements net.Conn.
func (c *conn) Close() error {
	_ = c.stalled.Close()
	_ = c.unused.Close()
	err := c.Conn.Close()
	if c.broken.Load() {
		return nil // the fault may have closed it already, unknown to its owner
	}

	return err
}

// CloseWrite ends the writing direction, where the connection beneath can.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}

	return syscall.ENOTSUP
}

// SetDeadline implements net.Conn.
func (c *conn) SetDeadline(t time.Time) error {
	_ = c.stalled.SetDeadline(t)
	return c.Conn.SetDeadline(t)
}

// SetReadDeadline implements net.Conn.
func (c *conn) SetReadDeadline(t time.Time) error {
	_ = c.stalled.SetReadDeadline(t)
	return c.Conn.SetReadDeadline(t)
}

// SetWriteDeadline implements net.Conn.
func (c *conn) SetWriteDeadline(t time.Time) error {
	_ = c.stalled.SetWriteDeadline(t)
	return c.Conn.SetWriteDeadline(t)
}
