//go:build !unix

package proxy

// mark does nothing: Windows ignores IP_TOS, and takes marks from a policy of the
// administrator only.
func mark(uintptr, bool, int) {}
