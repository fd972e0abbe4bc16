//go:build unix

package protocols

import (
	"errors"
	"syscall"
)

// peek looks at what the system has received, without taking it.
func peek(c syscall.RawConn) (ended, known bool) {
	var one [1]byte
	var err error
	failed := c.Read(func(fd uintptr) bool {
		_, _, err = syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)

		return true // whatever it says: this does not wait
	})
	switch {
	case failed != nil:
		return true, true
	case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.EINTR):
		return false, true
	default: // an end, a failure, or bytes that nobody asked for
		return true, true
	}
}
