package cache_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/urlkit/urlkit/storage"
	"github.com/urlkit/urlkit/storage/cache"
)

func TestStoreAndServe(t *testing.T) {
	tiers(t, func(t *testing.T, s *cache.Store) {
		for _, n := range []int{0, 1, 1000, 64 << 10, 64<<10 + 1, 128 << 10, large} {
			key := fmt.Sprint("key ", n)
			body := text(n, n)
			given := put(t, s, entry(key, "", int64(n)), body)
			found := lookup(t, s, key)
			if len(found) != 1 || !reflect.DeepEqual(found[0], given) {
				t.Fatalf("%d bytes: given %+v, found %+v", n, given, found)
			}
			want := entry(key, "", int64(n))
			want.ID = given.ID
			if n > 0 {
				want.Parts = []storage.CachePart{{Start: 0, End: int64(n)}}
			}
			if !reflect.DeepEqual(given, want) || !given.Whole() || given.ID == "" {
				t.Errorf("%d bytes: %+v, want %+v", n, given, want)
			}
			for _, offset := range []int{0, 1, n / 2, 64 << 10, n - 1, n} {
				if offset < 0 || offset > n {
					continue
				}
				if got := read(t, s, found[0], int64(offset)); !bytes.Equal(got, body[offset:]) {
					t.Errorf("%d bytes from %d are others: %d", n, offset, len(got))
				}
			}
			if _, err := s.Open(ctx, given, int64(n)+1); err == nil {
				t.Error("behind the end there is something")
			}
		}
	})
}

func TestLengthUnknown(t *testing.T) {
	tiers(t, func(t *testing.T, s *cache.Store) {
		for _, n := range []int{0, 10, large} {
			e := put(t, s, entry("k", "", -1), text(n, 1))
			if e.Length != int64(n) || !e.Whole() || lookup(t, s, "k")[0].Length != int64(n) {
				t.Errorf("%+v", e)
			}
		}
	})
}

func TestVariants(t *testing.T) {
	tiers(t, func(t *testing.T, s *cache.Store) {
		for i := range 40 {
			put(t, s, entry("k", fmt.Sprint(i), 1), text(1, i))
		}
		found := lookup(t, s, "k")
		if len(found) != 32 || found[0].Variant != "39" || found[31].Variant != "8" {
			t.Fatalf("%d variants, from %q to %q", len(found), found[0].Variant, found[len(found)-1].Variant)
		}
		put(t, s, entry("k", "20", 1), text(1, 20))
		if found = lookup(t, s, "k"); len(found) != 32 || found[0].Variant != "20" {
			t.Errorf("%d variants, first %q", len(found), found[0].Variant)
		}
		if err := s.Remove(ctx, "k", found[0]); err != nil {
			t.Fatal(err)
		}
		if found = lookup(t, s, "k"); len(found) != 31 || found[0].Variant != "39" {
			t.Errorf("%d variants, first %q", len(found), found[0].Variant)
		}
		if err := errors.Join(s.Remove(ctx, "k", nil), s.Remove(ctx, "k", nil), s.Remove(ctx, "k", found[0])); err != nil {
			t.Fatal(err)
		}
		if len(lookup(t, s, "k")) != 0 {
			t.Error("they are still there")
		}
		if _, err := s.Open(ctx, found[0], 0); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a removed one is opened: %v", err)
		}
	})
}

// TestReadersGoOn replaces, updates, and removes what is being read.
func TestReadersGoOn(t *testing.T) {
	tiers(t, func(t *testing.T, s *cache.Store) {
		body := text(large, 1)
		first := put(t, s, entry("k", "", large), body)
		var readers []io.ReadCloser
		open := func(e *storage.CacheEntry) {
			r, err := s.Open(ctx, e, 0)
			if err != nil {
				t.Fatal(err)
			}
			readers = append(readers, r)
		}
		open(first)
		second := put(t, s, entry("k", "", large), body)
		open(second)
		if _, err := s.Open(ctx, first, 0); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a replaced one is opened: %v", err)
		}
		if err := s.Update(ctx, second, entry("k", "", large)); err != nil {
			t.Fatal(err)
		}
		open(second)
		if err := s.RemoveAll(ctx); err != nil {
			t.Fatal(err)
		}
		for _, r := range readers {
			if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, body) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
			if err := errors.Join(r.Close(), r.Close()); err != nil {
				t.Error(err)
			}
			if _, err := r.Read(make([]byte, 1)); !errors.Is(err, fs.ErrClosed) {
				t.Errorf("read after Close: %v", err)
			}
		}
	})
}

