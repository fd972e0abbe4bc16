package cache_test

import (
	"fmt"
	"io"
	"strconv"
	"testing"

	"github.com/urlkit/urlkit/storage"
	"github.com/urlkit/urlkit/storage/cache"
)

// hit looks one response up and reads it.
func hit(t testing.TB, s storage.CacheStore, key string, into []byte) {
	found, err := s.Lookup(ctx, key)
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	b, err := s.Open(ctx, found[0], 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(b, into); err != nil {
		t.Fatal(err)
	}
	_ = b.Close()
}

// kinds are stores with n bytes of body under "https://example.org/some/path".
func kinds(t testing.TB, n int) map[string]*cache.Store {
	all := map[string]*cache.Store{
		"memory": cache.New(cache.Config{MemoryCapacity: 400 << 20}),
		"both":   cache.New(cache.Config{MemoryCapacity: 400 << 20, DiskCapacity: 400 << 20, Directory: t.TempDir()}),
		"disk":   cache.New(cache.Config{DiskCapacity: 400 << 20, Directory: t.TempDir()}),
	}
	for _, s := range all {
		put(t, s, entry(hitKey, "", int64(n)), text(n, 1))
	}

	return all
}

const hitKey = "https://example.org/some/path?with=a&query=string"

func BenchmarkHit(b *testing.B) {
	for _, n := range []int{1 << 10, 64 << 10, 4 << 20} {
		all := kinds(b, n)
		for _, name := range []string{"memory", "both", "disk"} {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				into := make([]byte, n)
				b.ReportAllocs()
				b.SetBytes(int64(n))
				for b.Loop() {
					hit(b, all[name], hitKey, into)
				}
			})
		}
	}
}

// BenchmarkStore stores responses under ever new keys, so that it also evicts.
func BenchmarkStore(b *testing.B) {
	for _, n := range []int{1 << 10, 64 << 10, 4 << 20} {
		all := kinds(b, n)
		for _, name := range []string{"memory", "both", "disk"} {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				content := text(n, 2)
				e := entry("", "", int64(n))
				b.ReportAllocs()
				b.SetBytes(int64(n))
				for i := 0; b.Loop(); i++ {
					one := *e
					one.Key = strconv.Itoa(i)
					put(b, all[name], &one, content)
				}
			})
		}
	}
}

// TestHitAllocations: the reader, and on a disk what a look-up gives.
func TestHitAllocations(t *testing.T) {
	all := kinds(t, 1<<10)
	into := make([]byte, 1<<10)
	for name, most := range map[string]float64{"memory": 1, "both": 3} {
		if got := testing.AllocsPerRun(200, func() { hit(t, all[name], hitKey, into) }); got > most {
			t.Errorf("%s: %v allocations, want at most %v", name, got, most)
		}
	}
}
