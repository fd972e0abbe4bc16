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
// codec1, HTTP/2 codec2, HTTP/3 codec3. Methods may read from the network or call the pool, so they
// are never called under the pool's lock. The pool counts by itself; a codec refuses a
// request too many as not begun.
type wire interface {
	RoundTrip(r *nethttp.Request) (*nethttp.Response, error)
	// Limit is how many requests it takes at once, Available how many it would take
	// now.
	Limit() int
	Available() int
	// Err is not nil once the connection takes no more requests. Who has the connection
	// asks.
	Err() error
	// Close closes the connection; requests that it has fail.
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

	// Guarded by the pool's lock.
	active    int  // requests that have it, or are about to
	limit     int  // of active
	gone      bool // its host has forgotten it
	rested    bool // nobody waited for it when it was new
	idleSince time.Time
	age       *time.Timer // fires when it is too old for new requests
}

// send sends a request, and waits for the head of its answer. The server hears of
// changes of the priority where the wire can tell them.
func (c *conn) send(out *nethttp.Request, req *protocols.Request) (*nethttp.Response, error) {
	if codec, ok := c.wire.(*codec2); ok {
		return codec.load(out, urgencyIn(out.Header, req))
	}

	return c.RoundTrip(out)
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

// alive tells whether a connection can take a request.
func (c *conn) alive() bool { return c.Err() == nil }

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
	arrived  func() // told when bytes have come; nil: nobody wants to know

	// What was read beyond what TLS asked for. Of the one who reads.
	buffer *[readAhead]byte // nil: nothing was
	ahead  []byte           // of it, and not given yet
	after  error            // what came with it
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
			return s.take(p)
		}
		s.buffer, _ = buffers.Get().(*[readAhead]byte)
		var n int
		n, s.after = s.take(s.buffer[:])
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

// take reads from the system.
func (s *socket) take(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
	if n > 0 && s.arrived != nil {
		s.arrived()
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
	n, err := s.Conn.Write(p)
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
