package engine

import (
	"errors"
	"syscall"

	"github.com/urlkit/urlkit/protocols"
)

// systemCode classifies an error of the operating system; 0: it is none, or says
// nothing. The numbers stand in a file for each family of systems.
func systemCode(err error) protocols.Code {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return 0
	}

	return errnoCodes[errno]
}
