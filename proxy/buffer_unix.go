//go:build unix && !linux

package proxy

import "syscall"

// enlarge sets the buffers of a datagram socket. A system that refuses a size may
// take half of it.
func enlarge(fd uintptr, size int) {
	for _, option := range []int{syscall.SO_RCVBUF, syscall.SO_SNDBUF} {
		for n := size; n > 64<<10 && syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, option, n) != nil; n /= 2 {
		}
	}
}