func TestUpdate(t *testing.T) {
	tiers(t, func(t *testing.T, s *cache.Store) {
		for _, n := range []int{0, 10, large} {
			e := put(t, s, entry("k", "", int64(n)), text(n, n))
			changed := entry("k", "another", -1)
			changed.Header = http.Header{"Etag": {`"2"`}}
			if err := s.Update(ctx, e, changed); err != nil {
				t.Fatal(err)
			}
			found := lookup(t, s, "k")
			if len(found) != 1 || found[0].Header.Get("Etag") != `"2"` || found[0].Variant != "another" || !found[0].Whole() || found[0].ID != e.ID {
				t.Fatalf("%+v", found)
			}
			for _, e := range []*storage.CacheEntry{e, found[0]} {
				if got := read(t, s, e, 0); !bytes.Equal(got, text(n, n)) {
					t.Errorf("%d other bytes", len(got))
				}
			}
			if err := s.Remove(ctx, "k", nil); err != nil {
				t.Fatal(err)
			}
			if err := s.Update(ctx, e, changed); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("a removed one is updated: %v", err)
			}
		}
	})
}

func TestTooLarge(t *testing.T) {
	tiers(t, func(t *testing.T, s *cache.Store) {
		most := s.MaximumBody()
		if most != 2<<20 {
			t.Fatalf("%d bytes, not 5 %%", most)
		}
		put(t, s, entry("k", "", most), text(int(most), 1))
		if _, err := s.Create(ctx, entry("large", "", most+1)); !errors.Is(err, storage.ErrTooLarge) {
			t.Errorf("a length too large: %v", err)
		}
		w, err := s.Create(ctx, entry("large", "", -1))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(text(int(most), 1)); err != nil {
			t.Fatal(err)
		}
		if n, err := w.Write([]byte("x")); n != 0 || !errors.Is(err, storage.ErrTooLarge) {
			t.Errorf("a body too large: %d, %v", n, err)
		}
		if _, err := w.Commit(ctx); !errors.Is(err, storage.ErrTooLarge) {
			t.Errorf("it is committed: %v", err)
		}
		huge := entry("large", "", 1)
		huge.Header.Set("X-Huge", strings.Repeat("x", int(most)))
		if w, err := s.Create(ctx, huge); err == nil {
			_, _ = w.Write([]byte("x"))
			if _, err = w.Commit(ctx); !errors.Is(err, storage.ErrTooLarge) {
				t.Errorf("a head too large: %v", err)
			}
		}
		if got := has(t, s, "k", "large"); got != "k" {
			t.Errorf("stored: %s", got)
		}
	})
}

// endings are ways to end the writing of a response other than to store it.
func endings(t *testing.T, s *cache.Store) map[string]func(w storage.CacheWriter) error {
	canceled, cancel := context.WithCancel(ctx)
	cancel()
	commit := func(ctx context.Context, w storage.CacheWriter) error {
		_, err := w.Commit(ctx)
		return err
	}

	return map[string]func(w storage.CacheWriter) error{
		"abort": func(w storage.CacheWriter) error {
			w.Abort()
			w.Abort()

			return commit(ctx, w)
		},
		"cancelled": func(w storage.CacheWriter) error { return commit(canceled, w) },
		"too long": func(w storage.CacheWriter) error {
			_, err := w.Write([]byte("x"))
			return err
		},
		"emptied meanwhile": func(w storage.CacheWriter) error {
			if err := s.RemoveAll(ctx); err != nil {
				t.Fatal(err)
			}

			return commit(ctx, w)
		},
	}
}

func TestGivenUp(t *testing.T) {
	tiers(t, func(t *testing.T, s *cache.Store) {
		for name, end := range endings(t, s) {
			for _, n := range []int{10, large} {
				w, err := s.Create(ctx, entry("k", "", int64(n)))
				if err != nil {
					t.Fatal(err)
				}
				if _, err := w.Write(text(n, 1)); err != nil {
					t.Fatal(err)
				}
				if err := end(w); err == nil {
					t.Errorf("%s: no error", name)
				}
				if n, err := w.Write([]byte("x")); n != 0 || err == nil {
					t.Errorf("%s: written afterwards", name)
				}
				if got := has(t, s, "k"); got != "" {
					t.Errorf("%s: stored", name)
				}
				w.Abort()
			}
		}
		if n := usage(t, s); n != 0 || s.Directory() != "" && len(files(t, s.Directory(), "")) != 0 {
			t.Errorf("%d bytes in use", n)
		}
	})
}

