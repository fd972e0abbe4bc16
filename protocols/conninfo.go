package protocols

import (
	"crypto/tls"
	"net"
)

// ConnInfo are facts of a connection, immutable once it is made. They feed the
// metrics of every load that the connection serves.
type ConnInfo struct {
	// Local and Remote are the addresses; Remote is the proxy's on a proxied route.
	Local, Remote net.Addr
	// TLS is the state after the handshake; nil: clear text.
	TLS *tls.ConnectionState
	// Proxied: the connection goes through a proxy.
	Proxied bool
	// Multipath: the connection uses Multipath TCP (RFC 8684).
	Multipath bool
}

// InfoOf gives the facts of a connection that Client.Dial made, also through
// TLS and other wrappers (tls.Conn.NetConn, Unwrap() net.Conn). A connection of
// another making gives its addresses. The result is never nil for a non-nil
// connection.
func InfoOf(c net.Conn) *ConnInfo {
	if c == nil {
		return nil
	}
	var state *tls.ConnectionState
	for inner := c; inner != nil; {
		switch w := inner.(type) {
		case interface{ ConnInfo() *ConnInfo }:
			facts := w.ConnInfo()
			if facts == nil {
				inner = nil

				continue
			}
			info := *facts
			if state != nil {
				info.TLS = state
			}

			return &info
		case *tls.Conn:
			if state == nil {
				if s := w.ConnectionState(); s.HandshakeComplete {
					state = &s
				}
			}
			inner = w.NetConn()
		case interface{ Unwrap() net.Conn }:
			inner = w.Unwrap()
		default:
			inner = nil
		}
	}

	return &ConnInfo{Local: c.LocalAddr(), Remote: c.RemoteAddr(), TLS: state}
}

// PeersOf gives all addresses of the host that a connection of Client.DialPacket was
// made for, in the order in which they are to be tried; first is the one that
// DialPacket gave. For another than the first, DialPacket is called with the address
// itself. The result is not to be changed.
func PeersOf(c net.PacketConn, first net.Addr) []net.Addr {
	if w, ok := c.(interface{ Peers() []net.Addr }); ok {
		if peers := w.Peers(); len(peers) > 0 {
			return peers
		}
	}

	return []net.Addr{first}
}
