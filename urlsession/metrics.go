package urlsession

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/urlkit/urlkit/internal/engine"
	"github.com/urlkit/urlkit/protocols"
)

// TaskMetrics are the measurements of one load (Apple's
// URLSessionTaskMetrics). WithMetrics asks for them; a load that nobody measures
// pays nothing.
type TaskMetrics struct {
	// Start and End bound the load (Apple's taskInterval): from the call, or the making
	// of the task, to the moment before its completion.
	Start, End time.Time
	// Transactions are its requests and responses in order: redirects, repetitions
	// after a challenge, and the inner loads of composed protocols.
	Transactions []TransactionMetrics
	// RedirectCount is how many redirects were followed.
	RedirectCount int
	// Err is how the load failed; nil: it did not. A transaction that failed has its own.
	Err error
}

// TransactionMetrics are the measurements of one request and its response
// (Apple's URLSessionTaskTransactionMetrics).
type TransactionMetrics struct {
	// Request is the request as it was given to the protocol. Where the cache had it
	// sent once more without its conditions, both transactions have it as it was then;
	// RequestHeader tells what each has sent.
	Request *Request
	// RequestHeader are the fields that were sent: the request's, and those that the
	// protocol added (User-Agent, Accept and the like) where it tells, but for what frames
	// the message (Host, Content-Length). It must not be changed.
	RequestHeader http.Header
	// Response is its response; nil: none came.
	Response *Response
	// URLProtocol is the Go type that loaded it, Scheme the name under which it is
	// registered.
	URLProtocol, Scheme string
	// NetworkProtocolName is the ALPN name: "http/1.1", "h2", "h3"; "" none.
	NetworkProtocolName string
	// Policy is what App Transport Security decided, in words.
	Policy string
	// Retry is why it repeats the transaction before it; RetryNone: it does not.
	Retry RetryReason
	// Inner: made by a protocol for a request of another.
	Inner bool
	// ReusedConnection, ProxyConnection and Multipath describe the connection.
	ReusedConnection, ProxyConnection, Multipath bool
	// Cellular, Expensive and Constrained describe the path to the network at the end
	// of the transaction, as the PathMonitor tells.
	Cellular, Expensive, Constrained bool
	// DomainResolutionProtocol is how the host's name was looked up: ResolutionHTTPS by a
	// DoHResolver, what a proxy.ProtocolResolver says by another, else ResolutionUnknown.
	// So it is on a connection that was there already.
	DomainResolutionProtocol DomainResolutionProtocol
	// ResourceFetchType is where the response came from.
	ResourceFetchType ResourceFetchType
	// RequestHeaderBytesSent and ResponseHeaderBytesReceived are the bytes of the
	// heads, as compressed by HTTP/2; -1: the protocol does not tell, as HTTP/3, and as
	// HTTP/2 of a request without an answer.
	RequestHeaderBytesSent, ResponseHeaderBytesReceived int64
	// BodyBytesBeforeEncoding are the bytes that were read of the request's body,
	// BodyBytesSent what was sent of it, framing and transfer coding included where the
	// protocol tells (HTTP/1.1 and HTTP/2 do), else as many.
	BodyBytesBeforeEncoding, BodyBytesSent int64
	// BodyBytesReceived are the bytes of the response's body as received, framing and
	// transfer coding included where the protocol tells (HTTP/1.1 and HTTP/2 do, of a
	// body that was read to its end), BodyBytesAfterDecoding those given to the app: none of a
	// redirect that is followed, or of an answer to a challenge.
	BodyBytesReceived, BodyBytesAfterDecoding int64
	// Cache is what the cache had to say, in words: a hit, stale, revalidated, completed
	// or a miss, and why, and whether the response was stored, or why not; "": it was not
	// asked. A response that it validated came by FetchNetworkLoad, but for its body.
	Cache string
	// LocalAddr and RemoteAddr are the ends of the connection; nil: none was used.
	LocalAddr, RemoteAddr net.Addr
	// TLSVersion and TLSCipherSuite are the negotiated codes; 0: no TLS.
	TLSVersion, TLSCipherSuite uint16
	// Err is the failure of this transaction, an *Error; nil: none.
	Err error
	// RequestBody and ResponseBody are the beginnings of the bodies where an
	// Observation asks for them, the latter as the app was given it: of the last
	// transaction only. nil: nobody asked, there is none, or the transaction is an inner
	// one.
	RequestBody, ResponseBody []byte

	// The moments of the transaction. Zero: it did not come to it. A phase that did not
	// finish has no end, and those that would have followed have no moments; neither
	// has what a connection that was there already made needless. ConnectEnd comes
	// after all handshakes, SecureConnectionStart and End are those of TLS.
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
	// FetchLocalCache: from the session's cache.
	FetchLocalCache ResourceFetchType = 3 // what Apple's 2 was for, server push, is gone
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
	session      *core
	observations []*Observation

	mu      sync.Mutex
	metrics *TaskMetrics
	used    bool
	over    bool // it was told: nothing is added any more
}

