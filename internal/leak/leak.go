// Package leak fails a test that leaves goroutines or open files behind.
package leak

import (
	"bytes"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience is how long goroutines and files get to end after the test has.
const patience = 2 * time.Second

// Check is called at a test's start, before anything that registers a Cleanup.
// When the test and its other Cleanups have ended, it fails the test if a
// goroutine that was started since is still alive after two seconds, and prints
// its stack. Goroutines that the testing and runtime packages started are
// ignored. Tests that run in parallel see each other's goroutines, so Check is
// for those that do not call t.Parallel. With testing/synctest call it outside
// the bubble.
func Check(t testing.TB) {
	t.Helper()
	check(t, "goroutine", goroutines, patience)
}

// checked is what one test is checked for: once, by the first call, which looks when
// all that came after it has ended. A later call would look too early, and take what
// an earlier part of the test still has for a leak.
type checked struct {
	t    testing.TB
	noun string
}

var checks sync.Map // of checked

// check compares what look finds at the end of the test with what it finds now.
func check(t testing.TB, noun string, look func() map[string]string, patience time.Duration) {
	t.Helper()
	one := checked{t, noun}
	if _, again := checks.LoadOrStore(one, nil); again {
		return
	}
	before := look()
	t.Cleanup(func() {
		t.Helper()
		checks.Delete(one)
		left := settle(before, look, patience)
		for _, what := range left {
			t.Errorf("leaked %s: %s", noun, what)
		}
	})
}

// settle waits in growing steps until nothing new is left, or patience ends.
func settle(before map[string]string, look func() map[string]string, patience time.Duration) map[string]string {
	deadline := time.Now().Add(patience)
	for step := 50 * time.Microsecond; ; step = min(2*step, 100*time.Millisecond) {
		left := look()
		for id := range before {
			delete(left, id)
		}
		if len(left) == 0 || !time.Now().Before(deadline) {
			return left
		}
		<-time.After(step)
	}
}

// goroutines gives the stacks of all goroutines but the caller's, by number.
func goroutines() map[string]string {
	buf := make([]byte, 64<<10)
	for {
		n := runtime.Stack(buf, true)
		if n < len(buf) {
			buf = buf[:n]
			break
		}
		buf = make([]byte, 2*len(buf))
	}
	found := make(map[string]string)
	for i, stack := range bytes.Split(buf, []byte("\n\n")) {
		text := strings.TrimSpace(string(stack))
		id, _, ok := strings.Cut(strings.TrimPrefix(text, "goroutine "), " ")
		if i == 0 || !ok || belongsToRuntime(text) { // the first is the caller
			continue
		}
		found[id] = text
	}

	return found
}

// belongsToRuntime tells goroutines of the test machinery from the code's own.
func belongsToRuntime(stack string) bool {
	if i := strings.LastIndex(stack, "\ncreated by "); i >= 0 {
		creator := stack[i+len("\ncreated by "):]
		for _, own := range []string{"testing.", "runtime.", "os/signal.", "internal/synctest."} {
			if strings.HasPrefix(creator, own) {
				return true
			}
		}

		return false
	}

	return true // the main goroutine, and those of the runtime, name no creator
}
