package protocols

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// Error is the one error of a failed load (Apple's NSError of
// NSURLErrorDomain). errors.Is works with its Code and with what Err wraps
// (context.Canceled, os.ErrNotExist, io.ErrUnexpectedEOF); errors.As finds x509,
// TLS and net errors beneath.
type Error struct {
	// Code classifies the error; 0 counts as Unknown.
	Code Code
	// Op is what was done: the method, or "parse", "dial".
	Op string
	// URL is the failing URL without user info and query (NSErrorFailingURLKey).
	URL string
	// Phase is where in the load it failed: "policy", "lookup", "connect",
	// "request", "response", "body", "redirect", "challenge"; "" unknown.
	Phase string
	// Answered: the load had already been answered, by a redirect or a challenge,
	// or an inner load was or may have been carried out, so that sending it again
	// would repeat that.
	Answered bool
	// NetworkUnavailableReason says which kind of path was there and refused; the zero
	// value: another failure (NSURLErrorNetworkUnavailableReasonKey).
	NetworkUnavailableReason NetworkUnavailableReason
	// Err is the cause; may be nil.
	Err error
}

// NetworkUnavailableReason says why a path to the network was not used (Apple's
// URLError.NetworkUnavailableReason).
type NetworkUnavailableReason uint8

const (
	// UnavailableNone: no path was refused.
	UnavailableNone NetworkUnavailableReason = iota
	// UnavailableCellular: it is cellular, and cellular ones are refused.
	UnavailableCellular
	// UnavailableExpensive: it is expensive.
	UnavailableExpensive
	// UnavailableConstrained: it is constrained.
	UnavailableConstrained
)

var unavailableNames = [...]string{"", "cellular", "expensive", "constrained"}

// String is the reason in one word; "" for UnavailableNone.
func (r NetworkUnavailableReason) String() string {
	if int(r) < len(unavailableNames) {
		return unavailableNames[r]
	}

	return fmt.Sprintf("NetworkUnavailableReason(%d)", uint8(r))
}

// Raw is Apple's number; -1 for UnavailableNone.
func (r NetworkUnavailableReason) Raw() int { return int(r) - 1 }

// Error gives operation, URL, code and cause.
func (e *Error) Error() string {
	var b strings.Builder
	if e.Op != "" {
		b.WriteString(e.Op)
		b.WriteByte(' ')
	}
	if e.URL != "" {
		b.WriteString(e.URL)
		b.WriteByte(' ')
	}
	text := strings.TrimSuffix(b.String(), " ")
	if text != "" {
		text += ": "
	}
	text += e.code().Error()
	if e.Phase != "" {
		text += " in phase " + e.Phase
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}

	return text
}

func (e *Error) code() Code {
	if e.Code == 0 {
		return Unknown
	}

	return e.Code
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is makes errors.Is(err, TimedOut) work.
func (e *Error) Is(target error) bool {
	c, ok := target.(Code)
	return ok && c == e.code()
}

// Timeout tells whether a clock ended the load; with Temporary it makes Error a
// net.Error.
func (e *Error) Timeout() bool { return e.code() == TimedOut }

// Temporary is the deprecated half of net.Error; the same as Timeout.
func (e *Error) Temporary() bool { return e.Timeout() }

// Retryable tells whether the same request can be sent again with no risk of
// its being carried out twice: nothing of it reached the peer, or the peer said
// that it did not act on it.
func (e *Error) Retryable() bool {
	if e.Answered {
		return false
	}
	if errors.Is(e.Err, ErrNotSent) {
		return true
	}
	switch e.code() {
	case CannotFindHost, CannotConnectToHost, DNSLookupFailed, NotConnectedToInternet:
		return true // all of these fail before a byte is sent
	default:
		return false
	}
}

// ErrNotSent says that no byte of the request reached the peer, or that the peer
// said it did not process it (HTTP/2 REFUSED_STREAM, a GOAWAY before it): any
// request can safely be sent again. A protocol wraps it; the session decides.
var ErrNotSent = errors.New("the request was not sent")

// ErrStaleConnection says that the request went out on a kept connection which
// the peer closed without a byte of an answer: an idempotent request can be sent
// again (RFC 9110 §9.2.2). A protocol wraps it; the session decides.
var ErrStaleConnection = errors.New("the kept connection was closed before an answer")

// Redact is the URL without user info and query, which may hold secrets. The
// data of a data: URL is cut. nil gives "".
func Redact(u *url.URL) string {
	if u == nil {
		return ""
	}
	c := *u
	if c.User != nil {
		c.User = nil
	}
	if c.RawQuery != "" {
		c.RawQuery, c.ForceQuery = "", true
	}
	c.Fragment, c.RawFragment = "", ""
	c.Opaque = redactOpaque(c.Opaque)
	if strings.EqualFold(c.Scheme, "data") {
		kind, _, found := strings.Cut(c.Opaque, ",")
		if found && len(kind) < 80 {
			c.Opaque = kind + ",..."
		} else {
			c.Opaque = "..."
		}
		c.ForceQuery = false
	}
	s := c.String()
	if c.ForceQuery && strings.HasSuffix(s, "?") {
		s += "..."
	}

	return s
}

// redactOpaque cuts what can be user info or a query from a URL's opaque part,
// which url.Parse leaves as it is ("scheme:user:password@host").
func redactOpaque(s string) string {
	s, _, query := strings.Cut(s, "?")
	if at := strings.LastIndexByte(s, '@'); at >= 0 {
		s = "..." + s[at:]
	}
	if query {
		s += "?..."
	}

	return s
}

// Errorf makes an error with a code for a protocol to return: the session keeps
// the code when it wraps the error. format may use %w.
func Errorf(code Code, format string, args ...any) error {
	return &Error{Code: code, Err: fmt.Errorf(format, args...)}
}
