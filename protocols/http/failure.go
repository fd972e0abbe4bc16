package http

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"golang.org/x/net/http2"

	"github.com/urlkit/urlkit/protocols"
)

// textTrailerCut is what net/http says in text alone.
const textTrailerCut = "http: unexpected EOF reading trailer"

// before is what is known of a connection when a request begins.
type before struct {
	kept           bool  // it has waited in the pool
	early          bool  // it has answered nothing yet: its peer's limit may not be known
	sent, received int64 // as the socket counts
}

// failure names what kept a request from being answered. again: nothing of it was
// sent, and another connection may do.
func (x *exchange) failure(err error, was before, body *protocols.Body, unbroken bool) (again bool, _ error) {
	if cause := x.ctx.Err(); cause != nil {
		x.leaveSilent(was.received)

		return false, ended(cause, err)
	}
	failed, opened := x.upload.failure()
	var begun unbegun
	unsent := errors.As(err, &begun)
	switch {
	case unsent:
		x.pool.changed(x.conn) // or it would be tried again
	case x.conn.quic && unsent3(err):
		unsent = true
		x.pool.retire(x.conn, false)
	}
	switch s := x.conn.socket; {
	case x.conn.shared:
	case unbroken:
		return false, protocols.Errorf(protocols.BadURL, "the request cannot be sent: %w", brief(err))
	case s.sent.Load() == was.sent:
		unsent = true
	}
	if failed != nil {
		return false, failed
	}
	err = x.classify(err, was)
	if unsent {
		err = fmt.Errorf("%w: %w", protocols.ErrNotSent, err)
		again = (was.kept || x.conn.shared) && (!opened || body.Replayable())
	}

	return again, err
}

// classify gives the error of a failed head its code, and says what may be done
// again.
func (x *exchange) classify(err error, was before) error {
	if errors.Is(err, errUploadClosed) {
		// The codec closed the connection for what it read, and tells only that the
		// request could not be sent to its end.
		err = errMalformed
	}
	var coded *protocols.Error
	var reset resetError
	var gone goneError
	switch {
	case errors.As(err, &coded):
		return err
	case x.conn.quic:
		return x.classify3(err)
	case errors.As(err, &reset):
		return x.resetByPeer(reset, was, err)
	case errors.As(err, &gone):
		return protocols.Errorf(protocols.NetworkConnectionLost, "%w: %w", protocols.ErrNotSent, err)
	case lost(err):
	case x.cut():
		err = fmt.Errorf("%w: %w", io.ErrUnexpectedEOF, brief(err))
	default:
		return protocols.Errorf(protocols.CannotParseResponse, "%w", brief(err))
	}
	if was.kept && x.unanswered(was) {
		err = fmt.Errorf("%w: %w", protocols.ErrStaleConnection, err)
	}

	return connectionLost(err)
}

var errMalformed = errors.New("the server broke off with a malformed answer while it was sent the request")

// resetByPeer is the error for a stream that the peer reset before its answer.
func (x *exchange) resetByPeer(reset resetError, was before, err error) error {
	switch reset.code {
	case http2.ErrCodeProtocol:
		// Also what a stream beyond the peer's limit is refused with (RFC 9113 §5.1.2).
		if was.early {
			err = fmt.Errorf("%w: %w", protocols.ErrNotSent, err)
		}
	case http2.ErrCodeHTTP11Required:
		x.pool.retire(x.conn, true)
		err = fmt.Errorf("%w: %w", protocols.ErrNotSent, err)
	case http2.ErrCodeRefusedStream:
		err = fmt.Errorf("%w: %w", protocols.ErrNotSent, err)
	}

	return protocols.Errorf(protocols.NetworkConnectionLost, "%w", err)
}

// maxFarewell is what TLS may say around the bytes of an answer: the longest of
// its alerts and acknowledgements, with room to spare.
const maxFarewell = 64

// unanswered tells whether a connection broke before a byte of the answer.
func (x *exchange) unanswered(was before) bool {
	received := x.conn.socket.received.Load() - was.received

	return x.conn.shared || received == 0 || x.conn.socket.secure && received <= maxFarewell
}

// cut tells whether an answer that the codec calls malformed is only incomplete:
// it wanted more when the connection had ended. TLS keeps its end to itself, and
// tells it again when asked; by then the socket is closed, so that asking does
// not wait.
func (x *exchange) cut() bool {
	if x.conn.shared {
		return false
	}
	x.conn.abort()
	if err := x.conn.socket.failed.Load(); err != nil && !errors.Is(*err, net.ErrClosed) {
		return true
	}
	if _, secure := x.conn.raw.(*tls.Conn); !secure {
		return false
	}
	_, err := x.conn.raw.Read(make([]byte, 1))

	return errors.Is(err, io.EOF)
}

// bodyFailure names what ended a body before its end.
func (x *exchange) bodyFailure(err error) error {
	var reset resetError
	failed, _ := x.upload.failure()
	switch cause := x.ctx.Err(); {
	case cause != nil:
		return ended(cause, err)
	case x.closed.Load():
		return errBodyClosed
	case failed != nil: // the request ended, and the answer with it
		return failed
	case errors.Is(err, io.ErrUnexpectedEOF):
		return err
	case x.conn.quic:
		return x.bodyFailure3(err)
	case errors.As(err, &reset), lost(err):
		return fmt.Errorf("%w: %w", io.ErrUnexpectedEOF, err)
	case x.cut():
		return fmt.Errorf("%w: %w", io.ErrUnexpectedEOF, brief(err))
	default:
		return protocols.Errorf(protocols.CannotParseResponse, "%w", brief(err))
	}
}

// leaveSilent keeps new requests from a shared connection whose peer has said nothing
// to anybody while a clock ran out; received is what had come before. Over QUIC the
// codec watches for that.
func (x *exchange) leaveSilent(received int64) {
	if x.conn.shared && !x.conn.quic && late(x.ctx) && x.conn.socket.received.Load() == received {
		x.pool.retire(x.conn, false)
	}
}

// late tells whether a clock has ended a load.
func late(ctx context.Context) bool {
	var timeout interface{ Timeout() bool }

	return errors.As(context.Cause(ctx), &timeout) && timeout.Timeout()
}

// ended is the error of a load whose context has ended.
func ended(cause, err error) error {
	if errors.Is(err, cause) {
		return err
	}

	return fmt.Errorf("%w: %w", cause, err)
}

// lost tells whether the connection broke, rather than carried something wrong.
func lost(err error) bool {
	var network net.Error
	var broken unwritten
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.ErrClosedPipe) ||
		errors.Is(err, net.ErrClosed) || errors.As(err, &network) || errors.As(err, &broken) {
		return true
	}

	return errors.Is(err, errSilent) || errors.Is(err, errShut) || errors.Is(err, errPlaces) ||
		strings.HasPrefix(err.Error(), textTrailerCut)
}

// connectionLost gives the code, unless TLS has more to say of it: under TLS 1.3
// a refused client certificate shows up in the first read.
func connectionLost(err error) error {
	if strings.Contains(err.Error(), "tls: ") {
		return err
	}

	return protocols.Errorf(protocols.NetworkConnectionLost, "%w", err)
}

// maxText bounds the text of an error, which quotes what the peer sent.
const maxText = 300

func brief(err error) error {
	if text := err.Error(); len(text) > maxText {
		return errors.New(strings.ToValidUTF8(text[:maxText], "") + "...")
	}

	return err
}
