//go:build !race

package conformance_test

// raced says that the race detector watches.
const raced = false
