package urlsession

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/urlkit/urlkit/internal/engine"
)

// RetryPolicy says what a session loads again beyond what is certainly safe: a
// request of which nothing was sent, and one with an idempotent method that a kept
// connection was closed under, are repeated at once in any case. The zero value adds
// nothing to that.
//
// A request is repeated where it failed with one of Codes or was answered with one
// of Statuses, if that does no harm: its method is idempotent (RFC 9110 §9.2.2), it
// carries an Idempotency-Key field (the app's promise that the server knows a
// repetition), or no connection for it was made; and only if its body can be opened
// again. A custom protocol's load is repeated as a whole. The app is not told of
// what came before: to it there was one response. TransactionMetrics.Retry tells.
//
// Meanwhile the request's time-out stands still, and the ResourceTimeout runs. A
// wait that would last longer than what is left of that, or of the context's
// deadline, is not begun: the failure is the result. A load that was ended by a
// time-out is not repeated.
type RetryPolicy struct {
	// Attempts is how often a request is sent at most, the first time included; 0
	// and 1: it is not repeated; negative: the ResourceTimeout is the only bound. All
	// hops of a load count together.
	Attempts int
	// FirstDelay bounds the first pause; 0: 500 milliseconds. Each pause is a random
	// time up to its bound ("full jitter"), so that clients that failed together do
	// not come back together. Negative: no pause.
	FirstDelay time.Duration
	// LongestDelay is the highest bound; 0: 20 seconds; negative: no pause.
	LongestDelay time.Duration
	// Factor is how much the bound grows from one pause to the next; 0: 2. Less than
	// 1 is refused by New.
	Factor float64
	// LongestRetryAfter is how long a server may make a load wait by Retry-After (RFC
	// 9110 §10.2.3), to which the pause is added; 0: one minute; negative: any time.
	// A response that asks for more is the result.
	LongestRetryAfter time.Duration
	// Statuses are repeated; nil: 408, 425, 429, 502, 503 and 504. Only 4xx and 5xx
	// may be among them. RoundTripper repeats none: its caller decides.
	Statuses []int
	// Codes are repeated; nil: TimedOut (while connecting), CannotConnectToHost,
	// NetworkConnectionLost, DNSLookupFailed and NotConnectedToInternet.
	Codes []Code
	// Continuations is how often the body of a GET that breaks off is continued where
	// it ended, by Range and If-Range (RFC 9110 §13.1.5); 0: never; negative: the
	// ResourceTimeout is the only bound. The pauses are those of attempts. It takes a
	// server that names a strong validator (an ETag that is not weak, or a
	// Last-Modified a minute before its Date) and honours ranges: bytes of another
	// version are never mixed in, and where the server has one, or none, the load
	// fails as it would have. Statuses are tried again. Not for RoundTripper.
	Continuations int
}

// clone gives a copy that shares no slice.
func (p RetryPolicy) clone() RetryPolicy {
	p.Statuses = slices.Clone(p.Statuses)
	p.Codes = slices.Clone(p.Codes)

	return p
}

func (p RetryPolicy) validate() error {
	var errs []error
	if p.Factor != 0 && !(p.Factor >= 1) { // NaN is neither
		errs = append(errs, fmt.Errorf("the Factor %v of Retry is less than 1", p.Factor))
	}
	for _, status := range p.Statuses {
		if status < 400 || status > 599 {
			errs = append(errs, fmt.Errorf("the status %d of Retry is none of a failure", status))
		}
	}

	return errors.Join(errs...)
}

func (p RetryPolicy) engine() engine.Retry {
	return engine.Retry{
		Attempts: p.Attempts, FirstDelay: p.FirstDelay, LongestDelay: p.LongestDelay, Factor: p.Factor,
		LongestRetryAfter: p.LongestRetryAfter, Statuses: p.Statuses, Codes: p.Codes,
		Continuations: p.Continuations,
	}
}

// RetryReason says why a transaction repeats the one before it.
type RetryReason uint8

const (
	// RetryNone: it repeats none.
	RetryNone = RetryReason(engine.RetryNone)
	// RetryNotSent: nothing of the request had reached the peer.
	RetryNotSent = RetryReason(engine.RetryNotSent)
	// RetryStaleConnection: a kept connection was closed before an answer.
	RetryStaleConnection = RetryReason(engine.RetryStaleConnection)
	// RetryConnectivity: there was no path to connect by, and the load waited for
	// one.
	RetryConnectivity = RetryReason(engine.RetryConnectivity)
	// RetryStatus: the RetryPolicy repeats its status.
	RetryStatus = RetryReason(engine.RetryStatus)
	// RetryError: the RetryPolicy repeats its failure.
	RetryError = RetryReason(engine.RetryError)
	// RetryContinuation: the body before it broke off, and this is the rest of it, or
	// an attempt to get it.
	RetryContinuation = RetryReason(engine.RetryContinuation)
)

// String is the reason in words; "" for RetryNone.
func (r RetryReason) String() string { return engine.RetryReason(r).String() }
