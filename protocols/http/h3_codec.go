//go:build !urlkit_nohttp3

package http

import (
	"context"
	"errors"
	"io"
	"net"
	nethttp "net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"golang.org/x/net/http/httpguts"

	"github.com/urlkit/urlkit/protocols"
)

// codec3 is HTTP/3 (RFC 9114) over one QUIC connection.
type codec3 struct {
	*http3.ClientConn

	quic   *quic.Conn
	life   context.Context // of the connection
	early  bool            // made before the handshake was complete
	decide time.Time       // when it has to be, at the latest

	running atomic.Int32 // requests without an answer
	lost    atomic.Bool  // closed because the peer had fallen silent
	info    atomic.Pointer[protocols.ConnInfo]

	mu       sync.Mutex
	closed   bool
	beneath  []beneath   // the sockets: where it was made, and where it has moved to
	watch    *time.Timer // calls look
	watching bool
	received uint64 // packets, when the first request was sent that none has come after
	sent     uint64
	since    time.Time
}

// beneath is a socket that a connection has used.
type beneath struct {
	transport *quic.Transport
	packets   net.PacketConn
}

func (b beneath) end() {
	_ = b.transport.Close()
	_ = b.packets.Close()
}

// own gives the codec what is beneath it, to end with it.
func (c *codec3) own(p *pool, of *conn, b beneath) {
	c.beneath = []beneath{b}
	context.AfterFunc(c.quic.Context(), func() {
		of.socket.closed.Store(true)
		c.end()
		p.died(of, c.broken(context.Cause(c.quic.Context())))
	})
}

