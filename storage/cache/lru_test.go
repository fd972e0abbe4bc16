package cache_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/urlkit/urlkit/storage"
	"github.com/urlkit/urlkit/storage/cache"
)

// usage is what the tiers in use take.
func usage(t testing.TB, s *cache.Store) int64 {
	t.Helper()
	n, err := s.DiskUsage()
	if err != nil {
		t.Fatal(err)
	}
	if s.Directory() == "" {
		return s.MemoryUsage()
	}

	return n
}

// TestLeastRecentlyUsed stores and reads at random, and expects what a list of keys
// in the order of their use says.
func TestLeastRecentlyUsed(t *testing.T) {
	const room = 25
	for name, again := range map[string]func(t *testing.T, s *cache.Store, c cache.Config) *cache.Store{
		"memory": nil,
		"disk":   nil,
		"disk, opened again": func(t *testing.T, s *cache.Store, c cache.Config) *cache.Store {
			if err := s.Flush(ctx); err != nil {
				t.Fatal(err)
			}

			return cache.New(c)
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := cache.Config{MemoryCapacity: 1 << 20}
			if name != "memory" {
				c = cache.Config{DiskCapacity: 1 << 20, Directory: t.TempDir()}
			}
			s := cache.New(c)
			put(t, s, entry("key 00", "", 1000), text(1000, 1))
			size := usage(t, s)
			setCapacity(t, s, room*size)
			c.DiskCapacity = room * size
			r := rand.New(rand.NewPCG(1, 2))
			order := []string{"key 00"} // the one used last at the end
			for range 400 {
				key := fmt.Sprintf("key %02d", r.IntN(40))
				order = slices.DeleteFunc(order, func(k string) bool { return k == key })
				if found := lookup(t, s, key); len(found) == 0 || r.IntN(10) == 0 {
					put(t, s, entry(key, "", 1000), text(1000, 1))
				} else if got := read(t, s, found[0], 0); !bytes.Equal(got, text(1000, 1)) {
					t.Fatal("other bytes")
				}
				if order = append(order, key); len(order) > room {
					order = order[1:]
				}
				if again != nil {
					s = again(t, s, c)
				}
			}
			var all []string
			for i := range 40 {
				all = append(all, fmt.Sprintf("key %02d", i))
			}
			slices.Sort(order)
			if got, want := has(t, s, all...), strings.Join(order, " "); got != want {
				t.Errorf("stored: %s\nwant:   %s", got, want)
			}
			if got := usage(t, s); got != room*size {
				t.Errorf("%d bytes in use, want %d", got, room*size)
			}
		})
	}
}

func setCapacity(t testing.TB, s *cache.Store, bytes int64) {
	t.Helper()
	s.SetMemoryCapacity(bytes)
	if err := s.SetDiskCapacity(bytes); err != nil {
		t.Fatal(err)
	}
}

func TestCapacities(t *testing.T) {
	tiers(t, func(t *testing.T, s *cache.Store) {
		for i := range 20 {
			put(t, s, entry(fmt.Sprint(i), "", 10_000), text(10_000, i))
		}
		if got := usage(t, s); got < 200_000 || got > 220_000 {
			t.Errorf("%d bytes in use", got)
		}
		setCapacity(t, s, 110_000)
		if got := usage(t, s); got < 90_000 || got > 110_000 {
			t.Errorf("%d bytes in use after the capacity was lowered", got)
		}
		if got := has(t, s, "0", "9", "10", "19"); got != "10 19" {
			t.Errorf("left: %s", got)
		}
		setCapacity(t, s, -1)
		if s.MemoryCapacity() != 0 || s.DiskCapacity() != 0 || usage(t, s) != 0 || s.MemoryUsage() != 0 {
			t.Errorf("%d and %d bytes in use without capacity", usage(t, s), s.MemoryUsage())
		}
		if _, err := s.Create(ctx, entry("k", "", 1)); err == nil {
			t.Error("something is stored without capacity")
		}
		setCapacity(t, s, 1<<20)
		put(t, s, entry("k", "", 10), text(10, 1))
		if got := has(t, s, "k", "19"); got != "k" {
			t.Errorf("stored: %s", got)
		}
	})
}

