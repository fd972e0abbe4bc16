//go:build race

package urlsession_test

// raced says that the race detector watches: it is slow, and has memory of its own.
const raced = true
