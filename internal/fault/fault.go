// Package fault makes connections fail on purpose. A [Fault] is data, so that a
// table of them can be run against any protocol: what happens, at which byte, in
// which direction. Nothing here waits for a clock: a stall lasts until a
// deadline or Close, and slow peers are slow by sending in small pieces.
package fault

import (
	"context"
	"fmt"
	"net"
	"os"
	"syscall"
)

// Kind is what goes wrong.
type Kind uint8

const (
	// None: nothing does.
	None Kind = iota
	// Cut ends the connection in order at byte At. Reads give io.EOF and writes
	// EPIPE; the peer gets an end of stream, over TCP a FIN.
	Cut
	// Reset aborts the connection at byte At. Reads and writes give ECONNRESET;
	// over TCP the peer gets a real RST.
	Reset
	// Stall lets no byte pass from byte At on, until a deadline or Close.
	Stall
	// Split passes Size bytes at a time from byte At on: 1-byte reads, slow
	// writes.
	Split
	// Garble turns every bit of Size bytes from byte At on; Size 0: of all.
	Garble
	// Deny refuses the dial (ECONNREFUSED); see Dial. A connection that is there
	// already fails at its first byte of either direction, as by Reset.
	Deny
)

var kindNames = [...]string{"none", "cut", "reset", "stall", "split", "garble", "deny"}

// String is the kind in one word.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}

	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// Direction is that of the bytes which are counted and hurt, seen from the
// connection that Conn returns.
type Direction uint8

const (
	// Reading: the bytes read from it.
	Reading Direction = iota
	// Writing: the bytes written to it.
	Writing
)

// String is "reading" or "writing".
func (d Direction) String() string {
	if d == Writing {
		return "writing"
	}

	return "reading"
}

// Fault is one failure of a connection. The zero value is none.
type Fault struct {
	// Kind is what goes wrong.
	Kind Kind
	// Direction is where; a Cut, Reset or Deny ends both directions.
	Direction Direction
	// At is how many bytes of Direction pass unhurt before. Negative counts as 0.
	At int64
	// Size is a number of bytes; see Split, where 0 means 1, and Garble.
	Size int
}

// String is short enough for the name of a subtest: "cut reading at 17".
func (f Fault) String() string {
	switch f.Kind {
	case None, Deny:
		return f.Kind.String()
	case Split, Garble:
		return fmt.Sprintf("%v %v at %d by %d", f.Kind, f.Direction, f.At, f.Size)
	default:
		return fmt.Sprintf("%v %v at %d", f.Kind, f.Direction, f.At)
	}
}

// EachByte is f at each of the first n bytes: n faults, for a table.
func EachByte(f Fault, n int) []Fault {
	faults := make([]Fault, 0, max(n, 0))
	for i := range n {
		f.At = int64(i)
		faults = append(faults, f)
	}

	return faults
}

// DialFunc is the shape of a dialer's DialContext.
type DialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

// Dial is dial with f: denied, or with f in each connection that it makes.
func Dial(dial DialFunc, f Fault) DialFunc {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		if f.Kind == Deny {
			return nil, &net.OpError{Op: "dial", Net: network, Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
		}
		c, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}

		return Conn(c, f), nil
	}
}

// Listener is l with f in each connection that it accepts, for a server that
// fails: Writing hurts what it sends.
func Listener(l net.Listener, f Fault) net.Listener { return listener{l, f} }

type listener struct {
	net.Listener
	fault Fault
}

func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}

	return Conn(c, l.fault), nil
}

// errBroken is what a connection gives once its fault has ended it.
func errBroken(c net.Conn, op string, err error) error {
	return &net.OpError{Op: op, Net: c.LocalAddr().Network(), Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: os.NewSyscallError(op, err)}
}
