package engine

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/urlkit/urlkit/ats"
	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/proxy"
)

// phased names the phase in which an error came about.
type phased struct {
	phase string
	err   error
}

func (p *phased) Error() string { return p.err.Error() }
func (p *phased) Unwrap() error { return p.err }

// at names the phase of an error; nil stays nil.
func at(phase string, err error) error {
	if err == nil {
		return nil
	}

	return &phased{phase, err}
}

// fail makes the one *protocols.Error of a failed load. What ended the load
// from outside (the caller's context, a clock, the session) is the reason, not
// what the protocol then ran into.
func (l *load) fail(err error, phase string) error {
	return l.failure(l.op, l.failing, err, phase)
}

// failure makes the *protocols.Error of a hop that failed.
func (h *hop) failure(err error) error {
	if err == nil {
		return nil
	}
	if own, ok := err.(*protocols.Error); ok && own.Op != "" { //nolint:errorlint // one that is complete
		return own
	}

	return h.of.failure(h.request.Method, h.request.URL, err, "")
}

func (l *load) failure(op string, failing *url.URL, err error, phase string) error {
	e := &protocols.Error{Op: op, URL: protocols.Redact(failing), Phase: phase, Err: err}
	e.Answered = l.redirects > 0 || l.answers.Load().last().count > 0 || l.inner.Load() > 0
	var p *phased
	if errors.As(err, &p) {
		e.Phase = p.phase
		if p == err { //nolint:errorlint // only an outermost phase is taken off
			e.Err = p.err
		}
	}
	if l.parent.Err() != nil {
		e.Code, e.Err = contextError(l.parent)

		return e
	}
	if l.ctx != nil {
		if cause := context.Cause(l.ctx); cause != nil && !errors.Is(cause, context.Canceled) {
			e.Err = cause
			e.Code = protocols.Cancelled
			var timeout *timeoutError
			if errors.As(cause, &timeout) {
				e.Code = protocols.TimedOut
			}

			return e
		}
	}
	if deadline, ok := l.parent.Deadline(); ok && !time.Now().Before(deadline) {
		// A connection's own deadline, set from the context's, fires a little sooner.
		e.Code, e.Err = protocols.TimedOut, &caused{context.DeadlineExceeded, e.Err}

		return e
	}
	e.Code = Classify(err)
	var coded *protocols.Error
	if errors.As(err, &coded) {
		e.NetworkUnavailableReason = coded.NetworkUnavailableReason
	}
	// A protocol's own *Error gives its code; its text need not stand twice.
	if inner, ok := e.Err.(*protocols.Error); ok && inner.Op == "" && inner.Err != nil { //nolint:errorlint // only the outermost
		e.Err = inner.Err
	}

	return e
}

// contextError is Cancelled or TimedOut, with the context's error and its cause
// beneath.
func contextError(ctx context.Context) (protocols.Code, error) {
	err := ctx.Err()
	code := protocols.Cancelled
	if errors.Is(err, context.DeadlineExceeded) {
		code = protocols.TimedOut
	}
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, err) {
		err = &caused{err, cause}
	}

	return code, err
}

// caused is a context's error with its cause.
type caused struct{ err, cause error }

func (c *caused) Error() string   { return c.err.Error() + ": " + c.cause.Error() }
func (c *caused) Unwrap() []error { return []error{c.err, c.cause} }

// closedError is what a Read after Close gives.
func (l *load) closedError() error {
	if l.parent.Err() != nil || context.Cause(l.ctx) != nil {
		return l.fail(errClosed, "body")
	}

	return &protocols.Error{
		Code: protocols.Cancelled, Op: l.op, URL: protocols.Redact(l.failing), Phase: "body", Err: errClosed,
	}
}

var errClosed = errors.New("the body is closed")

// Classify finds the code of a protocol's raw error.
func Classify(err error) protocols.Code {
	var coded *protocols.Error
	if errors.As(err, &coded) && coded.Code != 0 {
		return coded.Code
	}
	var dial *proxy.DialError
	if errors.As(err, &dial) && dial.Code != 0 {
		return dial.Code
	}
	var code protocols.Code
	if errors.As(err, &code) {
		return code
	}
	if code := trustCode(err); code != 0 {
		return code
	}
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns) && dns.IsTimeout:
		return protocols.TimedOut
	case errors.As(err, &dns) && dns.IsNotFound:
		return protocols.CannotFindHost
	case errors.As(err, &dns):
		return protocols.DNSLookupFailed
	}
	if code := systemCode(err); code != 0 {
		return code
	}
	var netError net.Error
	switch {
	case errors.As(err, &netError) && netError.Timeout(), errors.Is(err, os.ErrDeadlineExceeded):
		return protocols.TimedOut
	case errors.Is(err, fs.ErrNotExist):
		return protocols.FileDoesNotExist
	case errors.Is(err, fs.ErrPermission):
		return protocols.NoPermissionsToReadFile
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed),
		errors.Is(err, protocols.ErrStaleConnection), errors.Is(err, protocols.ErrNotSent):
		return protocols.NetworkConnectionLost
	case errors.Is(err, context.Canceled), errors.Is(err, ErrInvalidated):
		return protocols.Cancelled
	default:
		return protocols.Unknown
	}
}

// trustCode classifies what TLS and policy say; 0: it is something else.
func trustCode(err error) protocols.Code {
	var (
		refusal *ats.Refusal
		trust   *ats.TrustError
		invalid x509.CertificateInvalidError
		unknown x509.UnknownAuthorityError
		name    x509.HostnameError
		verify  *tls.CertificateVerificationError
		record  tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &refusal):
		return protocols.AppTransportSecurityRequiresSecureConnection
	case errors.As(err, &trust):
		return protocols.ServerCertificateUntrusted
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		if time.Now().Before(invalid.Cert.NotBefore) {
			return protocols.ServerCertificateNotYetValid
		}

		return protocols.ServerCertificateHasBadDate
	case errors.As(err, &unknown) && unknown.Cert != nil && !selfSigned(unknown.Cert):
		return protocols.ServerCertificateHasUnknownRoot
	case errors.As(err, &verify), errors.As(err, &invalid), errors.As(err, &unknown), errors.As(err, &name):
		return protocols.ServerCertificateUntrusted
	case errors.As(err, &record):
		return protocols.SecureConnectionFailed
	}
	// crypto/tls keeps the type of an alert to itself.
	switch text := err.Error(); {
	case strings.Contains(text, "remote error: tls: certificate required"):
		return protocols.ClientCertificateRequired
	case strings.Contains(text, "remote error: tls: bad certificate"),
		strings.Contains(text, "remote error: tls: unknown certificate"), // or: unknown certificate authority
		strings.Contains(text, "remote error: tls: unsupported certificate"),
		strings.Contains(text, "remote error: tls: revoked certificate"),
		strings.Contains(text, "remote error: tls: expired certificate"):
		return protocols.ClientCertificateRejected
	case strings.Contains(text, "tls: "):
		return protocols.SecureConnectionFailed
	default:
		return 0
	}
}

func selfSigned(c *x509.Certificate) bool {
	return string(c.RawIssuer) == string(c.RawSubject)
}
