package leak

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// recorder stands in for a test whose failure is expected.
type recorder struct {
	testing.TB
	cleanups []func()
	failures []string
}

func (r *recorder) Helper()          {}
func (r *recorder) Cleanup(f func()) { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Errorf(format string, args ...any) {
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

func (r *recorder) finish() string {
	for _, f := range r.cleanups {
		f()
	}

	return strings.Join(r.failures, "\n")
}

func TestLeftGoroutineIsNamed(t *testing.T) {
	Check(t)
	rec := &recorder{TB: t}
	check(rec, "goroutine", goroutines, 10*time.Millisecond)
	release := make(chan struct{})
	defer close(release)
	go waitFor(release)
	if got := rec.finish(); !strings.Contains(got, "leak.waitFor") {
		t.Errorf("failures %q do not name the goroutine's function", got)
	}
}

func waitFor(c chan struct{}) { <-c }

func TestEndingGoroutineIsNoLeak(t *testing.T) {
	rec := &recorder{TB: t}
	Check(rec)
	release := make(chan struct{})
	go waitFor(release)
	time.AfterFunc(5*time.Millisecond, func() { close(release) })
	if got := rec.finish(); got != "" {
		t.Errorf("failed for a goroutine that ends: %s", got)
	}
}

func TestEarlierGoroutineIsNoLeak(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	go waitFor(release)
	rec := &recorder{TB: t}
	Check(rec)
	if got := rec.finish(); got != "" {
		t.Errorf("failed for a goroutine of before: %s", got)
	}
}

func TestWhoseGoroutine(t *testing.T) {
	for creator, want := range map[string]bool{
		"\ncreated by testing.(*T).Run in goroutine 1":        true,
		"\ncreated by os/signal.Notify.func1.1":               true,
		"\ncreated by net/http.(*Server).Serve":               false,
		"\ncreated by example.org/testing.Run in goroutine 1": false,
		"": true,
	} {
		if got := belongsToRuntime("goroutine 7 [select]:\nmain.f()" + creator); got != want {
			t.Errorf("belongsToRuntime(%q) = %v", creator, got)
		}
	}
}

func TestFiles(t *testing.T) {
	if _, err := os.Stat(descriptors); err != nil {
		t.Skip("no " + descriptors)
	}
	CheckFiles(t)
	rec := &recorder{TB: t}
	check(rec, "file", openFiles, 10*time.Millisecond)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if got := rec.finish(); !strings.Contains(got, "socket:") {
		t.Errorf("failures %q do not name the socket", got)
	}
}

func TestClosedFilesAreNoLeak(t *testing.T) {
	rec := &recorder{TB: t}
	CheckFiles(rec)
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	if got := rec.finish(); got != "" {
		t.Errorf("failed for a closed file: %s", got)
	}
}

// A test that asks again is looked at once, when all of it has ended: the parts of it
// that came before are not leaks of the later ones. The next test of the same value
// is looked at anew.
func TestCheckAgain(t *testing.T) {
	rec := &recorder{TB: t}
	for range 2 {
		check(rec, "goroutine", goroutines, 10*time.Millisecond)
		check(rec, "goroutine", goroutines, 10*time.Millisecond)
		release := make(chan struct{})
		go waitFor(release)
		if len(rec.cleanups) != 1 {
			t.Fatalf("%d looks", len(rec.cleanups))
		}
		if got := rec.finish(); !strings.Contains(got, "leak.waitFor") {
			t.Errorf("failures %q do not name the goroutine's function", got)
		}
		close(release)
		*rec = recorder{TB: t}
	}
}
