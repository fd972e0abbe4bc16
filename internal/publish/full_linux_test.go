package publish

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/urlkit/urlkit/protocols"
)

// TestDiskFull writes to a file system of a few pages.
func TestDiskFull(t *testing.T) {
	temporary, folder := newFolder(t), newFolder(t)
	if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, "size=64k"); err != nil {
		t.Skip("only root can make a small file system: ", err)
	}
	t.Cleanup(func() {
		nothingLeft(t, folder)
		if err := syscall.Unmount(folder, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	if err := os.WriteFile(filepath.Join(folder, "old"), []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	text := strings.Repeat("0123456789abcdef", 16<<10)
	for _, name := range []string{"old", "new"} {
		f, err := Beside(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		n, err := f.Write([]byte(text))
		if n == 0 || n >= len(text) || !errors.Is(err, protocols.CannotWriteToFile) || !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%s: %d bytes written, %v", name, n, err)
		}
		f.Discard()
		holds(t, folder, "old", "old")

		g := made(t, text)(Temporary(temporary))
		if err := g.MoveTo(filepath.Join(folder, name)); !errors.Is(err, protocols.CannotMoveFile) || !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%s: moved, %v", name, err)
		}
		holds(t, folder, "old", "old")
		if read(t, g) != text {
			t.Errorf("%s: the file that could not be moved is another", name)
		}
	}
}

// TestDeviceFull needs no root.
func TestDeviceFull(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("there is no device that is always full: ", err)
	}
	f := &File{file: full}
	defer f.Discard()
	n, err := f.Write([]byte("x"))
	if n != 0 || !errors.Is(err, protocols.CannotWriteToFile) || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("%d bytes written, %v", n, err)
	}
}
