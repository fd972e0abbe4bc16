package proxy

import "syscall"

// enlarge sets the buffers of a datagram socket. With the right to it, the system's
// limit does not count (SO_RCVBUFFORCE, SO_SNDBUFFORCE; socket(7)).
func enlarge(fd uintptr, size int) {
	if syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUFFORCE, size) != nil {
		_ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, size)
	}
	if syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_SNDBUFFORCE, size) != nil {
		_ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_SNDBUF, size)
	}
}
