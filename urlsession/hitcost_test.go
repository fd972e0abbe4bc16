//go:build unix && !race

package urlsession_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/urlkit/urlkit/storage/cache"
	"github.com/urlkit/urlkit/urlsession"
)

// A hit of 1 KiB from memory may cost so much at most.
const (
	hitAllocations = 15
	hitShare       = 5 // of the CPU of the same GET over loopback
)

// hits makes a session that has the URL in its memory, and one that has no cache. Each
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
	body := make([]byte, allocationBody)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.Header().Set("Cache-Control", "max-age=3600")
		w.Header().Set("Etag", `"1"`)
		_, _ = w.Write(body)
	}))
	t.Cleanup(s.Close)

	return s.URL
}

func TestAllocationsOfAHit(t *testing.T) {
	hit, _ := hits(t, freshOrigin(t))
	n := allocations(t, hit)
	t.Logf("a hit: %.0f allocations", n)
	if n > hitAllocations {
		t.Errorf("a hit makes %.0f allocations, %d at most", n, hitAllocations)
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

// The rounds take turns, and the least of each counts: what else the machine does only
// adds to it. The server is in this process, and what it costs counts with the GET.
func TestCPUOfAHit(t *testing.T) {
	hit, miss := hits(t, freshOrigin(t))
	const rounds, loads = 5, 400
	var cheap, dear []time.Duration
	measure := func(get func() error) time.Duration {
		before := used(t)
		for range loads {
			if err := get(); err != nil {
				t.Fatal(err)
			}
		}

		return (used(t) - before) / loads
	}
	for range rounds {
		cheap, dear = append(cheap, measure(hit)), append(dear, measure(miss))
	}
	a, b := slices.Min(cheap), slices.Min(dear)
	t.Logf("a hit: %v; the GET: %v; 1/%.1f", a, b, float64(b)/float64(max(a, 1)))
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
