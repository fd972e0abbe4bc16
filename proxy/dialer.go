// Package proxy makes the connections of a session. It is the only package that
// opens sockets to a peer: everything else dials through a [Dialer].
package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/urlkit/urlkit/protocols"
)

const (
	// defaultConnectTimeout bounds lookup and connecting together.
	defaultConnectTimeout = 30 * time.Second
	// defaultFallbackDelay is the Connection Attempt Delay of RFC 8305 §5.
	defaultFallbackDelay = 250 * time.Millisecond
	// maxAddresses bounds the attempts that one answer of the DNS can cause.
	maxAddresses = 16
)

// Resolver finds the addresses of a host. *net.Resolver is one. network is
// "ip", "ip4" or "ip6". LookupNetIP returns promptly when ctx ends, and is safe
// for concurrent use.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// ValidatingResolver is a Resolver that can vouch for its answers. Where
// Parameters.RequiresDNSSEC is set, names are looked up by no other.
type ValidatingResolver interface {
	Resolver
	// Validates tells whether LookupNetIP fails where an answer does not validate,
	// or is not signed (RFC 4035 §4.3: neither bogus nor insecure ones are given).
	Validates() bool
}

// ProtocolResolver is a Resolver that tells how it asks, for the metrics.
type ProtocolResolver interface {
	Resolver
	// ResolutionProtocol is the protocol by which a host's addresses are asked for.
	ResolutionProtocol(host string) protocols.DomainResolutionProtocol
}

// Dialer connects to hosts directly, by the rules of Happy Eyeballs (RFC 8305).
// The zero value works. It is safe for concurrent use; its fields must not be
// changed after the first use.
//
// The connections have Nagle's algorithm off (TCP_NODELAY) and keep-alive probes
// on. DialContext has the shape of ContextDialer in golang.org/x/net/proxy.
type Dialer struct {
	// Resolver finds addresses; nil: net.DefaultResolver. A Cache keeps them.
	Resolver Resolver
	// ConnectTimeout bounds the whole of a dial, lookup included. 0: 30 seconds;
	// negative: no bound but the context's.
	ConnectTimeout time.Duration
	// FallbackDelay is how long an attempt runs before the next address is tried
	// beside it (RFC 8305 §5). 0: 250 milliseconds; negative: one address after
	// another, each with its share of the time that is left.
	FallbackDelay time.Duration
	// KeepAlive is the time between keep-alive probes. 0: 15 seconds; negative:
	// no probes.
	KeepAlive time.Duration

	// connect replaces the socket in tests of timing.
	connect func(ctx context.Context, network string, addr netip.AddrPort) (net.Conn, error)
}

// DialContext is Dial without a trace, for ordinary traffic.
func (d *Dialer) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	return d.Dial(ctx, nil, Parameters{}, network, addr)
}

// Dial connects to addr, which is "host:port" with a numeric port. The host is a
// name or an IP address, an IPv6 address in brackets and possibly with a zone.
// network is "tcp", "tcp4" or "tcp6". p says how the connection is made.
//
// A name's addresses are tried in the order of RFC 8305 §4: the families
// alternate, beginning with that of the first answer, and the resolver's order
// (RFC 6724, IPv6 first where it works) is kept within each. The first
// connection wins; all others are closed, and no goroutine of the dial is left,
// when Dial returns. trace gets DomainLookupStart, DomainLookupEnd (neither for
// an IP address) and ConnectStart; it may be nil.
//
// The error is a *DialError. The end of ctx ends the dial, but not a connection
// that was returned.
func (d *Dialer) Dial(ctx context.Context, trace *protocols.Trace, p Parameters, network, addr string) (net.Conn, error) {
	t, err := parseTarget(network, addr)
	if err != nil {
		return nil, dialError(ctx, addr, err)
	}
	parent := ctx
	ctx, cancel := d.bound(ctx)
	defer cancel()
	addrs, err := d.lookup(ctx, trace, p, t)
	if err != nil {
		return nil, d.failure(parent, ctx, addr, err)
	}
	trace.Mark(protocols.ConnectStart)
	var conn net.Conn
	if len(addrs) == 1 {
		conn, err = d.dialOne(ctx, p, network, addrs[0])
	} else if d.FallbackDelay < 0 {
		conn, err = d.sequence(ctx, p, network, addrs)
	} else {
		conn, err = d.race(ctx, p, network, addrs)
	}
	if err != nil {
		if c, ok := d.Resolver.(*Cache); ok && parent.Err() == nil {
			c.forget(t.family, t.host) // the host may have moved
		}

		return nil, d.failure(parent, ctx, addr, err)
	}

	return conn, nil
}

// Flush makes the Resolver forget what it keeps, where it has a method Flush.
func (d *Dialer) Flush() {
	if f, ok := d.Resolver.(interface{ Flush() }); ok {
		f.Flush()
	}
}

// bound is ctx with the connect time-out.
func (d *Dialer) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	timeout := d.ConnectTimeout
	if timeout == 0 {
		timeout = defaultConnectTimeout
	}
	if timeout < 0 {
		return context.WithCancel(ctx)
	}

	return context.WithTimeoutCause(ctx, timeout, errConnectTimeout)
}

// failure tells apart the three ways a dial ends: the caller's context, the
// connect time-out, and the network.
func (d *Dialer) failure(parent, ctx context.Context, addr string, err error) error {
	if parent.Err() == nil && errors.Is(context.Cause(ctx), errConnectTimeout) {
		err = fmt.Errorf("%w: %w", errConnectTimeout, err)
	}

	return dialError(parent, addr, err)
}

// dialOne makes one attempt.
func (d *Dialer) dialOne(ctx context.Context, p Parameters, network string, addr netip.AddrPort) (net.Conn, error) {
	if d.connect != nil {
		return d.connect(ctx, network, addr)
	}
	// The address is literal, so the net package's own racing and lookup are out.
	nd := net.Dialer{KeepAlive: d.KeepAlive, FallbackDelay: -1, Control: p.control()}
	if p.Multipath {
		nd.SetMultipathTCP(true)
	}

	return nd.DialContext(ctx, network, addr.String())
}
