package protocols

import (
	"net"
	"syscall"
)

// Ended tells whether an idle connection is of no use any more: its peer has
// closed it, or has sent what nobody asked for. It reads nothing and does not
// wait. known is false where the connection, or the system, cannot tell. It is for
// pools: a connection that Client.Dial made, not one inside TLS, which nobody else
// reads meanwhile.
func Ended(c net.Conn) (ended, known bool) {
	switch c := c.(type) {
	case interface{ Ended() (ended, known bool) }:
		return c.Ended()
	case syscall.Conn:
		raw, err := c.SyscallConn()
		if err != nil {
			return true, true
		}

		return peek(raw)
	default:
		return false, false
	}
}
