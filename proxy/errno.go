//go:build !windows

package proxy

import "syscall"

const (
	netUnreachable = syscall.ENETUNREACH
	netDown        = syscall.ENETDOWN
)
