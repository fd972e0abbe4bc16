//go:build !unix

package protocols

import "syscall"

// peek cannot look without taking here.
func peek(syscall.RawConn) (ended, known bool) { return false, false }
