package protocols

import (
	"sync"
	"time"
)

// Event is a moment of one transaction (the dates of Apple's
// URLSessionTaskTransactionMetrics).
type Event uint8

const (
	// FetchStart is when the session began with the transaction.
	FetchStart Event = iota
	// DomainLookupStart and DomainLookupEnd bound the name resolution.
	DomainLookupStart
	DomainLookupEnd
	// ConnectStart and ConnectEnd bound connecting, TLS and other handshakes
	// included.
	ConnectStart
	ConnectEnd
	// SecureConnectionStart and SecureConnectionEnd bound the TLS handshake.
	SecureConnectionStart
	SecureConnectionEnd
	// RequestStart and RequestEnd bound the sending of the request.
	RequestStart
	RequestEnd
	// ResponseStart and ResponseEnd bound the receiving of the response.
	ResponseStart
	ResponseEnd

	eventCount
)

// Trace collects the moments of one transaction. A nil *Trace is valid and
// collects nothing; all methods are safe for concurrent use.
type Trace struct {
	mu       sync.Mutex
	times    [eventCount]time.Time
	complete bool
}

// Mark records that e happens now. The first mark of an event counts; after
// Complete nothing is recorded.
func (t *Trace) Mark(e Event) {
	if t == nil || e >= eventCount {
		return
	}
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.complete && t.times[e].IsZero() {
		t.times[e] = now
	}
}

// Time is when e was marked; the zero time: it was not.
func (t *Trace) Time(e Event) time.Time {
	if t == nil || e >= eventCount {
		return time.Time{}
	}
	t.mu.Lock()
	defer t.mu.Unlock()

	return t.times[e]
}

// Complete makes the trace deaf: what a connection does after its task is done
// is nobody's transaction.
func (t *Trace) Complete() {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.complete = true
}
