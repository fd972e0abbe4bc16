package cache_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/storage"
	"github.com/urlkit/urlkit/storage/cache"
)

// TestManyAtOnce has many goroutines use few keys, where there is room for half of
// them, so that what is read is replaced, extended, removed and evicted meanwhile.
func TestManyAtOnce(t *testing.T) {
	leak.Check(t)
	leak.CheckFiles(t)
	for name, c := range map[string]cache.Config{
		"memory": {MemoryCapacity: 5 << 20},
		"both":   {MemoryCapacity: 5 << 20, DiskCapacity: 5 << 20, Directory: t.TempDir()},
	} {
		t.Run(name, func(t *testing.T) {
			s := cache.New(c)
			var wg sync.WaitGroup
			for worker := range 16 {
				wg.Go(func() {
					r := rand.New(rand.NewPCG(2, uint64(worker)))
					for range 40 {
						if err := shareOnce(s, r); err != nil {
							t.Error(err)
						}
						if err := partly(s, r); err != nil {
							t.Error(err)
						}
					}
				})
			}
			wg.Go(func() {
				for i := range 20 {
					s.SetMemoryCapacity(int64(i%2+4) << 20)
					if err := errors.Join(s.SetDiskCapacity(int64(i%2+4)<<20), s.Flush(ctx), s.RemoveSince(ctx, time.Now())); err != nil {
						t.Error(err)
					}
				}
			})
			wg.Wait()
			setCapacity(t, s, 1<<20)
			if got := usage(t, s); got > 1<<20 || s.MemoryUsage() > 1<<20 {
				t.Errorf("%d bytes in use, %d in memory", got, s.MemoryUsage())
			}
			setCapacity(t, s, 0)
			if left := files(t, s.Directory(), ""); s.Directory() != "" && len(left) != 0 {
				t.Errorf("left: %q", left)
			}
		})
	}
}

const wholeLength = 150_000

var whole = sync.OnceValue(func() []byte { return text(wholeLength, 7) })

// partly stores a part of one body, which has the same bytes whenever it is stored,
// and reads what there is.
func partly(s *cache.Store, r *rand.Rand) error {
	const length = wholeLength
	whole := whole()
	key := "part " + strconv.Itoa(r.IntN(3))
	found, err := s.Lookup(ctx, key)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		_, err := store(s, entry(key, "", length), whole[:r.IntN(100)])
		return err
	}
	e := found[0]
	start := r.IntN(length - 1000)
	w, err := s.Extend(ctx, e, int64(start))
	if err != nil {
		return err
	}
	defer w.Abort()
	_, err = w.Write(whole[start : start+r.IntN(1000)])
	if err == nil {
		var extended *storage.CacheEntry
		if extended, err = w.Commit(ctx); err == nil {
			e = extended
		}
	}
	if errors.Is(err, storage.ErrTooLarge) { // too many parts
		return s.Remove(ctx, key, e)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, p := range e.Parts {
		b, err := s.Open(ctx, e, p.Start)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		got, err := io.ReadAll(b)
		_ = b.Close()
		if err != nil || int64(len(got)) < p.End-p.Start || !bytes.Equal(got, whole[p.Start:p.Start+int64(len(got))]) {
			return errors.Join(errors.New("a part has other bytes"), err)
		}
	}

	return nil
}

// TestSameKeyAtOnce creates one response many times at once: one of them is left.
func TestSameKeyAtOnce(t *testing.T) {
	tiers(t, func(t *testing.T, s *cache.Store) {
		var wg sync.WaitGroup
		for i := range 16 {
			wg.Go(func() {
				if _, err := store(s, entry("k", "", -1), body(i*20)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		found := lookup(t, s, "k")
		if len(found) != 1 || !sound(read(t, s, found[0], 0)) {
			t.Errorf("%d are left", len(found))
		}
		if folder := s.Directory(); folder != "" && (len(files(t, folder, ".head")) != 1 || len(files(t, folder, "")) > 2) {
			t.Errorf("files: %q", files(t, folder, ""))
		}
	})
}

// TestLargeBody stores and reads a body that is many times what may be in memory.
func TestLargeBody(t *testing.T) {
	const size, piece = 96 << 20, 256 << 10
	s := cache.New(cache.Config{MemoryCapacity: 1 << 20, DiskCapacity: 20 * size, Directory: t.TempDir()})
	content := text(piece, 1)
	runtime.GC()
	var before, now runtime.MemStats
	runtime.ReadMemStats(&before)
	most := uint64(0)
	look := func() {
		runtime.ReadMemStats(&now)
		most = max(most, now.HeapAlloc)
	}
	w, err := s.Create(ctx, entry("k", "", size))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for i := range size / piece {
		if _, err := w.Write(content); err != nil {
			t.Fatal(err)
		}
		if i%16 == 0 {
			look()
		}
	}
	e, err := w.Commit(ctx)
	if err != nil {
		t.Fatal(err)
	}
	look()
	b, err := s.Open(ctx, e, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	got := make([]byte, piece)
	for i := range size / piece {
		if _, err := io.ReadFull(b, got); err != nil || !bytes.Equal(got, content) {
			t.Fatal("other bytes, ", err)
		}
		if i%16 == 0 {
			look()
		}
	}
	if n, err := b.Read(got); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("behind the end: %d, %v", n, err)
	}
	if most > before.HeapAlloc+(4<<20) {
		t.Errorf("the heap grew by %d bytes", most-before.HeapAlloc)
	}
}
