package engine

import (
	"syscall"

	"github.com/urlkit/urlkit/protocols"
)

// The numbers of Winsock, which package syscall does not name.
var errnoCodes = map[syscall.Errno]protocols.Code{
	10050:                   protocols.NotConnectedToInternet, // WSAENETDOWN
	10051:                   protocols.NotConnectedToInternet, // WSAENETUNREACH
	syscall.WSAECONNABORTED: protocols.NetworkConnectionLost,
	syscall.WSAECONNRESET:   protocols.NetworkConnectionLost,
	10060:                   protocols.TimedOut,            // WSAETIMEDOUT
	10061:                   protocols.CannotConnectToHost, // WSAECONNREFUSED
	10064:                   protocols.CannotConnectToHost, // WSAEHOSTDOWN
	10065:                   protocols.CannotConnectToHost, // WSAEHOSTUNREACH
	112:                     protocols.CannotWriteToFile,   // ERROR_DISK_FULL
}
