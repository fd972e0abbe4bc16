//go:build !windows && !plan9

package engine

import (
	"syscall"

	"github.com/urlkit/urlkit/protocols"
)

var errnoCodes = map[syscall.Errno]protocols.Code{
	syscall.ECONNREFUSED: protocols.CannotConnectToHost,
	syscall.EHOSTUNREACH: protocols.CannotConnectToHost,
	syscall.EHOSTDOWN:    protocols.CannotConnectToHost,
	syscall.ENETUNREACH:  protocols.NotConnectedToInternet,
	syscall.ENETDOWN:     protocols.NotConnectedToInternet,
	syscall.ECONNRESET:   protocols.NetworkConnectionLost,
	syscall.ECONNABORTED: protocols.NetworkConnectionLost,
	syscall.EPIPE:        protocols.NetworkConnectionLost,
	syscall.ETIMEDOUT:    protocols.TimedOut,
	syscall.EISDIR:       protocols.FileIsDirectory,
	syscall.ENOTDIR:      protocols.FileDoesNotExist, // an element of the path is no folder
	syscall.ENOSPC:       protocols.CannotWriteToFile,
}
