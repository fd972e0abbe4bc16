//go:build !urlkit_nohttp3

package http

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/urlkit/urlkit/protocols"
)

// What the codec says in text alone: of a request that it has not begun with, and of
// a head that makes no sense. Tests pin both.
const (
	textUnusable = "http3: conn unusable: "
	textNoHead   = "http3: invalid response: "
)

// unsent3 tells whether nothing of a request was acted on.
func unsent3(err error) bool {
	return errors.Is(err, errUnsettled) || errors.Is(err, errTooEarly) || errors.Is(err, quic.Err0RTTRejected) ||
		strings.HasPrefix(err.Error(), textUnusable)
}

// broken tells whether the end of the connection says that HTTP/3 does not work
// there, and TCP may.
func (c *codec3) broken(end error) bool {
	var idle *quic.IdleTimeoutError
	var transport *quic.TransportError
	var application *quic.ApplicationError
	switch {
	case c.lost.Load(), errors.As(end, &idle), errors.As(end, &transport):
		return true
	case errors.As(end, &application):
		return application.ErrorCode != quic.ApplicationErrorCode(http3.ErrCodeNoError)
	default:
		return false
	}
}

// note takes a connection that has ended out of use at once: the next load may come
// before the connection tells its end by itself.
func (x *exchange) note(end error) {
	if codec, ok := x.conn.wire.(*codec3); ok && codec.broken(end) {
		x.pool.breakDown(x.conn.host.key)
	}
	x.pool.retire(x.conn, false)
}

// ending tells of an error whether it is the end of the whole connection, and not
// that of one stream.
func ending(err error) bool {
	var (
		idle        *quic.IdleTimeoutError
		transport   *quic.TransportError
		application *quic.ApplicationError
		reset       *quic.StatelessResetError
	)

	return errors.As(err, &idle) || errors.As(err, &reset) || errors.As(err, &transport) && transport.Remote ||
		errors.As(err, &application) && (application.Remote || application.ErrorCode == quic.ApplicationErrorCode(http3.ErrCodeNoError)) ||
		errors.Is(err, quic.ErrTransportClosed)
}

// classify3 is classify for HTTP/3.
func (x *exchange) classify3(err error) error {
	var reset *quic.StreamError
	switch {
	case errors.As(err, &reset) && reset.Remote:
		switch http3.ErrCode(reset.ErrorCode) {
		case http3.ErrCodeRequestRejected:
			err = fmt.Errorf("%w: %w", protocols.ErrNotSent, err)
		case http3.ErrCodeVersionFallback: // what is asked for is served over TCP (RFC 9114 §8.1)
			x.pool.breakDown(x.conn.host.key)
			x.pool.retire(x.conn, false)
			err = fmt.Errorf("%w: %w", protocols.ErrNotSent, err)
		}

		return protocols.Errorf(protocols.NetworkConnectionLost, "%w", err)
	case unsent3(err):
		if ending(err) {
			x.note(err)
		}

		return protocols.Errorf(protocols.NetworkConnectionLost, "%w", err)
	case ending(err):
		// Nobody has seen an answer, whether the connection was new or kept: both
		// break in the same ways.
		x.note(err)

		return connectionLost(fmt.Errorf("%w: %w", protocols.ErrStaleConnection, err))
	case strings.HasPrefix(err.Error(), textNoHead):
		return protocols.Errorf(protocols.CannotParseResponse, "%w", brief(err))
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return protocols.Errorf(protocols.NetworkConnectionLost, "%w: %w", io.ErrUnexpectedEOF, brief(err))
	default:
		return protocols.Errorf(protocols.CannotParseResponse, "%w", brief(err))
	}
}

// bodyFailure3 is bodyFailure for HTTP/3.
func (x *exchange) bodyFailure3(err error) error {
	var reset *quic.StreamError
	ended := ending(err)
	if ended {
		x.note(err)
	}
	if errors.As(err, &reset) && reset.Remote || ended {
		// The code by name: silence that was too long is no time-out of the session's.
		return protocols.Errorf(protocols.NetworkConnectionLost, "%w: %w", io.ErrUnexpectedEOF, err)
	}

	return protocols.Errorf(protocols.CannotParseResponse, "%w", brief(err))
}

// halfFrame tells of a body that has ended whether that was in the middle of a frame
// (RFC 9114 §7.1 forbids it). The codec takes such an end for a good one, and keeps
// what it knows of the frame to itself.
func halfFrame(body io.ReadCloser) bool {
	if d, ok := body.(*duplex); ok {
		body = d.ReadCloser
	}
	v := reflect.ValueOf(body)
	for _, field := range []string{"body", "str", "bytesRemainingInFrame"} {
		if v.Kind() == reflect.Pointer {
			v = v.Elem()
		}
		if v.Kind() != reflect.Struct {
			return false
		}
		v = v.FieldByName(field)
	}

	return v.CanUint() && v.Uint() > 0
}
