package proxy

import "syscall"

// The numbers of Winsock, which package syscall does not name.
const (
	netUnreachable syscall.Errno = 10051 // WSAENETUNREACH
	netDown        syscall.Errno = 10050 // WSAENETDOWN
)
