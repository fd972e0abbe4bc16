package protocols

import (
	"context"
	"net/http"
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

// Count is a number of bytes of one transaction (the counts of Apple's
// URLSessionTaskTransactionMetrics that a session cannot know by itself).
type Count uint8

const (
	// RequestHeaderBytes are those of the request's head as sent.
	RequestHeaderBytes Count = iota
	// ResponseHeaderBytes are those of the response's head as received, interim
	// responses included.
	ResponseHeaderBytes
	// RequestBodyBytes are those of the request's body that the protocol has read;
	// the session tells them.
	RequestBodyBytes
	// RequestBodyBytesSent are those of the request's body as sent, framing and
	// transfer coding included.
	RequestBodyBytesSent
	// ResponseBodyBytes are those of the response's body as received, framing and
	// transfer coding included.
	ResponseBodyBytes

	countCount
)

// Trace collects the moments and counts of one transaction. A nil *Trace is valid
// and collects nothing; all methods are safe for concurrent use.
type Trace struct {
	mu         sync.Mutex
	times      [eventCount]time.Time
	counts     [countCount]int64 // plus one; 0: not told
	header     http.Header
	conn       *ConnInfo
	reused     bool
	resolution DomainResolutionProtocol
	complete   bool
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

// Tell records a count. After Complete nothing is recorded.
func (t *Trace) Tell(c Count, bytes int64) {
	if t == nil || c >= countCount {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.complete {
		t.counts[c] = max(bytes, 0) + 1
	}
}

// Bytes is what was told of a count; -1: nothing was.
func (t *Trace) Bytes(c Count) int64 {
	if t == nil || c >= countCount {
		return -1
	}
	t.mu.Lock()
	defer t.mu.Unlock()

	return t.counts[c] - 1
}

// SetHeader records the fields that a protocol sends: those of the request, and those
// that it adds. Nobody changes h any more. The last word counts; after Complete nothing
// is recorded.
func (t *Trace) SetHeader(h http.Header) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.complete {
		t.header = h
	}
}

// Header is what SetHeader recorded; nil: nothing was.
func (t *Trace) Header() http.Header {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()

	return t.header
}

// SetConnection records the connection that the request is sent over, and whether it
// has served another before: a load that fails without a response has no other way
// to say so. The last word counts; after Complete nothing is recorded.
func (t *Trace) SetConnection(c *ConnInfo, reused bool) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.complete {
		t.conn, t.reused = c, reused
	}
}

// Connection is what SetConnection recorded; nil: nothing was.
func (t *Trace) Connection() (c *ConnInfo, reused bool) {
	if t == nil {
		return nil, false
	}
	t.mu.Lock()
	defer t.mu.Unlock()

	return t.conn, t.reused
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

type untraced struct{}

// WithoutTrace is ctx for work that a load begins for those to come: a connection
// beside the one that serves it, say. What a Client does under it is not recorded in
// the load's Trace.
func WithoutTrace(ctx context.Context) context.Context {
	return context.WithValue(ctx, untraced{}, true)
}

// Untraced tells whether ctx comes from WithoutTrace.
func Untraced(ctx context.Context) bool { return ctx.Value(untraced{}) != nil }
