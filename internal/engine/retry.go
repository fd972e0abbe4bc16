package engine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urlkit/urlkit/protocols"
)

// Retry says what is loaded again beyond what is certainly safe. Its zero value:
// nothing.
type Retry struct {
	Attempts          int              // how often a request is sent at most, the first time included; negative: no bound
	FirstDelay        time.Duration    // bounds the first pause; 500 ms
	LongestDelay      time.Duration    // bounds every pause; 20 s
	Factor            float64          // from one bound to the next; 2
	LongestRetryAfter time.Duration    // what a Retry-After may ask for; 1 minute; negative: no bound
	Statuses          []int            // nil: retryStatuses
	Codes             []protocols.Code // nil: retryCodes
	Continuations     int              // how often a body that broke off is continued; negative: no bound
}

// The defaults of Retry.
const (
	DefaultFirstDelay        = 500 * time.Millisecond
	DefaultLongestDelay      = 20 * time.Second
	DefaultRetryFactor       = 2
	DefaultLongestRetryAfter = time.Minute
)

// retryStatuses say that the server, or one on the way to it, does not serve this
// now. 500 is not among them: what failed by a mistake fails again.
var retryStatuses = []int{
	http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests,
	http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout,
}

// retryCodes are failures of the network, which may be gone the next time. A name
// that does not exist and a certificate that is not trusted are none.
var retryCodes = []protocols.Code{
	protocols.TimedOut, protocols.CannotConnectToHost, protocols.NetworkConnectionLost,
	protocols.DNSLookupFailed, protocols.NotConnectedToInternet,
}

// withDefaults fills in what is not said.
func (r Retry) withDefaults() Retry {
	r.FirstDelay = orDefault(r.FirstDelay, DefaultFirstDelay)
	r.LongestDelay = orDefault(r.LongestDelay, DefaultLongestDelay)
	r.LongestRetryAfter = orDefault(r.LongestRetryAfter, DefaultLongestRetryAfter)
	if r.Factor == 0 {
		r.Factor = DefaultRetryFactor
	}
	if r.Statuses == nil {
		r.Statuses = retryStatuses
	}
	if r.Codes == nil {
		r.Codes = retryCodes
	}

	return r
}

// RetryReason is why a hop is a repetition of an earlier one.
type RetryReason uint8

// The reasons.
const (
	RetryNone            RetryReason = iota
	RetryNotSent                     // nothing of the request reached the peer
	RetryStaleConnection             // a kept connection was closed before an answer
	RetryConnectivity                // there was no path to connect by
	RetryStatus                      // Retry: it was answered with one of Statuses
	RetryError                       // Retry: it failed with one of Codes
	RetryContinuation                // Retry: its body broke off
)

// String is the reason in words; "" for RetryNone.
func (r RetryReason) String() string {
	switch r {
	case RetryNone:
		return ""
	case RetryNotSent:
		return "not sent"
	case RetryStaleConnection:
		return "stale connection"
	case RetryConnectivity:
		return "no connectivity"
	case RetryStatus:
		return "status"
	case RetryError:
		return "error"
	case RetryContinuation:
		return "continuation"
	default:
		return fmt.Sprintf("RetryReason(%d)", uint8(r))
	}
}

// repeats tells whether a hop that failed is to be loaded again, and waits where it
// has to.
func (l *load) repeats(h *hop, err error) bool {
	switch {
	case l.replay(h, err):
		l.reason = RetryStaleConnection
		if errors.Is(err, protocols.ErrNotSent) {
			l.reason = RetryNotSent
		}
	case l.awaitConnectivity(h, err):
		l.reason = RetryConnectivity
	case l.failedForNow(h, err):
		pause, ok := l.delay(l.retries, 0)
		if !ok || l.rest(pause, nil) != nil {
			return false
		}
		l.retries++
		l.reason = RetryError
	default:
		return false
	}

	return true
}

// failedForNow tells whether the policy repeats a hop that failed.
func (l *load) failedForNow(h *hop, err error) bool {
	if !l.mayRetry() || !slices.Contains(l.engine.config.Retry.Codes, Classify(err)) {
		return false
	}
	unsent := l.nothingSent(h) && (unconnecting(err) || errors.Is(err, protocols.ErrNotSent))

	return l.repeatable(h, unsent)
}

