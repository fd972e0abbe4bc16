package proxy

import (
	"context"
	"net"
	"net/netip"
	"syscall"

	"github.com/urlkit/urlkit/protocols"
)

// packetBuffer is what a datagram socket is to hold in each direction, in bytes:
// what a fast peer sends while nobody reads is lost.
const packetBuffer = 7 << 20

// DialPacket opens a UDP socket and finds the peers to write to, one or more, in the
// order in which Dial would try them. p and addr are as in Dial, and so is the error.
// The socket is not connected, as QUIC needs it to be, and is a *net.UDPConn. It is
// bound to a port of the system's choice: on loopback for a peer on loopback, else on
// all addresses of the peer's family. The first address whose family this host has
// is the first peer; that one answers is not known, and to reach the others may take
// another socket. Its buffers are as large as the system allows, up to 7 MiB. trace
// is marked as by Dial. The end of ctx ends the lookup, not a socket that was
// returned.
func (d *Dialer) DialPacket(ctx context.Context, trace *protocols.Trace, p Parameters, addr string) (net.PacketConn, []net.Addr, error) {
	t, err := parseTarget("udp", addr)
	if err != nil {
		return nil, nil, dialError(ctx, addr, err)
	}
	bounded, cancel := d.bound(ctx)
	defer cancel()
	addrs, err := d.lookup(bounded, trace, p, t)
	if err != nil {
		return nil, nil, d.failure(ctx, bounded, addr, err)
	}
	trace.Mark(protocols.ConnectStart)
	var failed attemptErrors
	for i, peer := range addrs {
		lc := net.ListenConfig{Control: p.controlPacket}
		network, local := "udp6", localFor(peer.Addr())
		if local.Is4() {
			network = "udp4"
		}
		conn, err := lc.ListenPacket(bounded, network, netip.AddrPortFrom(local, 0).String())
		if err == nil {
			peers := make([]net.Addr, 0, len(addrs)-i)
			for _, other := range addrs[i:] {
				peers = append(peers, net.UDPAddrFromAddrPort(other))
			}

			return conn, peers, nil
		}
		failed = append(failed, err)
	}

	return nil, nil, d.failure(ctx, bounded, addr, failed.orElse(nil))
}

// localFor is the address to bind for a peer.
func localFor(peer netip.Addr) netip.Addr {
	switch {
	case peer.Is4() && peer.IsLoopback():
		return netip.AddrFrom4([4]byte{127, 0, 0, 1})
	case peer.Is4():
		return netip.IPv4Unspecified()
	case peer.IsLoopback():
		return netip.IPv6Loopback()
	default:
		return netip.IPv6Unspecified()
	}
}

// controlPacket prepares a datagram socket before it is bound. A system that
// refuses leaves it as it is.
func (p Parameters) controlPacket(network, addr string, c syscall.RawConn) error {
	if err := c.Control(func(fd uintptr) { enlarge(fd, packetBuffer) }); err != nil {
		return err
	}
	if mark := p.control(); mark != nil {
		return mark(network, addr, c)
	}

	return nil
}
