package http

import (
	"context"
	"errors"
	"net"
	nethttp "net/http"
	"os"
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
}

func (s *socket) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
	s.received.Add(int64(n))
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		first := err
		s.failed.CompareAndSwap(nil, &first)
	}

	return n, err
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
	err := s.Conn.Close()
	if u := s.upload.Load(); u != nil {
		go u.Close() // the caller holds the codec's lock, and the body's Close is the app's
	}

	return err
}
