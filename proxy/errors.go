package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/urlkit/urlkit/protocols"
)

// DialError says why a host could not be connected to. errors.Is works with
// Code and with everything beneath Err; errors.As finds the net package's errors
// there, a *net.OpError with its address for each attempt.
type DialError struct {
	// Addr is the "host:port" asked for.
	Addr string
	// Code classifies the failure: BadURL, CannotFindHost, DNSLookupFailed,
	// CannotConnectToHost, NotConnectedToInternet, TimedOut or Cancelled.
	Code protocols.Code
	// Err is the cause. When the context ended it wraps the context's error and
	// its cause.
	Err error
}

// Error names the address and the cause.
func (e *DialError) Error() string { return fmt.Sprintf("dial %q: %v", e.Addr, e.Err) }

// Unwrap returns the cause.
func (e *DialError) Unwrap() error { return e.Err }

// Is makes errors.Is(err, protocols.CannotFindHost) work.
func (e *DialError) Is(target error) bool {
	c, ok := target.(protocols.Code)
	return ok && c == e.Code
}

// Timeout tells whether a clock ended the dial; with Temporary it makes
// DialError a net.Error.
func (e *DialError) Timeout() bool { return e.Code == protocols.TimedOut }

// Temporary is the deprecated half of net.Error; the same as Timeout.
func (e *DialError) Temporary() bool { return e.Timeout() }

// dialError makes the one error of a dial. The caller's context goes before what
// its end did to the attempts.
func dialError(parent context.Context, addr string, err error) error {
	if ctxErr := parent.Err(); ctxErr != nil {
		err = ctxErr
		if cause := context.Cause(parent); cause != nil && !errors.Is(ctxErr, cause) {
			err = fmt.Errorf("%w: %w", ctxErr, cause)
		}
		code := protocols.Cancelled
		if errors.Is(ctxErr, context.DeadlineExceeded) {
			code = protocols.TimedOut
		}

		return &DialError{Addr: cut(addr), Code: code, Err: err}
	}

	return &DialError{Addr: cut(addr), Code: classify(err), Err: err}
}

// classify gives the code of a failure that is not the caller's doing.
func classify(err error) protocols.Code {
	var (
		address *net.AddrError
		dns     *net.DNSError
		lookup  *lookupError
	)
	switch {
	case errors.As(err, &address):
		return protocols.BadURL
	case errors.Is(err, errConnectTimeout):
		return protocols.TimedOut
	case errors.As(err, &dns):
		return classifyDNS(dns)
	case errors.As(err, &lookup) && errors.Is(err, protocols.NotConnectedToInternet): // of a resolver that loads by a session
		return protocols.NotConnectedToInternet
	case errors.As(err, &lookup) && errors.Is(err, protocols.TimedOut):
		return protocols.TimedOut
	case errors.As(err, &lookup):
		return protocols.DNSLookupFailed
	case every(err, isUnreachable):
		return protocols.NotConnectedToInternet
	case every(err, isTimeout):
		return protocols.TimedOut
	default:
		return protocols.CannotConnectToHost
	}
}

func classifyDNS(err *net.DNSError) protocols.Code {
	switch {
	case strings.HasSuffix(err.Err, syscall.ENETUNREACH.Error()): // of its server: the text is all that the net package keeps
		return protocols.NotConnectedToInternet
	case err.IsNotFound:
		return protocols.CannotFindHost
	case err.IsTimeout:
		return protocols.TimedOut
	default:
		return protocols.DNSLookupFailed
	}
}

// isUnreachable tells whether the system knows no way to a network.
func isUnreachable(err error) bool {
	var errno syscall.Errno

	return errors.As(err, &errno) && (errno == netUnreachable || errno == netDown)
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

// every tells whether all attempts failed in one way.
func every(err error, way func(error) bool) bool {
	var attempts attemptErrors
	if !errors.As(err, &attempts) {
		return way(err)
	}
	for _, one := range attempts {
		if !way(one) {
			return false
		}
	}

	return true
}

// errConnectTimeout is the end of Dialer.ConnectTimeout. It wraps
// os.ErrDeadlineExceeded and not the context's error: the caller's context lives.
var errConnectTimeout error = &timeoutError{}

type timeoutError struct{}

func (*timeoutError) Error() string { return "the connect time-out ended" }
func (*timeoutError) Timeout() bool { return true }
func (*timeoutError) Unwrap() error { return os.ErrDeadlineExceeded }

// lookupError marks what a Resolver returned.
type lookupError struct{ err error }

func (e *lookupError) Error() string { return "lookup: " + e.err.Error() }
func (e *lookupError) Unwrap() error { return e.err }

// attemptErrors are the errors of all attempts, in the order they failed; each
// names its address. It reads on one line, which errors.Join does not.
type attemptErrors []error

// Error gives all of them, separated by "; ".
func (e attemptErrors) Error() string {
	text := ""
	for i, err := range e {
		if i > 0 {
			text += "; "
		}
		text += err.Error()
	}

	return text
}

// Unwrap lets errors.Is and errors.As look into each.
func (e attemptErrors) Unwrap() []error { return e }

// orElse is the errors as one, or other if no attempt was made.
func (e attemptErrors) orElse(other error) error {
	switch len(e) {
	case 0:
		return other
	case 1:
		return e[0]
	default:
		return e
	}
}