func newCollector() *collector {
	return &collector{metrics: &TaskMetrics{Start: time.Now()}, used: true}
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

// since moves the beginning to where a task was made.
func (c *collector) since(made time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.metrics.Start = made
}

// end notes the end of the load, and tells the observers.
func (c *collector) end(err error) {
	c.mu.Lock()
	over := c.over
	c.over = true
	if !over {
		c.metrics.End, c.metrics.Err = time.Now(), err
	}
	c.mu.Unlock()
	if !over {
		c.tell()
	}
}

func (c *collector) collect(t *engine.Transaction) {
	m := newTransaction(t)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return
	}
	c.metrics.RedirectCount = t.Redirects
	c.metrics.Transactions = append(c.metrics.Transactions, m)
}

func newTransaction(t *engine.Transaction) TransactionMetrics {
	m := TransactionMetrics{
		Request: t.Request, URLProtocol: t.Protocol, Scheme: t.Scheme, Policy: t.Policy, Inner: t.Inner, Err: t.Err,
		Retry: RetryReason(t.Retry), Cache: t.Cache,
		Cellular: t.Path.Cellular, Expensive: t.Path.Expensive, Constrained: t.Path.Constrained,
		BodyBytesAfterDecoding: t.Decoded, RequestBody: t.RequestBody, ResponseBody: t.ResponseBody,
	}
	if t.Network {
		m.ResourceFetchType = FetchNetworkLoad
	}
	if t.Local {
		m.ResourceFetchType = FetchLocalCache
	}
	if m.RequestHeader = t.Request.Trace.Header(); m.RequestHeader == nil {
		m.RequestHeader = t.Request.Header
	}
	m.count(t)
	conn, reused := t.Request.Trace.Connection()
	if r := t.Response; r != nil {
		m.Response = newResponse(r)
		m.NetworkProtocolName = r.Proto
		conn, reused = r.Conn, r.Reused
	}
	m.ReusedConnection = reused
	m.describe(conn)
	m.date(t.Request.Trace)

	return m
}

// count fills in the bytes: those that the protocol told, else those that the session
// saw.
func (t *TransactionMetrics) count(from *engine.Transaction) {
	trace := from.Request.Trace
	t.RequestHeaderBytesSent = trace.Bytes(protocols.RequestHeaderBytes)
	t.ResponseHeaderBytesReceived = trace.Bytes(protocols.ResponseHeaderBytes)
	t.BodyBytesBeforeEncoding, t.BodyBytesSent, t.BodyBytesReceived = from.Sent, from.Sent, from.Received
	if n := trace.Bytes(protocols.RequestBodyBytesSent); n >= 0 {
		t.BodyBytesSent = n
	}
	if n := trace.Bytes(protocols.ResponseBodyBytes); n >= 0 {
		t.BodyBytesReceived = n
	}
}

// describe fills in the facts of the connection.
func (t *TransactionMetrics) describe(c *protocols.ConnInfo) {
	if c == nil {
		return
	}
	t.ProxyConnection, t.Multipath = c.Proxied, c.Multipath
	t.LocalAddr, t.RemoteAddr = c.Local, c.Remote
	if c.TLS == nil {
		return
	}
	t.TLSVersion, t.TLSCipherSuite = c.TLS.Version, c.TLS.CipherSuite
	if t.NetworkProtocolName == "" {
		t.NetworkProtocolName = c.TLS.NegotiatedProtocol // no response came
	}
}

// date fills in the moments.
func (t *TransactionMetrics) date(trace *protocols.Trace) {
	for _, moment := range []struct {
		event protocols.Event
		into  *time.Time
	}{
		{protocols.FetchStart, &t.FetchStart},
		{protocols.DomainLookupStart, &t.DomainLookupStart},
		{protocols.DomainLookupEnd, &t.DomainLookupEnd},
		{protocols.ConnectStart, &t.ConnectStart},
		{protocols.ConnectEnd, &t.ConnectEnd},
		{protocols.SecureConnectionStart, &t.SecureConnectionStart},
		{protocols.SecureConnectionEnd, &t.SecureConnectionEnd},
		{protocols.RequestStart, &t.RequestStart},
		{protocols.RequestEnd, &t.RequestEnd},
		{protocols.ResponseStart, &t.ResponseStart},
		{protocols.ResponseEnd, &t.ResponseEnd},
	} {
		*moment.into = trace.Time(moment.event)
	}
	t.DomainResolutionProtocol = trace.Resolution()
	// A pool may serve a load by a connection that came free while its own was made.
	if t.RequestStart.IsZero() || !t.ReusedConnection && !t.ConnectEnd.IsZero() && !t.ConnectEnd.After(t.RequestStart) {
		return
	}
	for _, moment := range []*time.Time{
		&t.DomainLookupStart, &t.DomainLookupEnd, &t.ConnectStart, &t.ConnectEnd, &t.SecureConnectionStart, &t.SecureConnectionEnd,
	} {
		*moment = time.Time{}
	}
	t.DomainResolutionProtocol = ResolutionUnknown
}
