package cache_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/urlkit/urlkit/storage/cache"
)

// files gives the files of a folder whose names end so, all of them for "".
func files(t testing.TB, folder, suffix string) (found []string) {
	t.Helper()
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(path, suffix) {
			found = append(found, path)
		}

		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}

	return found
}

func logTo(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }

func onDisk(folder string) cache.Config {
	return cache.Config{DiskCapacity: 10 << 20, Directory: folder}
}

func TestNothingIsWrittenUnasked(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "new")
	s := cache.New(onDisk(folder))
	if got := has(t, s, "k"); got != "" {
		t.Error(got)
	}
	if err := errors.Join(s.Flush(ctx), s.RemoveAll(ctx), s.Remove(ctx, "k", nil)); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(folder); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder was made: %v", err)
	}
}

func TestOpenedAgain(t *testing.T) {
	c := onDisk(t.TempDir())
	s := cache.New(c)
	put(t, s, entry("small", "", 100), text(100, 1))
	put(t, s, entry("large", "v", large), text(large, 1))
	e := put(t, s, entry("parts", "", 1000), text(10, 1))
	extend(t, s, e, 500, text(20, 2))
	used := usage(t, s)
	s = cache.New(c)
	if got := usage(t, s); got != used {
		t.Errorf("%d bytes in use, %d before", got, used)
	}
	if found := lookup(t, s, "small"); len(found) != 1 || !bytes.Equal(read(t, s, found[0], 10), text(100, 1)[10:]) {
		t.Errorf("small: %v", found)
	}
	if found := lookup(t, s, "large"); len(found) != 1 || found[0].Variant != "v" || !bytes.Equal(read(t, s, found[0], 70_000), text(large, 1)[70_000:]) {
		t.Errorf("large: %v", found)
	}
	found := lookup(t, s, "parts")
	if fmt.Sprint(found[0].Parts) != "[{0 10} {500 520}]" || !bytes.Equal(read(t, s, found[0], 501), text(20, 2)[1:]) {
		t.Errorf("parts: %v", found[0].Parts)
	}
	if e, err := s.Open(ctx, e, 0); err != nil {
		t.Errorf("an entry from before is not opened: %v", err)
	} else {
		_ = e.Close()
	}
}

func TestModesAndUsage(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "a", "b")
	s := cache.New(onDisk(folder))
	put(t, s, entry("small", "", 100), text(100, 1))
	put(t, s, entry("large", "", large), text(large, 1))
	var size int64
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(0o600)
		if d.IsDir() {
			want = 0o700
		} else {
			size += info.Size()
		}
		if runtime.GOOS != "windows" && info.Mode().Perm() != want {
			t.Errorf("%s has mode %v", path, info.Mode())
		}

		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := usage(t, s); got != size {
		t.Errorf("%d bytes in use, the files have %d", got, size)
	}
	if strings.Contains(strings.Join(files(t, folder, ""), " "), "small") {
		t.Error("a key is in a file's name")
	}
}

func TestRemoveAllFiles(t *testing.T) {
	folder := t.TempDir()
	s := cache.New(onDisk(folder))
	put(t, s, entry("small", "", 100), text(100, 1))
	put(t, s, entry("large", "", large), text(large, 1))
	other := filepath.Join(folder, "notes.txt")
	inside := filepath.Join(filepath.Dir(files(t, folder, ".body")[0]), "other.body")
	for _, name := range []string{other, inside} {
		if err := os.WriteFile(name, []byte("of the user"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w, err := s.Create(ctx, entry("being written", "", large))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	if _, err := w.Write(text(large, 1)); err != nil {
		t.Fatal(err)
	}
	if err := s.RemoveAll(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Commit(ctx); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what was being written is stored: %v", err)
	}
	if got := files(t, folder, ""); len(got) != 2 || !slices.Contains(got, other) || !slices.Contains(got, inside) {
		t.Errorf("left: %q", got)
	}
	if usage(t, s) != 0 || has(t, s, "small", "large") != "" {
		t.Error("something is left")
	}
	put(t, s, entry("small", "", 100), text(100, 2))
	if got := has(t, cache.New(onDisk(folder)), "small"); got != "small" {
		t.Error("nothing is stored afterwards")
	}
}

// TestReplacedFilesGo looks for files that nothing refers to.
func TestReplacedFilesGo(t *testing.T) {
	folder := t.TempDir()
	s := cache.New(onDisk(folder))
	for i := range 3 {
		e := put(t, s, entry("k", "", large), text(100_000, i))
		extend(t, s, e, 200_000, text(1000, i))
		extend(t, s, e, 190_000, text(50_000, i)) // in place of the part before
		extend(t, s, e, 200_000, text(1000, i))   // which is there
		if err := s.Update(ctx, e, entry("k", "", large)); err != nil {
			t.Fatal(err)
		}
	}
	w, err := s.Create(ctx, entry("k", "", large))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(text(100_000, 1)); err != nil {
		t.Fatal(err)
	}
	w.Abort()
	if all := files(t, folder, ""); len(all) != 3 || len(files(t, folder, ".body")) != 2 {
		t.Errorf("files: %q", all)
	}
	if err := s.Remove(ctx, "k", nil); err != nil {
		t.Fatal(err)
	}
	if all := files(t, folder, ""); len(all) != 0 {
		t.Errorf("left: %q", all)
	}
}

func TestFlushWritesUse(t *testing.T) {
	folder := t.TempDir()
	s := cache.New(cache.Config{MemoryCapacity: 1 << 20, DiskCapacity: 10 << 20, Directory: folder})
	e := put(t, s, entry("k", "", 10), text(10, 1))
	read(t, s, e, 0)
	path := files(t, folder, ".head")[0]
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(path, old, old); err != nil {
		t.Fatal(err)
	}
	read(t, s, e, 0) // from memory
	if err := s.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || time.Since(info.ModTime()) > time.Minute {
		t.Errorf("the file says that it was used at %v, %v", info.ModTime(), err)
	}
}

// TestManyEntries opens a folder of thousands, and finds one without listing all.
func TestManyEntries(t *testing.T) {
	const n = 2000
	c := onDisk(t.TempDir())
	s := cache.New(c)
	for i := range n {
		put(t, s, entry(fmt.Sprint(i), "", 10), text(10, i))
	}
	began := time.Now()
	s = cache.New(c)
	if got := has(t, s, "77"); got != "77" {
		t.Error("not found")
	}
	first := time.Since(began)
	used := usage(t, s)
	t.Logf("the first look-up took %v, listing all %v", first, time.Since(began)-first)
	if used < n*10 {
		t.Errorf("%d bytes in use", used)
	}
}
