package main

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/urlkit/urlkit/bench/internal/child"
	"github.com/urlkit/urlkit/bench/internal/spread"
)

func TestMain(m *testing.M) {
	child.Main(roles)
	os.Exit(m.Run())
}

func TestRun(t *testing.T) {
	var table bytes.Buffer
	if err := run(t.Context(), &table, 1, time.Millisecond, false); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"HTTP/1.1 clear text, 1 worker", "HTTP/2 TLS, 64 workers", baseline,
		"Session.Data", "Session.RoundTripper", "http.Client, ReadAll", "resty v2",
	} {
		if !strings.Contains(table.String(), name) {
			t.Errorf("the table lacks %q:\n%s", name, &table)
		}
	}
}

func TestRunJSON(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), &out, 2, time.Millisecond, true); err != nil {
		t.Fatal(err)
	}
	var results []result
	if err := json.Unmarshal(out.Bytes(), &results); err != nil {
		t.Fatal(err)
	}
	if len(results) != 4*6 {
		t.Fatalf("%d results, want 6 clients in 4 settings", len(results))
	}
	for _, r := range results {
		if r.Rate.Min <= 0 || r.Allocs.Min <= 0 || r.CPU.Max <= 0 {
			t.Errorf("%s, %s: nothing was measured: %+v", r.Setting, r.Contender, r)
		}
		if r.Contender == baseline && (r.Ratio != spread.Spread{Median: 1, Min: 1, Max: 1} || r.More != 0) {
			t.Errorf("the baseline differs from itself: %+v", r)
		}
	}
}

// A ratio is taken within a round: a round in which the machine was slow for all
// of them counts no more than another.
func TestSummarizeComparesWithinRounds(t *testing.T) {
	base := []sample{{cpu: 10, allocs: 4}, {cpu: 100, allocs: 4}, {cpu: 20, allocs: 5}}
	rounds := []sample{{cpu: 11, allocs: 6}, {cpu: 110, allocs: 6}, {cpu: 22, allocs: 7}}
	r := summarize(setting{"p", "", 1}, "c", rounds, base)
	if math.Abs(r.Ratio.Min-1.1) > 1e-9 || math.Abs(r.Ratio.Max-1.1) > 1e-9 || r.More != 2 {
		t.Errorf("ratio %v and %v allocations more, want 1.1 and 2", r.Ratio, r.More)
	}
}

// BenchmarkGet runs the same clients under go test's own measurement, which can
// profile them (-cpuprofile, -memprofile): the server is another process.
func BenchmarkGet(b *testing.B) {
	server, address, err := startOrigin()
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := server.Stop(); err != nil {
			b.Error(err)
		}
	}()
	roots, err := address.Roots()
	if err != nil {
		b.Fatal(err)
	}
	for _, s := range settings(address) {
		contenders, err := newContenders(s.url, roots, s.workers)
		if err != nil {
			b.Fatal(err)
		}
		for _, c := range contenders {
			b.Run(s.name()+"/"+c.name, func(b *testing.B) { benchmark(b, c, s.workers) })
			if err := c.close(); err != nil {
				b.Error(err)
			}
		}
	}
}

func benchmark(b *testing.B, c contender, workers int) {
	var left atomic.Int64
	if err := warm(b.Context(), c, workers); err != nil {
		b.Fatal(err)
	}
	left.Store(int64(b.N - workers)) // each worker makes one unasked
	b.ReportAllocs()
	b.ResetTimer()
	if _, err := hammer(b.Context(), c, workers, func() bool { return left.Add(-1) >= 0 }); err != nil {
		b.Fatal(err)
	}
}

func TestOriginThatCannotStart(t *testing.T) {
	process, err := child.Start("no such role")
	if err != nil {
		t.Fatal(err)
	}
	var address struct{}
	if err := process.Receive(&address); err == nil {
		t.Error("a child without a role has answered")
	}
	if err := process.Stop(); err == nil {
		t.Error("a child without a role has ended well")
	}
}
