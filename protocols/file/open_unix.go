//go:build unix

package file

import (
	"os"
	"syscall"
)

// openFlags: a named pipe put in a file's place between the look and the opening
// must not block. Reading a file does not heed the flag.
const openFlags = os.O_RDONLY | syscall.O_NONBLOCK