// RoundTrip sends a request and waits for the head of its answer.
func (c *codec3) RoundTrip(r *nethttp.Request) (*nethttp.Response, error) {
	if err := sendable3(r); err != nil {
		return nil, err
	}
	c.running.Add(1)
	defer c.running.Add(-1)
	c.listen()
	run := c.ClientConn.RoundTrip
	if c.early && !c.settled() {
		run = c.hurry
	}
	if r.Body == nil {
		return run(r)
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	r = r.WithContext(ctx)
	r.Body = &source{r.Body, cancel}
	resp, err := run(r)
	if err == nil && ctx.Err() != nil { // a server may answer what it got of a body that failed
		_ = resp.Body.Close()
		err = context.Cause(ctx)
	}
	if err != nil {
		return nil, err
	}
	if resp.Body != nethttp.NoBody {
		resp.Body = &duplex{resp.Body, cancel}
	}

	return resp, nil
}

// duplex is the body of an answer to a request that has one itself. Its Close ends the
// upload too, which the codec's would leave waiting for a server that does not take it.
type duplex struct {
	io.ReadCloser

	end context.CancelCauseFunc // of both directions
}

func (d *duplex) Close() error {
	d.end(errBodyClosed)

	return nil
}

// source is a request's body. Where it fails the request ends: else the codec would
// wait for an answer to a part of it.
type source struct {
	io.ReadCloser

	fail context.CancelCauseFunc
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	if err != nil && err != io.EOF && !errors.Is(err, errUploadClosed) { // only a bare one is the end
		s.fail(err)
	}

	return n, err
}

// sendable3 refuses what the codec would not send, and yet wait for the answer to.
func sendable3(r *nethttp.Request) error {
	host := r.Host
	if host == "" {
		host = r.URL.Host
	}
	if ascii, err := httpguts.PunycodeHostPort(host); err != nil || !httpguts.ValidHostHeader(ascii) {
		return protocols.Errorf(protocols.BadURL, "the request cannot be sent: its host is not valid")
	}
	if r.URL.Opaque != "" && !strings.HasPrefix(r.URL.RequestURI(), "/") {
		return protocols.Errorf(protocols.BadURL, "the request cannot be sent: its path does not begin with a slash")
	}
	if err := sendable(r); err != nil {
		return protocols.Errorf(protocols.BadURL, "the request cannot be sent: %w", err)
	}

	return nil
}

var (
	errUnsettled = errors.New("http: the QUIC handshake was not completed in time")
	errTooEarly  = errors.New("http: the server refused early data")
)

// settled tells whether the handshake is complete.
func (c *codec3) settled() bool {
	select {
	case <-c.quic.HandshakeComplete():
		return true
	default:
		return false
	}
}

// hurry sends a request before the handshake is complete, if it is safe (RFC 8470
// §2), and waits for it otherwise, but not for long: the path may be broken.
func (c *codec3) hurry(r *nethttp.Request) (*nethttp.Response, error) {
	ctx, cancel := context.WithCancelCause(r.Context())
	timer := time.AfterFunc(time.Until(c.decide), func() {
		if !c.settled() {
			cancel(errUnsettled)
		}
	})
	sent := r.WithContext(ctx)
	safe := r.Body == nil && (r.Method == nethttp.MethodGet || r.Method == nethttp.MethodHead)
	switch {
	case !safe:
	case r.Method == nethttp.MethodGet:
		sent.Method = http3.MethodGet0RTT
	default:
		sent.Method = http3.MethodHead0RTT
	}
	resp, err := c.ClientConn.RoundTrip(sent)
	timer.Stop()
	switch {
	case errors.Is(context.Cause(ctx), errUnsettled) && err != nil:
		c.giveUp()

		return nil, errUnsettled
	case err != nil && safe && c.settled() && !c.quic.ConnectionState().Used0RTT && r.Context().Err() == nil:
		return nil, errTooEarly
	case err == nil && safe && resp.StatusCode == nethttp.StatusTooEarly:
		_ = resp.Body.Close()

		return c.ClientConn.RoundTrip(r) // with the handshake behind it, once (RFC 8470 §5.2)
	}

	return resp, err
}

// listen closes the connection if its peer says nothing at all after a request: it
// would acknowledge the packets, if it had got them.
func (c *codec3) listen() {
	stats := c.quic.ConnectionStats()
	c.mu.Lock()
	defer c.mu.Unlock()
	if stats.PacketsReceived != c.received || c.since.IsZero() {
		c.received, c.sent, c.since = stats.PacketsReceived, stats.PacketsSent, time.Now()
	}
	switch {
	case c.watching || c.closed:
		return
	case c.watch == nil:
		c.watch = time.AfterFunc(acknowledged, c.look)
	default:
		c.watch.Reset(acknowledged)
	}
	c.watching = true
}

// look judges the silence since the first of the requests that nothing came after.
func (c *codec3) look() {
	stats := c.quic.ConnectionStats()
	c.mu.Lock()
	silent := stats.PacketsReceived == c.received && stats.PacketsSent > c.sent
	left := max(acknowledged, 4*stats.SmoothedRTT) - time.Since(c.since)
	c.watching = silent && left > 0 && !c.closed
	if c.watching {
		c.watch.Reset(left)
	}
	c.mu.Unlock()
	if silent && left <= 0 {
		c.giveUp()
	}
}

// giveUp closes a connection whose path is broken.
func (c *codec3) giveUp() {
	c.lost.Store(true)
	_ = c.quic.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "")
}

// Available is how many requests the connection takes: the codec makes those wait
// that the peer does not allow yet.
func (c *codec3) Available() int { return max(streams3-int(c.running.Load()), 0) }

// Limit is how many requests it takes at once.
func (c *codec3) Limit() int { return streams3 }

// Err is why the connection has ended.
func (c *codec3) Err() error { return context.Cause(c.quic.Context()) }

// Close says goodbye and ends what is beneath.
func (c *codec3) Close() error {
	_ = c.quic.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "")
	c.end()

	return nil
}

func (c *codec3) end() {
	c.mu.Lock()
	closed := c.closed
	c.closed = true
	if c.watch != nil {
		c.watch.Stop()
	}
	all := c.beneath
	c.mu.Unlock()
	if closed {
		return
	}
	for _, b := range all {
		b.end()
	}
}

// facts are those of the connection: the addresses, and what TLS has found once its
// handshake is complete. QUIC is asked for that once, since it must not be before, or
// while the connection moves.
func (c *codec3) facts() *protocols.ConnInfo {
	if info := c.info.Load(); info != nil {
		return info
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if info := c.info.Load(); info != nil {
		return info
	}
	info := &protocols.ConnInfo{Local: c.quic.LocalAddr(), Remote: c.quic.RemoteAddr()}
	if c.settled() {
		state := c.quic.ConnectionState().TLS
		info.TLS = &state
		c.info.Store(info)
	}

	return info
}
