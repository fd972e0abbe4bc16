//go:build unix

package urlsession_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/urlkit/urlkit/storage/cache"
	"github.com/urlkit/urlkit/urlsession"
)

// A hit of 1 KiB from memory, and storing it there, may cost so much at most.
const (
	hitAllocations     = 15
	hitShare           = 5 // of the CPU of the same GET over loopback
	storingAllocations = 17
)

// hits makes a session that caches in memory, and one that has no cache. Each
// function loads it once.
func hits(t testing.TB, url string) (hit, miss func() error) {
	t.Helper()
	one := func(change func(*urlsession.Configuration)) func() error {
		s := session(t, change)
		req, ctx := get(t, url), context.Background()

		return func() error {
			data, _, err := s.Data(ctx, req)
			if err == nil && len(data) != allocationBody {
				err = errors.New("not the body that was expected")
			}

			return err
		}
	}
	hit, miss = one(nil), one(func(c *urlsession.Configuration) { c.Cache = cache.None })
	for range 50 {
		if err := errors.Join(hit(), miss()); err != nil {
			t.Fatal(err)
		}
	}

	return hit, miss
}

// freshOrigin serves 1 KiB that stays fresh.
func freshOrigin(t testing.TB) string {
	t.Helper()

	return sized(t, "max-age=3600")
}

// sized serves 1 KiB, with a Cache-Control or nothing that a cache has a use for.
func sized(t testing.TB, control string) string {
	t.Helper()
	body := make([]byte, allocationBody)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		if control != "" {
			w.Header().Set("Cache-Control", control)
			w.Header().Set("Etag", `"1"`)
		}
		_, _ = w.Write(body)
	}))
	t.Cleanup(s.Close)

	return s.URL
}

func TestAllocationsOfAHit(t *testing.T) {
	unraced(t)
	hit, _ := hits(t, freshOrigin(t))
	n := allocations(t, hit)
	t.Logf("a hit: %.0f allocations", n)
	if n > hitAllocations {
		t.Errorf("a hit makes %.0f allocations, %d at most", n, hitAllocations)
	}
}

// Storing costs each load of what is not used again so much at most.
func TestAllocationsOfStoring(t *testing.T) {
	unraced(t)
	stored, miss := hits(t, sized(t, ""))
	more := allocations(t, stored) - allocations(t, miss)
	t.Logf("storing: %.0f allocations", more)
	if more > storingAllocations {
		t.Errorf("storing makes %.0f allocations, %d at most", more, storingAllocations)
	}
}

// used is the processor time of the process so far.
func used(t testing.TB) time.Duration {
	t.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}

	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// The rounds take turns, and the least of each counts: what else the machine and the
// process do only adds to it. More rounds are made where they disturb all of the first.
// The server is in this process, and what it costs counts with the GET.
func TestCPUOfAHit(t *testing.T) {
	unraced(t)
	hit, miss := hits(t, freshOrigin(t))
	const loads, rounds, most = 400, 5, 50
	measure := func(get func() error) time.Duration {
		before := used(t)
		for range loads {
			if err := get(); err != nil {
				t.Fatal(err)
			}
		}

		return (used(t) - before) / loads
	}
	a, b, n := time.Hour, time.Hour, 0
	for n < rounds || a > b/hitShare && n < most {
		a, b = min(a, measure(hit)), min(b, measure(miss))
		n++
	}
	t.Logf("a hit: %v; the GET: %v; 1/%.1f; %d rounds", a, b, float64(b)/float64(max(a, 1)), n)
	if a > b/hitShare {
		t.Errorf("a hit costs %v of CPU, the GET %v: more than a 1/%d", a, b, hitShare)
	}
}

// BenchmarkData compares a hit of 1 KiB from memory with the same GET over loopback;
// the server is in this process here.
func BenchmarkData(b *testing.B) {
	hit, miss := hits(b, freshOrigin(b))
	for _, row := range []struct {
		name string
		get  func() error
	}{{"Hit", hit}, {"GET", miss}} {
		b.Run(row.name, func(b *testing.B) {
			b.ReportAllocs()
			before := used(b)
			for b.Loop() {
				if err := row.get(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(used(b)-before)/float64(b.N), "cpu-ns/op")
		})
	}
}
