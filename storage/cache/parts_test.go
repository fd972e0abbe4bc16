package cache_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"reflect"
	"sync"
	"testing"

	"github.com/urlkit/urlkit/storage"
	"github.com/urlkit/urlkit/storage/cache"
)

func extend(t testing.TB, s storage.CacheStore, e *storage.CacheEntry, offset int64, part []byte) *storage.CacheEntry {
	t.Helper()
	w, err := s.Extend(ctx, e, offset)
	if err != nil {
		t.Fatal(err)
	}

	return commit(t, w, part)
}

func TestParts(t *testing.T) {
	body := text(large, 1)
	tiers(t, func(t *testing.T, s *cache.Store) {
		partial := entry("k", "", large)
		partial.StatusCode = 206
		for _, test := range []struct {
			start, end int
			want       string
		}{
			{0, 0, "[]"},
			{100_000, 200_000, "[{100000 200000}]"},
			{200_000, 200_000, "[{100000 200000}]"},
			{250_000, large, "[{100000 200000} {250000 300000}]"},
			{50, 60, "[{50 60} {100000 200000} {250000 300000}]"},
			{40, 55, "[{40 60} {100000 200000} {250000 300000}]"},
			{120_000, 130_000, "[{40 60} {100000 200000} {250000 300000}]"},
			{190_000, 260_000, "[{40 60} {100000 300000}]"},
			{0, 40, "[{0 60} {100000 300000}]"},
			{30, 100_010, "[{0 300000}]"},
		} {
			var e *storage.CacheEntry
			if test.end == 0 {
				e = put(t, s, partial, nil)
			} else {
				e = extend(t, s, lookup(t, s, "k")[0], int64(test.start), body[test.start:test.end])
			}
			if got := fmt.Sprint(e.Parts); got != test.want || !reflect.DeepEqual(e, lookup(t, s, "k")[0]) {
				t.Fatalf("%d-%d: parts %s, want %s; found %v", test.start, test.end, got, test.want, lookup(t, s, "k")[0].Parts)
			}
			if e.Whole() != (test.want == "[{0 300000}]") {
				t.Error("Whole is wrong")
			}
			for _, p := range e.Parts {
				for _, offset := range []int64{p.Start, (p.Start + p.End) / 2, p.End - 1} {
					if got := read(t, s, e, offset); !bytes.Equal(got, body[offset:p.End]) {
						t.Fatalf("%d-%d: %d bytes from %d are others", test.start, test.end, len(got), offset)
					}
				}
				if p.End < large {
					if _, err := s.Open(ctx, e, p.End); err == nil {
						t.Errorf("%d-%d: something behind %d", test.start, test.end, p.End)
					}
				}
			}
		}
		if _, err := s.Extend(ctx, partial, large+1); err == nil {
			t.Error("extended behind the end")
		}
	})
}

// TestPartsAtRandom extends at random, and keeps a record of what must be there.
func TestPartsAtRandom(t *testing.T) {
	const length = 2000
	body := text(length, 1)
	tiers(t, func(t *testing.T, s *cache.Store) {
		for round := range 10 {
			r := rand.New(rand.NewPCG(1, uint64(round)))
			first := r.IntN(100)
			e := put(t, s, entry("k", "", length), body[:first])
			var have [length]bool
			fill := func(start, end int) {
				for i := start; i < end; i++ {
					have[i] = true
				}
			}
			fill(0, first)
			for range 30 {
				start := r.IntN(length)
				end := min(length, start+r.IntN(200))
				e = extend(t, s, e, int64(start), body[start:end])
				fill(start, end)
				if want := runs(have[:]); !reflect.DeepEqual(e.Parts, want) {
					t.Fatalf("round %d: parts %v, want %v", round, e.Parts, want)
				}
			}
			for _, p := range e.Parts {
				if got := read(t, s, e, p.Start); !bytes.Equal(got, body[p.Start:p.End]) {
					t.Fatalf("round %d: other bytes in %v", round, p)
				}
			}
		}
	})
}

func runs(have []bool) (parts []storage.CachePart) {
	for i, h := range have {
		switch n := len(parts); {
		case !h:
		case n > 0 && parts[n-1].End == int64(i):
			parts[n-1].End++
		default:
			parts = append(parts, storage.CachePart{Start: int64(i), End: int64(i) + 1})
		}
	}

	return parts
}

func TestTooManyParts(t *testing.T) {
	tiers(t, func(t *testing.T, s *cache.Store) {
		e := put(t, s, entry("k", "", 1000), nil)
		for i := range int64(64) {
			e = extend(t, s, e, i*10, []byte("x"))
		}
		w, err := s.Extend(ctx, e, 900)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Commit(ctx); !errors.Is(err, storage.ErrTooLarge) {
			t.Errorf("65 parts: %v", err)
		}
		if e = extend(t, s, e, 0, make([]byte, 1000)); !e.Whole() {
			t.Errorf("parts %v", e.Parts)
		}
	})
}

// TestExtendMeanwhile extends what was updated, replaced or removed meanwhile.
func TestExtendMeanwhile(t *testing.T) {
	tiers(t, func(t *testing.T, s *cache.Store) {
		begin := func() (*storage.CacheEntry, storage.CacheWriter) {
			e := put(t, s, entry("k", "", 10), []byte("01234"))
			w, err := s.Extend(ctx, e, 5)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write([]byte("56789")); err != nil {
				t.Fatal(err)
			}

			return e, w
		}
		e, w := begin()
		changed := entry("k", "", 10)
		changed.Header.Set("Etag", "new")
		if err := s.Update(ctx, e, changed); err != nil {
			t.Fatal(err)
		}
		if e, err := w.Commit(ctx); err != nil || !e.Whole() || e.Header.Get("Etag") != "new" {
			t.Errorf("updated: %+v, %v", e, err)
		}
		_, w = begin()
		put(t, s, entry("k", "", 10), []byte("abcdefghij"))
		if _, err := w.Commit(ctx); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("replaced: %v", err)
		}
		if got := string(read(t, s, lookup(t, s, "k")[0], 0)); got != "abcdefghij" {
			t.Errorf("the other one is %q", got)
		}
		_, w = begin()
		if err := s.Remove(ctx, "k", nil); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Commit(ctx); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("removed: %v", err)
		}
	})
}

// TestExtendAtOnce has several goroutines each add a part.
func TestExtendAtOnce(t *testing.T) {
	body := text(8000, 1)
	tiers(t, func(t *testing.T, s *cache.Store) {
		e := put(t, s, entry("k", "", 8000), nil)
		var wg sync.WaitGroup
		for i := range int64(8) {
			wg.Go(func() { extend(t, s, e, i*1000, body[i*1000:(i+1)*1000]) })
		}
		wg.Wait()
		if e = lookup(t, s, "k")[0]; !e.Whole() || !bytes.Equal(read(t, s, e, 0), body) {
			t.Errorf("parts %v", e.Parts)
		}
	})
}
