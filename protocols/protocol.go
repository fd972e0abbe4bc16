package protocols

import (
	"context"
	"crypto/tls"
	"io"
	"net"
)

// URLProtocol loads the requests of one scheme (Apple's URLProtocol). Load
// returns at the response head; Response.Body streams. The package comment
// states the contract; package conformance checks it.
type URLProtocol interface {
	Load(ctx context.Context, req *Request) (*Response, error)
}

// Client is the session's side of a load (Apple's URLProtocolClient). Every
// instance of a URLProtocol gets its own, in Scheme.New; it is safe for
// concurrent use. The ctx of each call is the one given to Load, or derived from
// it (a pool that outlives the load uses context.WithoutCancel): the session
// finds the load in it.
type Client interface {
	// Load loads one hop in this session: policy, route, registry, protocol. It
	// follows no redirect, answers no challenge, and never comes back to a
	// protocol that is already loading for the same task, so interceptors and
	// composed schemes need no mark on their requests.
	URLProtocol

	// Dial connects to addr ("host:port") by the hop's route, with policy, proxy
	// and address guard applied. network is "tcp", "tcp4" or "tcp6". The
	// connection is closed when ctx ends; InfoOf gives its facts. Dialling a host
	// other than the request's is judged for the host dialled.
	Dial(ctx context.Context, network, addr string) (net.Conn, error)

	// DialPacket is the same for datagrams: a connection and the address to write
	// to. It fails where the route carries no datagrams (Route.Packets false). Under
	// a scheme that is Encrypted the datagrams have to be QUIC's (RFC 9000), secured
	// by TLSConfig.
	DialPacket(ctx context.Context, addr string) (net.PacketConn, net.Addr, error)

	// TLSConfig is the TLS configuration for one connection attempt to host:
	// policy floor, trust, session cache and client certificates. The caller owns
	// it and sets nothing but NextProtos.
	TLSConfig(ctx context.Context, host string) *tls.Config

	// Authenticate asks the session for a credential inside a live connection
	// (an FTP login, say). nil without an error means: go on without one. An error
	// of code UserAuthenticationRequired means that this protection space was
	// rejected, so that another that the peer offers may be asked for; Cancelled
	// ends the load.
	Authenticate(ctx context.Context, c *Challenge) (*Credential, error)

	// Inform reports an interim response (1xx). To be called only where the
	// request's Trace is not nil.
	Inform(ctx context.Context, r *Response)
}

// Claimer is an optional capability of a URLProtocol (Apple's canInit): a
// protocol that has it is asked whether it takes a request. One whose Scheme has
// a Name is asked for that scheme's requests only; one without a Name is asked
// for every request. Claims is pure and fast, may be called several times for
// one load and by several goroutines, and leaves the request's body alone.
type Claimer interface {
	Claims(req *Request) bool
}

// Explainer is an optional capability of a URLProtocol: it says how it would load a
// request, without loading it. stage is a word for what it speaks of; "": it has
// nothing to say. It sends nothing, and is safe for concurrent use.
type Explainer interface {
	Explain(req *Request) (stage, verdict string)
}

// PathWatcher is an optional capability of a Client: WatchPath calls changed whenever
// the way to the network has become another, until ctx ends. It returns then, or at
// once where nothing is known of the way. A protocol that keeps connections which can
// move, or remembers what did not work, asks its Client for it by a type assertion.
type PathWatcher interface {
	WatchPath(ctx context.Context, changed func())
}

// Wrapper is what a URLProtocol that wraps another implements so that [As] finds
// the capabilities of the inner one.
type Wrapper interface {
	Unwrap() URLProtocol
}

// As finds the first URLProtocol in p's chain of Unwrap that implements T. The
// optional capabilities are [Claimer], [Explainer] and [io.Closer].
func As[T any](p URLProtocol) (T, bool) {
	for p != nil {
		if t, ok := p.(T); ok {
			return t, true
		}
		w, ok := p.(Wrapper)
		if !ok {
			break
		}
		p = w.Unwrap()
	}
	var none T

	return none, false
}

// Messages is a message connection (a WebSocket, say). One reader and one writer
// at a time; the session closes it when ctx ends.
type Messages interface {
	// Receive returns the next message. r is valid until the next Receive.
	Receive(ctx context.Context) (text bool, r io.Reader, err error)
	// Send writes one message; p is not kept.
	Send(ctx context.Context, text bool, p []byte) error
	// Ping returns when the peer has answered.
	Ping(ctx context.Context) error
	// Close sends a close code (RFC 6455 §7.4) and a reason of at most 123 bytes.
	Close(code int, reason string) error
}
