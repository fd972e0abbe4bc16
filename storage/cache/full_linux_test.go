package cache_test

import (
	"bytes"
	"errors"
	"fmt"
	"syscall"
	"testing"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/storage/cache"
)

// tmpfs makes a small file system.
func tmpfs(t *testing.T, options string) string {
	t.Helper()
	folder := t.TempDir()
	if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, options); err != nil {
		t.Skip("only root can make a small file system: ", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(folder, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})

	return folder
}

// TestDiskFull stores more than there is room on the disk: what is not stored is an
// error, leaves nothing behind, and harms nothing that is.
func TestDiskFull(t *testing.T) {
	leak.CheckFiles(t)
	for _, options := range []string{"size=512k", "nr_inodes=60"} {
		folder := tmpfs(t, options)
		s := cache.New(cache.Config{MemoryCapacity: 1 << 10, DiskCapacity: 100 << 20, Directory: folder})
		stored, failed := 0, 0
		for i := range 40 {
			n := 1000 + i%2*99_000
			e, err := store(s, entry(fmt.Sprint(i), "", int64(n)), text(n, i))
			switch {
			case err == nil:
				stored++
				if err := s.Update(ctx, e, entry(e.Key, "", int64(n))); err != nil && !errors.Is(err, syscall.ENOSPC) {
					t.Errorf("%s: updated, %v", options, err)
				}
			case errors.Is(err, syscall.ENOSPC):
				failed++
			default:
				t.Errorf("%s: %v", options, err)
			}
			if found := lookup(t, s, fmt.Sprint(i)); (len(found) == 1) != (err == nil) {
				t.Errorf("%s: %v, and found are %d", options, err, len(found))
			} else if err == nil && !bytes.Equal(read(t, s, found[0], 0), text(n, i)) {
				t.Errorf("%s: %d has other bytes", options, i)
			}
		}
		if stored == 0 || failed == 0 {
			t.Errorf("%s: %d stored, %d not", options, stored, failed)
		}
		heads, bodies := files(t, folder, ".head"), files(t, folder, ".body")
		if len(heads) != stored || len(files(t, folder, "")) != len(heads)+len(bodies) || len(bodies) > stored {
			t.Errorf("%s: %d heads and %d bodies of %d responses, %d files", options, len(heads), len(bodies), stored, len(files(t, folder, "")))
		}
		if err := s.RemoveAll(ctx); err != nil || len(files(t, folder, "")) != 0 {
			t.Errorf("%s: emptied, %v", options, err)
		}
		if _, err := store(s, entry("k", "", 1000), text(1000, 1)); err != nil {
			t.Errorf("%s: afterwards: %v", options, err)
		}
	}
}

// TestReadOnly makes the disk read-only while a store uses it.
func TestReadOnly(t *testing.T) {
	leak.CheckFiles(t)
	folder := tmpfs(t, "size=8m")
	s := cache.New(cache.Config{DiskCapacity: 2 << 20, Directory: folder})
	e := put(t, s, entry("k", "", 100_000), text(100_000, 1))
	w, err := s.Create(ctx, entry("other", "", 100))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	if _, err := w.Write(text(100, 1)); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("", folder, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Commit(ctx); !errors.Is(err, syscall.EROFS) {
		t.Errorf("committed: %v", err)
	}
	for _, n := range []int{10, 100_000} {
		if _, err := store(s, entry("new", "", int64(n)), text(n, 1)); !errors.Is(err, syscall.EROFS) {
			t.Errorf("stored: %v", err)
		}
	}
	for name, err := range map[string]error{
		"update": s.Update(ctx, e, entry("k", "", 100_000)), "remove": s.Remove(ctx, "k", nil),
		"empty": s.RemoveAll(ctx), "capacity": s.SetDiskCapacity(1000),
	} {
		if !errors.Is(err, syscall.EROFS) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, s := range []*cache.Store{s, cache.New(onDisk(folder))} {
		if found := lookup(t, s, "k"); len(found) != 1 || !bytes.Equal(read(t, s, found[0], 0), text(100_000, 1)) {
			t.Error("what is stored is not served any more")
		}
	}
}
