package engine

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"syscall"

	"github.com/urlkit/urlkit/protocols"
)

// packetConn is closed when its load ends.
type packetConn struct {
	net.PacketConn

	peers []net.Addr
	stop  func() bool
}

// Peers are the addresses of the host, for protocols.PeersOf.
func (c *packetConn) Peers() []net.Addr { return c.peers }

func (c *packetConn) Close() error {
	c.stop()

	return c.PacketConn.Close()
}

// watchPackets wraps a datagram socket for a hop. A scheme that declares encryption
// gets a check of what is sent, which leaves it what a *net.UDPConn offers to QUIC:
// packets that are read many at a time, and written as one.
func watchPackets(ctx context.Context, h *hop, conn net.PacketConn, peers []net.Addr) net.PacketConn {
	watched := &packetConn{conn, peers, context.AfterFunc(ctx, func() { _ = conn.Close() })}
	if h.match.Security != protocols.Encrypted {
		return watched
	}
	c := quicPackets{packetConn: watched, of: &h.checks, scheme: h.match.Scheme.Name}
	if udp, ok := conn.(udpConn); ok {
		return &quicSocket{c, udp}
	}

	return &c
}

// The first byte of a QUIC packet (RFC 8999 §5, RFC 9000 §17) and the versions that
// are known to encrypt (RFC 9000 §15, RFC 9369 §3.1).
const (
	quicLongHeader = 0x80
	quicFixedBit   = 0x40
	quicVersion1   = 0x00000001
	quicVersion2   = 0x6b3343cf
)

// quicPackets refuses to send what is not QUIC: until a TLS session made from
// Client.TLSConfig has been verified for the hop, only packets with a long header
// may go out, which are those of the handshake and of 0-RTT.
type quicPackets struct {
	*packetConn

	of     *checks
	scheme string
}

// WriteTo sends one packet.
func (c *quicPackets) WriteTo(p []byte, addr net.Addr) (int, error) {
	if err := c.check(p); err != nil {
		return 0, err
	}

	return c.PacketConn.WriteTo(p, addr)
}

// check judges the first packet of what is written at once: those that follow it
// were cut from the same connection's.
func (c *quicPackets) check(p []byte) error {
	switch {
	case len(p) < 5 || p[0]&quicFixedBit == 0:
		return c.refusal("datagrams that are not QUIC")
	case p[0]&quicLongHeader != 0:
		if v := binary.BigEndian.Uint32(p[1:5]); v != quicVersion1 && v != quicVersion2 {
			return c.refusal("datagrams of an unknown version of QUIC")
		}
	case !c.of.quic.Load():
		if !c.of.claim() {
			return c.refusal("application data in a QUIC connection that Client.TLSConfig did not make")
		}
		c.of.quic.Store(true)
	}

	return nil
}

func (c *quicPackets) refusal(what string) error {
	return protocols.Errorf(protocols.AppTransportSecurityRequiresSecureConnection,
		"the scheme %q declares itself %s and sends %s", c.scheme, protocols.Encrypted, what)
}

// udpConn is the part of *net.UDPConn that QUIC makes use of.
type udpConn interface {
	net.PacketConn
	SyscallConn() (syscall.RawConn, error)
	SetReadBuffer(bytes int) error
	SetWriteBuffer(bytes int) error
	ReadMsgUDP(b, oob []byte) (n, oobn, flags int, addr *net.UDPAddr, err error)
	WriteMsgUDP(b, oob []byte, addr *net.UDPAddr) (n, oobn int, err error)
}

// quicSocket is quicPackets over a socket of the system's.
type quicSocket struct {
	quicPackets

	udp udpConn
}

var errUnconnected = errors.New("the socket is not connected")

// The methods of net.Conn make it one for golang.org/x/net/ipv4, which looks no
// further. A socket without a peer cannot do what they say.

// Read fails.
func (c *quicSocket) Read([]byte) (int, error) { return 0, errUnconnected }

// Write fails.
func (c *quicSocket) Write([]byte) (int, error) { return 0, errUnconnected }

// RemoteAddr is nil.
func (c *quicSocket) RemoteAddr() net.Addr { return nil }

func (c *quicSocket) SyscallConn() (syscall.RawConn, error) { return c.udp.SyscallConn() }
func (c *quicSocket) SetReadBuffer(bytes int) error         { return c.udp.SetReadBuffer(bytes) }
func (c *quicSocket) SetWriteBuffer(bytes int) error        { return c.udp.SetWriteBuffer(bytes) }

func (c *quicSocket) ReadMsgUDP(b, oob []byte) (n, oobn, flags int, addr *net.UDPAddr, err error) {
	return c.udp.ReadMsgUDP(b, oob)
}

// WriteMsgUDP sends one packet, or several that oob tells the system to cut.
func (c *quicSocket) WriteMsgUDP(b, oob []byte, addr *net.UDPAddr) (n, oobn int, err error) {
	if err := c.check(b); err != nil {
		return 0, 0, err
	}

	return c.udp.WriteMsgUDP(b, oob, addr)
}
