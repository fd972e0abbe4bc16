package http

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	nethttp "net/http"
	"net/http/httptrace"
	"net/textproto"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/net/http/httpguts"
)

// codec1 is the wire of HTTP/1.1 (RFC 9112): one request at a time, on the
// goroutine of the one who asks. Nobody reads an idle connection; whether it still
// lives is asked when it is to be used again.
type codec1 struct {
	conn   net.Conn // TLS, or socket itself
	socket *socket
	in     headReader
	out    out
	head   head
	r      *bufio.Reader
	w      *bufio.Writer
	heads  int64  // bytes of the last answer's head
	hangUp func() // closes the socket

	bodyStart int64        // where the last answer's body began
	headSent  atomic.Int64 // bytes of the last request's head, where a body follows and somebody traces
	wake      func()       // ends a read that waits
	config    *Config

	state     atomic.Int32
	idleSince time.Time
}

// The states of a codec1.
const (
	stateIdle  = iota
	stateBusy  // with a request
	stateSpent // takes no other
)

var (
	errBusy     = errors.New("http: the connection has a request")
	errLongHead = errors.New("the head of the answer is too long")
	errEnded    = errors.New("http: the server has closed the idle connection, or sent what nobody asked for")
	errUnasked  = errors.New("http: the server sent bytes that nobody asked for")
)

// unwritten is what the connection said when it was written to.
type unwritten struct{ error }

func (e unwritten) Unwrap() error { return e.error }

func newCodec1(conn net.Conn, socket *socket, config *Config) *codec1 {
	c := &codec1{conn: conn, socket: socket, config: config, in: headReader{conn: conn}, out: out{conn: conn}, idleSince: time.Now().Add(newcomerTrust)}
	c.r, c.w = bufio.NewReader(&c.in), bufio.NewWriter(&c.out)
	c.hangUp = func() { _ = socket.Close() }
	c.wake = func() {
		for range yields {
			runtime.Gosched()
		}
		_ = conn.SetReadDeadline(longAgo)
	}

	return c
}

// Available is 1 for a connection without a request.
func (c *codec1) Available() int {
	if c.state.Load() == stateIdle && !c.socket.closed.Load() {
		return 1
	}

	return 0
}

// Limit is 1.
func (c *codec1) Limit() int { return 1 }

// Close closes the connection.
func (c *codec1) Close() error {
	if c.socket.closed.Load() {
		return nil
	}

	return c.conn.Close()
}

// Err tells whether the connection is closed, by either side. Only the one who
// may use it asks.
func (c *codec1) Err() error {
	if c.socket.closed.Load() {
		return net.ErrClosed
	}
	if c.state.Load() != stateIdle || time.Now().Before(c.idleSince) {
		return nil
	}
	ended, known := c.socket.Ended()
	var err error
	switch {
	case ended:
		err = errEnded
	case !known && time.Since(c.idleSince) > freshness:
		err = c.probe()
	}
	if err != nil {
		c.hangUp()
	}

	return err
}

const (
	// freshness is how long a connection that has just answered is trusted, where
	// looking costs more than a system call.
	freshness = 500 * time.Microsecond
	// newcomerTrust is how long one that has not been used yet is.
	newcomerTrust = time.Second
	// glances is how often probe looks: on a busy machine one of two sees nothing, and
	// six cost some ten microseconds.
	glances = 6
	yields  = 10
	// deaf is when a connection that does not heed deadlines is given up.
	deaf = 100 * time.Millisecond
)

var longAgo = time.Unix(1, 0)

// probe looks whether an idle connection has ended, or sent what nobody asked for,
// where protocols.Ended cannot tell.
// Under a deadline that has passed nothing is read at all, so the deadline is to
// pass when this goroutine has read in vain and waits: that lets the new one run.
// At times it runs elsewhere and too early, whence its yields and several glances.
func (c *codec1) probe() error {
	timer := time.AfterFunc(deaf, c.hangUp)
	defer timer.Stop()
	for range glances {
		c.in.left = 1 // a byte is one too many
		go c.wake()
		_, err := c.r.Peek(1)
		var network net.Error
		switch {
		case err == nil:
			return errUnasked
		case !errors.As(err, &network) || !network.Timeout():
			return err
		}
		if err := c.conn.SetReadDeadline(time.Time{}); err != nil {
			return err
		}
	}

	return nil
}