func TestAbortAfterCommit(t *testing.T) {
	tiers(t, func(t *testing.T, s *cache.Store) {
		w, err := s.Create(ctx, entry("k", "", 10))
		if err != nil {
			t.Fatal(err)
		}
		commit(t, w, text(10, 2))
		w.Abort()
		if got := read(t, s, lookup(t, s, "k")[0], 0); !bytes.Equal(got, text(10, 2)) {
			t.Error("Abort after Commit does something")
		}
		if _, err := w.Commit(ctx); err == nil {
			t.Error("committed twice")
		}
	})
}

func TestCancelledContext(t *testing.T) {
	s := cache.New(cache.Config{MemoryCapacity: 1 << 20, DiskCapacity: 1 << 20, Directory: t.TempDir()})
	e := put(t, s, entry("k", "", 1), text(1, 1))
	canceled, cancel := context.WithCancel(ctx)
	cancel()
	_, lookedUp := s.Lookup(canceled, "k")
	_, opened := s.Open(canceled, e, 0)
	_, created := s.Create(canceled, e)
	_, extended := s.Extend(canceled, e, 0)
	for i, err := range []error{lookedUp, opened, created, extended, s.Update(canceled, e, e), s.Flush(canceled)} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%d: %v", i, err)
		}
	}
}

func TestRemoveSince(t *testing.T) {
	tiers(t, func(t *testing.T, s *cache.Store) {
		put(t, s, entry("old", "", 1), text(1, 1))
		now := time.Now().Add(time.Nanosecond)
		for !time.Now().After(now) { // a coarse clock
			continue
		}
		put(t, s, entry("new", "", 1), text(1, 1))
		if err := s.RemoveSince(ctx, time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)); err != nil || has(t, s, "old", "new") != "old new" {
			t.Errorf("removed what is to be stored in the future: %v", err)
		}
		if err := s.RemoveSince(ctx, now); err != nil {
			t.Fatal(err)
		}
		if got := has(t, s, "old", "new"); got != "old" {
			t.Errorf("left: %s", got)
		}
		if err := s.RemoveSince(ctx, time.Time{}); err != nil {
			t.Fatal(err)
		}
		if got := has(t, s, "old", "new"); got != "" {
			t.Errorf("left: %s", got)
		}
	})
}

func TestAll(t *testing.T) {
	tiers(t, func(t *testing.T, s *cache.Store) {
		only := entry("in memory", "", 1)
		only.InMemoryOnly = true
		if s.MemoryCapacity() < 20_000 {
			only.InMemoryOnly = false
		}
		put(t, s, only, text(1, 1))
		put(t, s, entry("a", "1", 1), text(1, 1))
		put(t, s, entry("a", "2", 1), text(1, 1))
		var found []string
		for e, err := range s.All(ctx) {
			if err != nil {
				t.Fatal(err)
			}
			found = append(found, e.Key+e.Variant)
		}
		slices.Sort(found)
		if got := strings.Join(found, ","); got != "a1,a2,in memory" {
			t.Errorf("found %s", got)
		}
		for range s.All(ctx) {
			break
		}
	})
}

func TestNoneAndShared(t *testing.T) {
	if _, err := cache.None.Create(ctx, entry("k", "", 0)); !errors.Is(err, storage.ErrTooLarge) {
		t.Error(err)
	}
	if found, err := cache.None.Lookup(ctx, "k"); found != nil || err != nil || cache.None.MaximumBody() != 0 {
		t.Error(found, err)
	}
	e := entry("k", "", 0)
	if _, err := cache.None.Open(ctx, e, 0); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if err := cache.None.Update(ctx, e, e); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if err := cache.None.Remove(ctx, "k", nil); err != nil {
		t.Error(err)
	}
	shared := cache.Shared()
	if shared != cache.Shared() || shared.MemoryCapacity() != 4<<20 || shared.DiskCapacity() != 20<<20 || shared.Directory() != "" {
		t.Error("the shared store is another")
	}
	if shared.MaximumBody() != 4<<20/20 {
		t.Error("it is not in memory")
	}
	folder := t.TempDir()
	shared.SetDirectory(folder)
	defer shared.SetDirectory("")
	if shared.MaximumBody() != 1<<20 || shared.Directory() != folder {
		t.Error("it is not on the disk")
	}
}
