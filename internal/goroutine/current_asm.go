//go:build amd64 || arm64

package goroutine

// Current is the calling goroutine's: the address of the runtime's own record of it.
func Current() ID
