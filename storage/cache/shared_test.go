package cache

import (
	"context"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/urlkit/urlkit/storage"
)

// These tests make files as other stores, or dead processes, leave them.

func keep(t *testing.T, s *Store, key string, n int) *storage.CacheEntry {
	t.Helper()
	w, err := s.Create(context.Background(), &storage.CacheEntry{Key: key, Length: int64(n)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(make([]byte, n)); err != nil {
		t.Fatal(err)
	}
	e, err := w.Commit(context.Background())
	if err != nil {
		t.Fatal(err)
	}

	return e
}

func open(folder string) *Store { return New(Config{DiskCapacity: 20 << 20, Directory: folder}) }

func listing(t *testing.T, folder string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(folder, "*", "*"))
	if err != nil {
		t.Fatal(err)
	}

	return found
}

func bytesOnDisk(t *testing.T, s *Store) int64 {
	t.Helper()
	n, err := s.DiskUsage()
	if err != nil {
		t.Fatal(err)
	}

	return n
}

// TestAbandoned leaves what dead processes leave, more than one listing looks at.
func TestAbandoned(t *testing.T) {
	folder := t.TempDir()
	s := open(folder)
	e := keep(t, s, "k", 100_000)
	_, g, _ := parseID(e.ID)
	before := listing(t, folder)
	old := time.Now().Add(-48 * time.Hour)
	for i := range 40 {
		name := newName(newGeneration(), []string{tempSuffix, bodySuffix}[i%2])
		if i == 2 {
			name = newName(g, tempSuffix)
		}
		path := filepath.Join(filepath.Dir(before[0]), name)
		if err := os.WriteFile(path, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, old, old); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		bytesOnDisk(t, open(folder))
	}
	if left := listing(t, folder); !slices.Equal(left, before) {
		t.Errorf("left: %q", left)
	}
}

// TestWrittenElsewhere lists a folder while another store writes a body.
func TestWrittenElsewhere(t *testing.T) {
	folder := t.TempDir()
	s := open(folder)
	w, err := s.Create(context.Background(), &storage.CacheEntry{Key: "k", Length: 200_000})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for range 2 {
		if _, err := w.Write(make([]byte, 100_000)); err != nil {
			t.Fatal(err)
		}
		if n := bytesOnDisk(t, open(folder)); n != 0 {
			t.Errorf("%d bytes are in use", n)
		}
		if len(listing(t, folder)) != 1 {
			t.Fatal("what is being written was removed")
		}
	}
	if _, err := w.Commit(context.Background()); err != nil {
		t.Fatal(err)
	}
	other := open(folder)
	found, err := other.Lookup(context.Background(), "k")
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	b, err := other.Open(context.Background(), found[0], 0)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if n, err := io.Copy(io.Discard, b); n != 200_000 || err != nil {
		t.Error(n, err)
	}
}

// TestSuperseded has two heads of one response, as a process leaves them that is
// killed between making the new one and removing the old.
func TestSuperseded(t *testing.T) {
	for name, test := range map[string]struct {
		ago  time.Duration
		left int
	}{"just now": {time.Second, 4}, "long ago": {time.Hour, 2}} {
		t.Run(name, func(t *testing.T) {
			folder, elsewhere := t.TempDir(), t.TempDir()
			e := keep(t, open(folder), "k", 100_000)
			keep(t, open(elsewhere), "k", 80_000)
			for _, path := range listing(t, elsewhere) {
				name := filepath.Base(path)
				if h := parseHeadName(name); h != nil {
					name = headName(h.key, h.variant, h.generation, time.Now().Add(-test.ago).UnixNano(), h.size)
				}
				if err := os.Rename(path, filepath.Join(filepath.Dir(listing(t, folder)[0]), name)); err != nil {
					t.Fatal(err)
				}
			}
			for range 2 { // its head goes, and then its body
				s := open(folder)
				s.disk.Load().folder(hashKey("k")).modified = time.Time{}
				bytesOnDisk(t, s)
				found, err := s.Lookup(context.Background(), "k")
				if err != nil || len(found) != 1 || found[0].ID != e.ID {
					t.Errorf("found %v, %v", found, err)
				}
			}
			if left := listing(t, folder); len(left) != test.left {
				t.Errorf("left: %q", left)
			}
			s := open(folder)
			keep(t, s, "k", 10) // takes the place of both, or of the one that is seen
			if left := strings.Join(listing(t, folder), " "); strings.Contains(left, e.ID[24:]) {
				t.Errorf("left: %s", left)
			}
		})
	}
}

// TestUsedElsewhere evicts with regard to what another store used.
func TestUsedElsewhere(t *testing.T) {
	folder := t.TempDir()
	s, other := open(folder), open(folder)
	for _, key := range []string{"a", "b", "c"} {
		keep(t, s, key, 1000)
	}
	total := bytesOnDisk(t, s)
	if err := s.SetDiskCapacity(total); err != nil { // a queue for evictions is made
		t.Fatal(err)
	}
	s.disk.Load().fill()
	found, err := other.Lookup(context.Background(), "a")
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	b, err := other.Open(context.Background(), found[0], 0)
	if err != nil {
		t.Fatal(err)
	}
	_ = b.Close()
	if err := s.SetDiskCapacity(total - 1); err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, key := range []string{"a", "b", "c"} {
		if found, err := s.Lookup(context.Background(), key); err == nil && len(found) == 1 {
			left = append(left, key)
		}
	}
	if got := strings.Join(left, " "); got != "a c" {
		t.Errorf("left: %s", got)
	}
}

// ahead stores "ahead" in the future.
func ahead(t *testing.T, folder string) {
	t.Helper()
	keep(t, open(folder), "ahead", 1000)
	path := listing(t, folder)[0]
	h := parseHeadName(filepath.Base(path))
	future := time.Now().Add(1000 * time.Hour)
	to := filepath.Join(filepath.Dir(path), headName(h.key, h.variant, h.generation, future.UnixNano(), h.size))
	if err := os.Rename(path, to); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(to, future, future); err != nil {
		t.Fatal(err)
	}
}

// TestClockThatWasAhead has a response that claims to be used in the future: it is
// evicted in its turn.
func TestClockThatWasAhead(t *testing.T) {
	folder := t.TempDir()
	ahead(t, folder)
	s := open(folder)
	d := s.disk.Load()
	d.fill() // from now on it counts as used now
	for _, key := range []string{"a", "b"} {
		keep(t, s, key, 1000)
	}
	d.queue = nil
	if err := s.SetDiskCapacity(bytesOnDisk(t, s) - 1); err != nil {
		t.Fatal(err)
	}
	if found, err := s.Lookup(context.Background(), "ahead"); len(found) != 0 || err != nil {
		t.Errorf("found %v, %v", found, err)
	}
}

// TestStoredAhead replaces a response that claims to be stored in the future.
func TestStoredAhead(t *testing.T) {
	folder := t.TempDir()
	ahead(t, folder)
	s := open(folder)
	w, err := s.Create(context.Background(), &storage.CacheEntry{Key: "ahead", Variant: "v", Length: 0})
	if err != nil {
		t.Fatal(err)
	}
	e, err := w.Commit(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*Store{s, open(folder)} {
		if found, err := s.Lookup(context.Background(), "ahead"); err != nil || len(found) != 2 || found[0].ID != e.ID {
			t.Errorf("found %v, %v", found, err)
		}
	}
}

// TestCoarseTimestamps changes a folder so soon after it was listed that its time
// of change is the same.
func TestCoarseTimestamps(t *testing.T) {
	folder := t.TempDir()
	s, other := open(folder), open(folder)
	first := keep(t, s, "k", 10)
	path := filepath.Dir(listing(t, folder)[0])
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	bytesOnDisk(t, other)
	second := keep(t, s, "k", 10)
	if err := os.Chtimes(path, info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	if found, err := other.Lookup(context.Background(), "k"); len(found) != 1 || err != nil || found[0].ID != second.ID || found[0].ID == first.ID {
		t.Errorf("found %v, %v", found, err)
	}
}

// TestExtendedElsewhere has two stores extend one response: no part is lost.
func TestExtendedElsewhere(t *testing.T) {
	folder := t.TempDir()
	stores := []*Store{open(folder), open(folder)}
	e := keep(t, stores[0], "k", 0)
	changed := *e
	changed.Length = 2000
	w, err := stores[0].Create(context.Background(), &changed)
	if err != nil {
		t.Fatal(err)
	}
	if e, err = w.Commit(context.Background()); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i, s := range stores {
		wg.Go(func() {
			for n := range int64(20) {
				w, err := s.Extend(context.Background(), e, (2*n+int64(i))*50)
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = w.Write(make([]byte, 50))
				if _, err := w.Commit(context.Background()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for _, s := range stores {
		if found, err := s.Lookup(context.Background(), "k"); err != nil || len(found) != 1 || !found[0].Whole() {
			t.Errorf("found %v, %v", found, err)
		}
	}
}

// TestCopyOfWhatIsGone comes too late into memory.
func TestCopyOfWhatIsGone(t *testing.T) {
	s := New(Config{MemoryCapacity: 1 << 20, DiskCapacity: 1 << 20, Directory: t.TempDir()})
	keep(t, s, "k", 10)
	d := s.disk.Load()
	heads, err := d.heads(hashKey("k"), 0)
	if err != nil || len(heads) != 1 {
		t.Fatal(heads, err)
	}
	r, err := d.read(heads[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := d.remove(heads[0]); err != nil {
		t.Fatal(err)
	}
	s.memory.copy(r)
	if n := s.MemoryUsage(); n != 0 {
		t.Errorf("%d bytes in memory", n)
	}
}

// TestSameHash gives two keys one hash, by hand: neither is served for the other.
func TestSameHash(t *testing.T) {
	folder := t.TempDir()
	keep(t, open(folder), "k", 10)
	path := listing(t, folder)[0]
	h := parseHeadName(filepath.Base(path))
	h.key = hashKey("other")
	to := filepath.Join(folder, hex.EncodeToString(h.key[:1]), headName(h.key, h.variant, h.generation, h.stored, h.size))
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path, to); err != nil {
		t.Fatal(err)
	}
	if found, err := open(folder).Lookup(context.Background(), "other"); len(found) != 0 || err != nil {
		t.Errorf("found %v, %v", found, err)
	}
}
