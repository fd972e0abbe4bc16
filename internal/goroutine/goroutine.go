// Package goroutine tells goroutines apart, so that a wait that could never end
// is an error instead. It serves nothing else.
package goroutine

// ID is an identity of a goroutine that runs: no two of them have the same. It says
// nothing about one that has ended. 0 is none.
type ID uintptr
