package cache_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/storage/cache"
)

// change changes one byte of a file, or cuts it off.
func change(t *testing.T, path string, at int64, cut bool) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 1)
	if _, err = f.ReadAt(b, at); err == nil && cut {
		err = f.Truncate(at)
	} else if err == nil {
		b[0]++
		_, err = f.WriteAt(b, at)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestDamaged changes or cuts off a file at each of many places. What is given out
// is right or an error, and the user is told.
func TestDamaged(t *testing.T) {
	leak.CheckFiles(t)
	for _, n := range []int{300, 200_000} {
		for _, suffix := range []string{".head", ".body"} {
			if n == 300 && suffix == ".body" {
				continue // it is in the head
			}
			for _, cut := range []bool{false, true} {
				folder := t.TempDir()
				size, step := int64(1), int64(0)
				for at := int64(0); at < size; at += step {
					var log bytes.Buffer
					c := onDisk(folder)
					c.Logger = logTo(&log)
					body := text(n, n)
					put(t, cache.New(c), entry("k", "", int64(n)), body)
					path := files(t, folder, suffix)[0]
					info, err := os.Stat(path)
					if err != nil {
						t.Fatal(err)
					}
					size = info.Size()
					step = size/40 + 1
					change(t, path, at, cut)
					found := serve(t, cache.New(c), body)
					if found != "damaged" || !strings.Contains(log.String(), "level=WARN") || strings.Contains(log.String(), "example.org") {
						t.Fatalf("%s of %d bytes changed at %d (cut %v): %s, log %q", suffix, n, at, cut, found, log.String())
					}
					if left := files(t, folder, ""); len(left) != 0 {
						t.Fatalf("left: %q", left)
					}
				}
			}
		}
	}
}

// serve reads k: "whole", "damaged" where it is not there or ends in an error; bytes
// that were never stored fail the test.
func serve(t *testing.T, s *cache.Store, body []byte) string {
	t.Helper()
	found, err := s.Lookup(ctx, "k")
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		return "damaged"
	}
	r, err := s.Open(ctx, found[0], 0)
	if err != nil {
		return "damaged"
	}
	defer r.Close()
	got, err := io.ReadAll(r)
	if !bytes.HasPrefix(body, got) || err == nil && len(got) != len(body) {
		t.Fatalf("%d bytes that were never stored", len(got))
	}
	if err != nil {
		return "damaged"
	}

	return "whole"
}

// TestForeignFiles puts into the folder what the store has not made.
func TestForeignFiles(t *testing.T) {
	folder := t.TempDir()
	s := cache.New(onDisk(folder))
	put(t, s, entry("k", "", 100), text(100, 1))
	head := files(t, folder, ".head")[0]
	dir := filepath.Dir(head)
	name := filepath.Base(head)
	fields := strings.SplitN(name, "-", 4)
	absurd := func(rest string) string { // what would overflow
		return fields[0] + "-" + fields[1] + "-" + fields[2] + "-" + rest + ".head"
	}
	var made []string
	for _, n := range []string{
		absurd("7fffffffffffffff-1"), absurd("1-7fffffffffffffff"),
		"x", ".head", "-----.head", strings.ToUpper(name), name + ".head", "0" + name, strings.Replace(name, "-", "--", 1),
		strings.Repeat("0", 200) + ".head", "abc.temp", "abc-.body", "0123456789abcdef-" + strings.Repeat("A", 25) + ".body",
	} {
		path := filepath.Join(dir, n)
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		made = append(made, path)
	}
	if err := os.Mkdir(filepath.Join(dir, "0123456789abcdef-"+strings.Repeat("A", 26)+".body"), 0o700); err != nil {
		t.Fatal(err)
	}
	s = cache.New(onDisk(folder))
	if got := has(t, s, "k"); got != "k" {
		t.Error("the one of the store is not found")
	}
	if err := s.RemoveAll(ctx); err != nil {
		t.Error(err)
	}
	for _, path := range made {
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
}

// TestBodyRemovedByHand leaves a head without its body.
func TestBodyRemovedByHand(t *testing.T) {
	folder := t.TempDir()
	s := cache.New(onDisk(folder))
	e := put(t, s, entry("k", "", large), text(large, 1))
	if err := os.Remove(files(t, folder, ".body")[0]); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Open(ctx, e, 0); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if has(t, s, "k") != "" || len(files(t, folder, "")) != 0 || usage(t, s) != 0 {
		t.Error("the head is still there")
	}
}

// TestFolderVanishes removes the folder while a store uses it.
func TestFolderVanishes(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "cache")
	s := cache.New(onDisk(folder))
	e := put(t, s, entry("k", "", large), text(large, 1))
	w, err := s.Create(ctx, entry("other", "", large))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(text(large, 1)); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(folder); err != nil && runtime.GOOS != "windows" {
		t.Fatal(err)
	}
	if _, err := s.Open(ctx, e, 0); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("opened: %v", err)
	}
	if got := has(t, s, "k"); got != "" {
		t.Error("found")
	}
	// It may be stored or not, but not without its body.
	if e, err := w.Commit(ctx); err == nil {
		if r, err := s.Open(ctx, e, 0); err == nil {
			_ = r.Close()
		}
	}
	put(t, s, entry("k", "", large), text(large, 2))
	if got := read(t, s, lookup(t, s, "k")[0], 0); !bytes.Equal(got, text(large, 2)) {
		t.Error("nothing is stored afterwards")
	}
}

// TestFolderIsNone has a file where the folder should be.
func TestFolderIsNone(t *testing.T) {
	leak.CheckFiles(t)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := cache.New(cache.Config{MemoryCapacity: 1 << 20, DiskCapacity: 10 << 20, Directory: file})
	for _, n := range []int{10, large} {
		w, err := s.Create(ctx, entry("k", "", int64(n)))
		if err != nil {
			t.Fatal(err)
		}
		_, written := w.Write(text(n, 1))
		_, err = w.Commit(ctx)
		if err == nil || n == large && written == nil {
			t.Errorf("%d bytes are stored: %v, %v", n, written, err)
		}
	}
	if _, err := s.Lookup(ctx, "k"); err == nil {
		t.Error("a look-up fails with no error")
	}
	if _, err := s.DiskUsage(); err == nil {
		t.Error("the usage is known")
	}
	only := entry("k", "", 10)
	only.InMemoryOnly = true
	put(t, s, only, text(10, 1))
	if got := read(t, s, lookup(t, s, "k")[0], 0); len(got) != 10 {
		t.Error("memory is not used")
	}
}
