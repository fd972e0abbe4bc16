package proxy

import (
	"context"
	"net"
	"net/netip"
)

// DialPacket opens a UDP socket and finds the peer to write to. p and addr are as
// in Dial, and so is the error. The socket is not connected, as QUIC needs it to
// be, and is a *net.UDPConn. It is bound to a port of the system's choice: on
// loopback for a peer on loopback, else on all addresses of the peer's family.
// The first address whose family this host has is the peer; that it answers is
// not known. The end of ctx ends the lookup, not a socket that was returned.
func (d *Dialer) DialPacket(ctx context.Context, p Parameters, addr string) (net.PacketConn, net.Addr, error) {
	t, err := parseTarget("udp", addr)
	if err != nil {
		return nil, nil, dialError(ctx, addr, err)
	}
	bounded, cancel := d.bound(ctx)
	defer cancel()
	addrs, err := d.lookup(bounded, nil, p, t)
	if err != nil {
		return nil, nil, d.failure(ctx, bounded, addr, err)
	}
	var failed attemptErrors
	for _, peer := range addrs {
		lc := net.ListenConfig{Control: p.control()}
		network, local := "udp6", localFor(peer.Addr())
		if local.Is4() {
			network = "udp4"
		}
		conn, err := lc.ListenPacket(bounded, network, netip.AddrPortFrom(local, 0).String())
		if err == nil {
			return conn, net.UDPAddrFromAddrPort(peer), nil
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