// answeredForNow tells whether the policy repeats a hop that was answered. The
// response is dropped then, and the wait is over. A RoundTripper is given every
// response.
func (l *load) answeredForNow(h *hop, resp *protocols.Response) (bool, error) {
	r := &l.engine.config.Retry
	if r.Attempts == 0 || resp.OK() || l.task.OneHop || !l.mayRetry() ||
		!slices.Contains(r.Statuses, resp.StatusCode) || !l.repeatable(h, false) {
		return false, nil
	}
	after := retryAfter(resp.Header, time.Now())
	if r.LongestRetryAfter >= 0 && after > r.LongestRetryAfter {
		return false, nil
	}
	pause, ok := l.delay(l.retries, after)
	if !ok {
		return false, nil
	}
	h.drain(resp)
	if err := l.rest(pause, nil); err != nil {
		return false, at("response", err)
	}
	l.retries++
	l.reason = RetryStatus

	return true, nil
}

// mayRetry tells whether the policy has an attempt left.
func (l *load) mayRetry() bool {
	most := l.engine.config.Retry.Attempts

	return !l.task.Brief && (most < 0 || l.retries+1 < most) && l.ctx.Err() == nil
}

// repeatable tells whether sending the hop once more does no harm: the method says
// so, the app has made it so, or nothing was sent.
func (l *load) repeatable(h *hop, unsent bool) bool {
	if !h.given.Body.Replayable() && l.opened.Load() {
		return false
	}

	return unsent || idempotent(h.request.Method) || h.request.Header.Get("Idempotency-Key") != ""
}

// delay is how long to wait before the next attempt, after so many of them: a random
// time within a bound that grows from attempt to attempt, so that clients that
// failed together do not come back together, beyond the time that the server asked
// for. It is false where the load has not as much time.
func (l *load) delay(attempts int, after time.Duration) (time.Duration, bool) {
	r := &l.engine.config.Retry
	bound := float64(r.FirstDelay) * math.Pow(r.Factor, float64(attempts))
	bound = max(min(bound, float64(r.LongestDelay), float64(maxSeconds*time.Second)), 0)
	delay := after + rand.N(time.Duration(bound)+1)
	if deadline, ok := l.parent.Deadline(); ok && time.Until(deadline) <= delay || l.engine.clock.left(l) <= delay {
		return 0, false
	}

	return delay, true
}

// rest waits for so long, or until wait returns; nil: for so long. Its error is what
// ended the load. Meanwhile the request's clock
// stands still, and that of the resource runs. A task that is suspended by then
// goes on when it is resumed.
func (l *load) rest(pause time.Duration, wait func(context.Context)) error {
	l.idling()
	defer l.waiting()
	ctx, cancel := context.WithTimeout(l.ctx, pause)
	defer cancel()
	if wait == nil {
		<-ctx.Done()
	} else {
		wait(ctx)
	}
	if l.ctx.Err() == nil && l.task.Held != nil {
		if err := l.task.Held(); err != nil {
			return err
		}
	}

	return context.Cause(l.ctx)
}

// maxSeconds is the longest number of seconds that is taken for what it says, and
// waited for: a hundred years.
const maxSeconds = 100 * 365 * 24 * 3600

// retryAfter is the time that a response asks to wait for, as seconds or as a date
// (RFC 9110 §10.2.3); 0: it asks for none. A date counts from the response's own, so
// that the two clocks need not agree.
func retryAfter(header http.Header, now time.Time) time.Duration {
	value := strings.Trim(header.Get("Retry-After"), " \t")
	if value == "" {
		return 0
	}
	if strings.Trim(value, "0123456789") == "" {
		seconds, err := strconv.ParseInt(value, 10, 64)
		if err != nil || seconds > maxSeconds {
			seconds = maxSeconds
		}

		return time.Duration(seconds) * time.Second
	}
	date, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	if sent, err := http.ParseTime(header.Get("Date")); err == nil {
		now = sent
	}

	return min(max(date.Sub(now), 0), maxSeconds*time.Second)
}
