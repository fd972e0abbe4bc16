package urlsession

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"time"

	"github.com/urlkit/urlkit/internal/engine"
	"github.com/urlkit/urlkit/protocols"
)

// TaskMetrics are the measurements of one load (Apple's
// URLSessionTaskMetrics). WithMetrics asks for them; a load that nobody measures
// pays nothing.
type TaskMetrics struct {
	// Start and End bound the load: the call, or the task's turn, and the end of the
	// last transaction; without one the task's end.
	Start, End time.Time
	// Transactions are its requests and responses in order: redirects, repetitions
	// after a challenge, and the inner loads of composed protocols.
	Transactions []TransactionMetrics
	// RedirectCount is how many redirects were followed.
	RedirectCount int
}

// TransactionMetrics are the measurements of one request and its response
// (Apple's URLSessionTaskTransactionMetrics).
type TransactionMetrics struct {
	// Request is the request as it was given to the protocol.
	Request *Request
	// Response is its response; nil: none came.
	Response *Response
	// URLProtocol is the Go type that loaded it, Scheme the name under which it is
	// registered.
	URLProtocol, Scheme string
	// NetworkProtocolName is the ALPN name: "http/1.1", "h2"; "" none.
	NetworkProtocolName string
	// Policy is what App Transport Security decided, in words.
	Policy string
	// Retry is why it repeats the transaction before it; RetryNone: it does not.
	Retry RetryReason
	// Inner: made by a protocol for a request of another.
	Inner bool
	// ReusedConnection, ProxyConnection and Multipath describe the connection.
	ReusedConnection, ProxyConnection, Multipath bool
	// ResourceFetchType is where the response came from.
	ResourceFetchType ResourceFetchType
	// RequestHeaderBytesSent and ResponseHeaderBytesReceived are the bytes of the
	// heads; -1: the protocol does not tell (HTTP/2 compresses them in a codec that
	// does not count). BodyBytesSent are those of the request's body.
	RequestHeaderBytesSent, BodyBytesSent, ResponseHeaderBytesReceived int64
	// BodyBytesReceived are the body's bytes on the wire,
	// BodyBytesAfterDecoding those given to the app.
	BodyBytesReceived, BodyBytesAfterDecoding int64
	// LocalAddr and RemoteAddr are the ends of the connection; nil: none.
	LocalAddr, RemoteAddr net.Addr
	// TLSVersion and TLSCipherSuite are the negotiated codes; 0: no TLS.
	TLSVersion, TLSCipherSuite uint16
	// Err is the failure of this transaction; nil: none.
	Err error

	// The moments of the transaction; zero where it did not come to one, or where
	// the connection was there already.
	FetchStart, DomainLookupStart, DomainLookupEnd, ConnectStart, ConnectEnd,
	SecureConnectionStart, SecureConnectionEnd, RequestStart, RequestEnd,
	ResponseStart, ResponseEnd time.Time
}

// ResourceFetchType says where a response came from (Apple's
// URLSessionTaskMetrics.ResourceFetchType).
type ResourceFetchType uint8

const (
	// FetchUnknown: from a protocol that makes no connection.
	FetchUnknown ResourceFetchType = iota
	// FetchNetworkLoad: from the network.
	FetchNetworkLoad
)

// Raw is Apple's number for the type.
func (t ResourceFetchType) Raw() int { return int(t) }

// TLS is the name of the negotiated version ("TLS 1.3"); "" without TLS.
func (t *TransactionMetrics) TLS() string {
	if t.TLSVersion == 0 {
		return ""
	}

	return tls.VersionName(t.TLSVersion)
}

// WithMetrics returns a context whose loads are measured into m. m must not be
// read before the load is done: Data has returned, or the stream has ended or
// was closed. The context is for one load: a second one is not measured.
func WithMetrics(ctx context.Context, m *TaskMetrics) context.Context {
	return context.WithValue(ctx, collectorKey{}, &collector{metrics: m})
}

type collectorKey struct{}

// collector fills a TaskMetrics. Inner loads may end on other goroutines.
type collector struct {
	mu      sync.Mutex
	metrics *TaskMetrics
	used    bool
}

func collectorOf(ctx context.Context) *collector {
	c, _ := ctx.Value(collectorKey{}).(*collector)

	return c
}

// begin tells whether this load is the one that is measured: not a second one,
// nor one that another session makes for it beneath.
func (c *collector) begin() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.used {
		return false
	}
	c.used = true
	*c.metrics = TaskMetrics{Start: time.Now()}

	return true
}

// end notes the end of a task that had no transaction.
func (c *collector) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.metrics.End.IsZero() {
		return
	}
	c.metrics.End = time.Now()
	if c.metrics.Start.IsZero() { // it did not come to its turn
		c.metrics.Start = c.metrics.End
	}
}

func (c *collector) collect(t *engine.Transaction) {
	m := newTransaction(t)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.metrics.End = t.Ended
	c.metrics.RedirectCount = t.Redirects
	c.metrics.Transactions = append(c.metrics.Transactions, m)
}

func newTransaction(t *engine.Transaction) TransactionMetrics {
	m := TransactionMetrics{
		Request: t.Request, URLProtocol: t.Protocol, Scheme: t.Scheme, Policy: t.Policy, Inner: t.Inner, Err: t.Err,
		Retry:         RetryReason(t.Retry),
		BodyBytesSent: t.Sent, BodyBytesReceived: t.Received, BodyBytesAfterDecoding: t.Decoded,
	}
	if t.Network {
		m.ResourceFetchType = FetchNetworkLoad
	}
	trace := t.Request.Trace
	m.RequestHeaderBytesSent = trace.Bytes(protocols.RequestHeaderBytes)
	m.ResponseHeaderBytesReceived = trace.Bytes(protocols.ResponseHeaderBytes)
	for _, moment := range []struct {
		event protocols.Event
		into  *time.Time
	}{
		{protocols.FetchStart, &m.FetchStart},
		{protocols.DomainLookupStart, &m.DomainLookupStart},
		{protocols.DomainLookupEnd, &m.DomainLookupEnd},
		{protocols.ConnectStart, &m.ConnectStart},
		{protocols.ConnectEnd, &m.ConnectEnd},
		{protocols.SecureConnectionStart, &m.SecureConnectionStart},
		{protocols.SecureConnectionEnd, &m.SecureConnectionEnd},
		{protocols.RequestStart, &m.RequestStart},
		{protocols.RequestEnd, &m.RequestEnd},
		{protocols.ResponseStart, &m.ResponseStart},
		{protocols.ResponseEnd, &m.ResponseEnd},
	} {
		*moment.into = trace.Time(moment.event)
	}
	r := t.Response
	if r == nil {
		return m
	}
	m.Response = newResponse(r)
	m.NetworkProtocolName = r.Proto
	m.ReusedConnection = r.Reused
	if r.Conn != nil {
		m.ProxyConnection, m.Multipath = r.Conn.Proxied, r.Conn.Multipath
		m.LocalAddr, m.RemoteAddr = r.Conn.Local, r.Conn.Remote
		if r.Conn.TLS != nil {
			m.TLSVersion, m.TLSCipherSuite = r.Conn.TLS.Version, r.Conn.TLS.CipherSuite
		}
	}

	return m
}
