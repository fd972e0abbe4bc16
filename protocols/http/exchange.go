package http

import (
	"context"
	"errors"
	"io"
	nethttp "net/http"
	"sync/atomic"

	"github.com/urlkit/urlkit/protocols"
)

// exchange is one request and its answer: the response, its body and what
// belongs to the request, in one allocation.
type exchange struct {
	protocols.Response

	pool   *pool
	conn   *conn
	ctx    context.Context
	trace  *protocols.Trace
	raw    *nethttp.Response
	out    nethttp.Request
	upload *upload     // nil: the request has no body
	ended  atomic.Bool // the connection was given back
	closed atomic.Bool
}

var errBodyClosed = errors.New("http: the response body is closed")

// Read reads the response's body. At its end the connection is free.
func (x *exchange) Read(p []byte) (int, error) {
	if x.closed.Load() {
		return 0, errBodyClosed
	}
	received := x.conn.socket.received.Load()
	n, err := x.raw.Body.Read(p)
	switch {
	case err == nil:
		return n, nil
	case err == io.EOF && x.raw.ContentLength < 0 && x.ctx.Err() != nil: // only a bare one is the end
		// A server that sees the request cancelled may end its answer, and win the
		// race against the closing connection: such an end proves nothing.
		return n, ended(x.ctx.Err(), io.ErrUnexpectedEOF)
	case err == io.EOF && x.conn.quic && x.raw.ContentLength < 0 && halfFrame(x.raw.Body):
		return n, io.ErrUnexpectedEOF
	case err == io.EOF: // only a bare one is the end
		x.Trailer = x.raw.Trailer
		x.markSent()
		x.trace.Mark(protocols.ResponseEnd)
		x.countReceived()
		x.end(true)

		return n, io.EOF
	default:
		x.countReceived()
		x.leaveSilent(received)

		return n, x.bodyFailure(err)
	}
}

// Context is what the codec ends the body with; the session need not.
func (x *exchange) Context() context.Context { return x.ctx }

// Close ends the exchange. A body that was not read to its end takes the
// connection (HTTP/1.1) or its stream (HTTP/2) with it; nothing is drained.
func (x *exchange) Close() error {
	if x.closed.Swap(true) {
		return nil
	}
	switch ended := x.ended.Load(); {
	case !ended:
		x.conn.abort()
	case x.conn.shared && x.upload == nil:
		return nil // the stream ended with its last byte
	}
	_ = x.raw.Body.Close() // what it says of an answer that nobody wants is of no use
	x.end(false)

	return nil
}

// end gives the connection back, once.
func (x *exchange) end(keep bool) {
	if x.ended.Swap(true) {
		return
	}
	x.finishUpload()
	x.count()
	x.pool.release(x.conn, keep)
}

// count tells how much of the request was sent, and how long the head of its answer
// was, where somebody asks. Of a request over HTTP/2 that was not answered nothing is
// known.
func (x *exchange) count() {
	if x.trace == nil {
		return
	}
	if s := x.stream(); s != nil {
		x.trace.Tell(protocols.RequestHeaderBytes, s.sentHead)
		x.trace.Tell(protocols.ResponseHeaderBytes, s.gotHead.Load())
		if x.upload != nil {
			x.trace.Tell(protocols.RequestBodyBytesSent, s.sentBody.Load())
		}

		return
	}
	codec, ok := x.conn.wire.(*codec1)
	if !ok {
		return
	}
	total, head := codec.out.total.Load(), codec.headSent.Load()
	if head == 0 || head > total { // nothing but a head was sent, or a part of one
		head = total
	}
	x.trace.Tell(protocols.RequestHeaderBytes, head)
	if x.upload != nil {
		x.trace.Tell(protocols.RequestBodyBytesSent, total-head)
	}
	if x.raw != nil {
		x.trace.Tell(protocols.ResponseHeaderBytes, codec.heads)
	}
}

// countReceived tells how long the answer's body is so far, with its framing. Only
// the one who reads it may, and only as long as the connection is the exchange's.
func (x *exchange) countReceived() {
	if x.ended.Load() {
		return
	}
	if s := x.stream(); s != nil {
		x.trace.Tell(protocols.ResponseBodyBytes, s.gotBody.Load())
	}
	if codec, ok := x.conn.wire.(*codec1); ok && x.trace != nil {
		x.trace.Tell(protocols.ResponseBodyBytes, codec.position()-codec.bodyStart)
	}
}

// stream is the exchange's own over HTTP/2, once it is answered; nil: there is none.
func (x *exchange) stream() *stream {
	if x.raw == nil {
		return nil
	}
	s, _ := x.raw.Body.(*stream)

	return s
}

// setContentType is Response.SetContentType, without its allocations for a plain
// media type.
func setContentType(r *protocols.Response, value string) {
	slashes := 0
	for i := range len(value) {
		c := value[i]
		if c == '/' {
			slashes++
		} else if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '.' || c == '+') {
			slashes = -len(value)
		}
	}
	if slashes != 1 {
		r.SetContentType(value)

		return
	}
	r.MIMEType = value
}