// RoundTrip sends a request, and reads the head of its answer.
func (c *codec1) RoundTrip(r *nethttp.Request) (*nethttp.Response, error) {
	ctx := r.Context()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := sendable(r); err != nil {
		return nil, err
	}
	if !c.state.CompareAndSwap(stateIdle, stateBusy) {
		return nil, errBusy
	}
	a := &reply{codec: c}
	if ctx.Done() != nil {
		a.stop = context.AfterFunc(ctx, c.hangUp)
	}
	if err := a.send(r); err != nil {
		err = c.alert(err)
		a.refused()

		return nil, err
	}
	resp, err := c.readHead(r, a.sender)
	if err != nil {
		err = a.sender.explain(err)
		_ = a.Close()

		return nil, err
	}
	a.begin(r, resp)

	return resp, nil
}

// alert adds to a failed write what the peer had said before it hung up: under TLS
// 1.3 it refuses a client's certificate, or the lack of one, after the handshake.
func (c *codec1) alert(err error) error {
	var broken unwritten
	if !c.socket.secure || !errors.As(err, &broken) || c.conn.SetReadDeadline(time.Now().Add(afterBreak)) != nil {
		return err
	}
	if _, said := c.conn.Read(make([]byte, 1)); said != nil && strings.Contains(said.Error(), "remote error: tls: ") {
		return fmt.Errorf("%w: %w", said, err)
	}

	return err
}

// sendable tells why a request cannot be sent.
func sendable(r *nethttp.Request) error { return sendableBut(r, "") }

// sendableBut is sendable where a field called special may be sent too.
func sendableBut(r *nethttp.Request, special string) error {
	for name, values := range r.Header {
		if !httpguts.ValidHeaderFieldName(name) && (special == "" || name != special) {
			return fmt.Errorf("http: invalid field name %.100q", name)
		}
		for _, value := range values {
			if !httpguts.ValidHeaderFieldValue(value) { // which may be a secret
				return fmt.Errorf("http: invalid value of the field %.100q", name)
			}
		}
	}
	if r.Method != "" && !httpguts.ValidHeaderFieldName(r.Method) { // a token as well
		return fmt.Errorf("http: invalid method %.100q", r.Method)
	}

	return nil
}

// readHead reads the head of the final answer.
func (c *codec1) readHead(r *nethttp.Request, s *sender) (*nethttp.Response, error) {
	trace := httptrace.ContextClientTrace(r.Context())
	c.in.left = c.config.MaximumHeaderBytes
	before := c.position()
	if _, err := c.r.Peek(1); err != nil {
		return nil, err
	}
	if trace != nil && trace.GotFirstResponseByte != nil {
		trace.GotFirstResponseByte()
	}
	for {
		resp, err := nethttp.ReadResponse(c.r, r)
		if err != nil {
			return nil, err
		}
		code := resp.StatusCode
		if code < 100 || code > 199 || code == nethttp.StatusSwitchingProtocols {
			c.in.left = unlimited
			c.bodyStart = c.position()
			c.heads = c.bodyStart - before
			s.answered()

			return resp, nil
		}
		if code == nethttp.StatusContinue {
			s.permit(true)
		}
		if trace != nil && trace.Got1xxResponse != nil { // which counts them
			if err := trace.Got1xxResponse(code, textproto.MIMEHeader(resp.Header)); err != nil {
				return nil, err
			}
			c.in.left = c.config.MaximumHeaderBytes
		}
	}
}

// position is how many bytes of the connection were taken.
func (c *codec1) position() int64 { return c.in.total - int64(c.r.Buffered()) }

// unlimited is for bodies.
const unlimited = 1<<63 - 1

// headReader reads no more from the connection than a head may have.
type headReader struct {
	conn  io.Reader
	left  int64
	total int64 // read so far
}

func (h *headReader) Read(p []byte) (int, error) {
	if h.left <= 0 {
		return 0, errLongHead
	}
	if int64(len(p)) > h.left {
		p = p[:h.left]
	}
	n, err := h.conn.Read(p)
	h.left -= int64(n)
	h.total += int64(n)

	return n, err
}