// TestTiers looks at what is where.
func TestTiers(t *testing.T) {
	s := cache.New(cache.Config{MemoryCapacity: 1 << 20, DiskCapacity: 10 << 20, Directory: t.TempDir()})
	put(t, s, entry("small", "", 100), text(100, 1))
	put(t, s, entry("large", "", large), text(large, 1))
	if m := s.MemoryUsage(); m < 100 || m > 2000 {
		t.Errorf("%d bytes in memory", m)
	}
	if d := usage(t, s); d < large+100 || d > large+2000 {
		t.Errorf("%d bytes on disk", d)
	}
	only := entry("only", "", 100)
	only.InMemoryOnly = true
	before := usage(t, s)
	put(t, s, only, text(100, 1))
	if usage(t, s) != before {
		t.Error("what is for memory only is on the disk")
	}
	// One replaces the other, whatever tier it is in.
	only = entry("small", "", 100)
	only.InMemoryOnly = true
	put(t, s, only, text(100, 2))
	if found := lookup(t, s, "small"); len(found) != 1 || !found[0].InMemoryOnly || !bytes.Equal(read(t, s, found[0], 0), text(100, 2)) {
		t.Errorf("%+v", found)
	}
	if usage(t, s) >= before {
		t.Error("the one on the disk is still there")
	}
	put(t, s, entry("small", "", 100), text(100, 3))
	if found := lookup(t, s, "small"); len(found) != 1 || found[0].InMemoryOnly || !bytes.Equal(read(t, s, found[0], 0), text(100, 3)) {
		t.Errorf("%+v", found)
	}
	if got := has(t, s, "small", "large", "only"); got != "small large only" {
		t.Errorf("stored: %s", got)
	}
	// Without the disk what is in memory alone is left; with it the rest is there again.
	folder := s.Directory()
	s.SetDirectory("")
	if got := has(t, s, "small", "large", "only"); got != "only" {
		t.Errorf("without a disk: %s", got)
	}
	s.SetDirectory(folder)
	s.SetMemoryCapacity(0)
	if got := has(t, s, "small", "large", "only"); got != "small large" {
		t.Errorf("without memory: %s", got)
	}
	if got := read(t, s, lookup(t, s, "small")[0], 50); !bytes.Equal(got, text(100, 3)[50:]) {
		t.Error("other bytes")
	}
}

// TestBecomesMemoryOnly updates what is on the disk to be in memory only.
func TestBecomesMemoryOnly(t *testing.T) {
	s := cache.New(cache.Config{MemoryCapacity: 10 << 20, DiskCapacity: 100 << 20, Directory: t.TempDir()})
	for _, n := range []int{0, 100, large, 1 << 20} {
		e := put(t, s, entry("k", "", int64(n)), text(n, n))
		changed := *e
		changed.InMemoryOnly, changed.MIMEType = true, "text/changed"
		err := s.Update(ctx, e, &changed)
		if left := files(t, s.Directory(), ""); len(left) != 0 {
			t.Errorf("%d bytes: on the disk: %q", n, left)
		}
		found := lookup(t, s, "k")
		if n == 1<<20 {
			if !errors.Is(err, storage.ErrTooLarge) || len(found) != 0 {
				t.Errorf("%d bytes are in memory: %v", n, err)
			}
			continue
		}
		if err != nil || len(found) != 1 || !found[0].InMemoryOnly || found[0].MIMEType != "text/changed" || !bytes.Equal(read(t, s, found[0], 0), text(n, n)) {
			t.Errorf("%d bytes: %v, %v", n, found, err)
		}
	}
	e := extend(t, s, put(t, s, entry("k", "", 1000), text(10, 1)), 500, text(20, 2))
	changed := *e
	changed.InMemoryOnly = true
	if err := s.Update(ctx, e, &changed); err != nil {
		t.Fatal(err)
	}
	if e = lookup(t, s, "k")[0]; fmt.Sprint(e.Parts) != "[{0 10} {500 520}]" || !bytes.Equal(read(t, s, e, 501), text(20, 2)[1:]) {
		t.Errorf("parts %v", e.Parts)
	}
}

// TestLookupAfterEviction finds and opens a response whose copy in memory is gone.
func TestLookupAfterEviction(t *testing.T) {
	s := cache.New(cache.Config{MemoryCapacity: 40_000, DiskCapacity: 10 << 20, Directory: t.TempDir()})
	var entries []*storage.CacheEntry
	for i := range 100 {
		entries = append(entries, put(t, s, entry(fmt.Sprint(i), "", 1000), text(1000, i)))
		if s.MemoryUsage() > 40_000 {
			t.Fatalf("%d bytes in memory", s.MemoryUsage())
		}
	}
	for i, e := range entries {
		if got := read(t, s, e, 0); !bytes.Equal(got, text(1000, i)) {
			t.Fatalf("%d: other bytes", i)
		}
	}
}

// TestRoomForWriting bounds what is not stored yet.
func TestRoomForWriting(t *testing.T) {
	for name, c := range map[string]cache.Config{
		"memory": {MemoryCapacity: 4 << 20},
		"disk":   {DiskCapacity: 4 << 20, Directory: t.TempDir()},
	} {
		s := cache.New(c)
		var failed error
		written := 0
		for i := range 100 {
			w, err := s.Create(ctx, entry(fmt.Sprint(i), "", -1))
			if err != nil {
				t.Fatal(err)
			}
			defer w.Abort()
			if _, failed = w.Write(make([]byte, 200_000)); failed != nil {
				break
			}
			written += 200_000
		}
		if !errors.Is(failed, storage.ErrTooLarge) || written > 5<<20 || written < 3<<20 {
			t.Errorf("%s: %d bytes written, %v", name, written, failed)
		}
	}
}
