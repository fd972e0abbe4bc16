//go:build unix

package proxy

import "syscall"

// mark sets the traffic class of a socket's packets: IP_TOS, or IPV6_TCLASS (RFC
// 3542 §6.5).
func mark(fd uintptr, is6 bool, class int) {
	if is6 {
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IPV6, syscall.IPV6_TCLASS, class)
	} else {
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, syscall.IP_TOS, class)
	}
}
