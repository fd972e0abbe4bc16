package http

import (
	"context"
	"errors"
	"net"
	nethttp "net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/urlkit/urlkit/protocols"
)

// wire is a kind of connection: a codec that runs requests over it. HTTP/1.1 is
// codec1, HTTP/2 *nethttp.ClientConn. Methods may read from the network or run the
// pool's state hook, so they are never called under the pool's lock. (ClientConn's
// Reserve is not used: places reserved before the peer has told its limit can lock
// each other out for good. The pool counts by itself, and a request too many waits
// in the codec.)
type wire interface {
	RoundTrip(r *nethttp.Request) (*nethttp.Response, error)
	// Available is how many requests it would take now, InFlight how many it has.
	Available() int
	InFlight() int
	// Err is not nil once the connection is closed. Who has the connection asks.
	Err() error
	Close() error
}

// conn is a connection of the pool.
type conn struct {
	wire

	host   *host
	raw    net.Conn // what the codec was made for: TLS, or socket itself
	socket *socket
	info   *protocols.ConnInfo
	cancel context.CancelFunc // of the context that it was dialled with
	shared bool               // takes several requests at once
	quic   bool               // speaks HTTP/3

	altUsed string // the field that its requests get; "": none

	served   atomic.Bool // a request was sent over it
	answered atomic.Bool // and answered
	told     atomic.Bool // a shared one: its peer has told its limit

	// Guarded by the pool's lock.
	active    int  // requests that have it, or are about to
	limit     int  // of active
	gone      bool // its host has forgotten it
	rested    bool // nobody waited for it when it was new
	idleSince time.Time
}

// newcomerLimit is how many requests a shared connection gets until its peer has
// told its own limit, or settingsPatience has passed: what is sent beyond that
// limit is refused.
const (
	newcomerLimit    = 10
	settingsPatience = 250 * time.Millisecond
)

// count counts requests in and out. The pool's lock is held.
func (c *conn) count(n int) {
	c.active += n
	if g := c.socket.gather; g != nil {
		g.loads.Store(int32(c.active))
	}
}

// facts are those of the connection. Over QUIC they are complete once its handshake
// is.
func (c *conn) facts() *protocols.ConnInfo {
	if codec, ok := c.wire.(interface{ facts() *protocols.ConnInfo }); ok {
		return codec.facts()
	}

	return c.info
}

// proto is the ALPN name of what a shared connection speaks.
func (c *conn) proto() string {
	if c.quic {
		return alpnHTTP3
	}

	return "h2"
}

// alive tells whether a connection can take a request. A shared one says so by its
// socket: its codec would be asked under the lock that all its requests share.
func (c *conn) alive() bool {
	if c.shared {
		return !c.socket.closed.Load()
	}

	return c.Err() == nil
}

// end closes a connection that has no request.
func (c *conn) end() {
	_ = c.Close()
	c.cancel()
}

// abort ends the request of an exclusive connection. The socket goes first, so
// that no farewell of TLS waits for a peer that has stopped reading.
func (c *conn) abort() {
	if !c.shared {
		_ = c.socket.Close()
	}
}

// socket is the connection beneath TLS. It counts, since errors do not say what
// was sent when a request fails. Its Close also ends the upload that runs over it:
// who writes a body waits for the body's reader without a limit.
type socket struct {
	net.Conn

	secure   bool
	sent     atomic.Int64 // bytes, without TLS's farewells
	received atomic.Int64
	upload   atomic.Pointer[upload]
	failed   atomic.Pointer[error] // of the first Read that failed for good
	closed   atomic.Bool

	// What was read beyond what TLS asked for. Of the one who reads.
	buffer *[readAhead]byte // nil: nothing was
	ahead  []byte           // of it, and not given yet
	after  error            // what came with it

	gather *gather // nil: the connection is for one request at a time
}

// readAhead is how much is read from the system at once for TLS, which asks for
// little: twice for each record where they are short.
const readAhead = 16 << 10

var buffers = sync.Pool{New: func() any { return new([readAhead]byte) }}

func (s *socket) Read(p []byte) (int, error) {
	n, err := s.read(p)
	s.received.Add(int64(n))
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		first := err
		s.failed.CompareAndSwap(nil, &first)
	}

	return n, err
}

// read reads ahead for TLS. A buffer is held only while it holds something, or
// somebody waits for it.
func (s *socket) read(p []byte) (int, error) {
	if len(s.ahead) == 0 {
		if !s.secure || len(p) >= readAhead {
			return s.Conn.Read(p)
		}
		s.buffer, _ = buffers.Get().(*[readAhead]byte)
		var n int
		n, s.after = s.Conn.Read(s.buffer[:])
		s.ahead = s.buffer[:n]
	}
	n := copy(p, s.ahead)
	var err error
	if s.ahead = s.ahead[n:]; len(s.ahead) == 0 {
		err, s.after = s.after, nil
		buffers.Put(s.buffer)
		s.buffer, s.ahead = nil, nil
	}

	return n, err
}

// Ended is protocols.Ended. What was read ahead of an idle connection is what
// nobody asked for.
func (s *socket) Ended() (ended, known bool) {
	if len(s.ahead) > 0 {
		return true, true
	}

	return protocols.Ended(s.Conn)
}

func (s *socket) Write(p []byte) (int, error) {
	var n int
	var err error
	if s.gather != nil {
		n, err = s.gather.Write(p)
	} else {
		n, err = s.Conn.Write(p)
	}
	if !s.secure || !farewell(p) {
		s.sent.Add(int64(n))
	}

	return n, err
}

// farewell tells whether a TLS record is an alert (RFC 8446 §6). Under TLS 1.3 an
// alert looks like data, but is shorter than any request: 24 bytes, or 27 for an
// update of keys.
func farewell(record []byte) bool {
	const alert = 21

	return len(record) <= 32 || record[0] == alert
}

// Unwrap gives the connection that Client.Dial made.
func (s *socket) Unwrap() net.Conn { return s.Conn }

func (s *socket) Close() error {
	s.closed.Store(true)
	var err error
	if s.Conn != nil { // QUIC has none
		err = s.Conn.Close()
	}
	if u := s.upload.Load(); u != nil {
		go u.Close() // the caller holds the codec's lock, and the body's Close is the app's
	}

	return err
}
