package publish

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/protocols"
)

// otherFileSystem gives a folder that no file of this one can be renamed into.
func otherFileSystem(t *testing.T, folder string) string {
	t.Helper()
	leak.CheckFiles(t)
	other, err := os.MkdirTemp("/dev/shm", "publish")
	if err != nil {
		t.Skip("there is no second file system to write to: ", err)
	}
	t.Cleanup(func() {
		nothingLeft(t, other)
		if err := os.RemoveAll(other); err != nil {
			t.Error(err)
		}
	})
	from, to := filepath.Join(folder, "probe"), filepath.Join(other, "probe")
	if err := os.WriteFile(from, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(from, to); err == nil {
		_ = os.Remove(to)
		t.Skip("/dev/shm and the folder of temporary files are of one file system")
	}
	if err := os.Remove(from); err != nil {
		t.Fatal(err)
	}

	return other
}

// read gives the content of what Open opens.
func read(t *testing.T, f *File) string {
	t.Helper()
	r, err := f.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}

	return string(text)
}

func TestTemporary(t *testing.T) {
	folder := newFolder(t)
	f := made(t, "text")(Temporary(folder))
	if filepath.Dir(f.Name()) != folder || read(t, f) != "text" {
		t.Errorf("%s holds %q", f.Name(), read(t, f))
	}
	if err := errors.Join(f.Close(), f.Close()); err != nil || read(t, f) != "text" {
		t.Errorf("closed: %v, and holds %q", err, read(t, f))
	}
	if _, err := f.Write([]byte("x")); !errors.Is(err, protocols.CannotWriteToFile) {
		t.Errorf("written afterwards: %v", err)
	}
	if _, err := f.Publish(t.Context()); !errors.Is(err, protocols.CannotMoveFile) {
		t.Errorf("published under no name: %v", err)
	}
	holds(t, folder)

	f = made(t, "")(Temporary(""))
	name := f.Name()
	if filepath.Dir(name) != filepath.Clean(os.TempDir()) {
		t.Errorf("made %s, and the folder is %s", name, os.TempDir())
	}
	f.Discard()
	if _, err := os.Lstat(name); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is left: %v", name, err)
	}
}

func TestMoveTo(t *testing.T) {
	temporary, folder := newFolder(t), newFolder(t, "old")
	for _, name := range []string{"new", "old"} {
		f := made(t, "text")(Temporary(temporary))
		if err := f.MoveTo(filepath.Join(folder, name)); err != nil {
			t.Fatal(err)
		}
		holds(t, temporary)
		if f.Name() != "" {
			t.Errorf("Name %q", f.Name())
		}
		f.Discard()
		if err := f.MoveTo(filepath.Join(folder, "again")); !errors.Is(err, protocols.CannotMoveFile) {
			t.Errorf("moved again: %v", err)
		}
	}
	holds(t, folder, "new", "text", "old", "text")

	// A file that has a name may get another.
	f := made(t, "third")(Beside(filepath.Join(temporary, "file")))
	if err := f.MoveTo(filepath.Join(folder, "old")); err != nil {
		t.Fatal(err)
	}
	holds(t, temporary)
	holds(t, folder, "new", "text", "old", "third")
}

func TestMoveToOtherFileSystem(t *testing.T) {
	temporary := newFolder(t)
	folder := otherFileSystem(t, temporary)
	text := string(make([]byte, 3*copyBuffer+1)) + "end"
	for range 2 {
		f := made(t, text)(Temporary(temporary))
		if err := f.MoveTo(filepath.Join(folder, "file")); err != nil {
			t.Fatal(err)
		}
		holds(t, folder, "file", text)
		holds(t, temporary)
	}
}

// TestMoveToFails takes the target away after it was looked at.
func TestMoveToFails(t *testing.T) {
	temporary, folder := newFolder(t), newFolder(t)
	name := filepath.Join(folder, "file")
	f := made(t, "text")(Temporary(temporary))
	path := f.Name()
	to := made(t, "")(Beside(name))
	if err := os.Mkdir(name, 0o700); err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.closedOver(to); !errors.Is(err, protocols.CannotMoveFile) {
		t.Errorf("moved over a folder: %v", err)
	}
	to.Discard()
	after, err := os.Stat(path)
	if err != nil || f.Name() != path || after.Mode() != before.Mode() || read(t, f) != "text" {
		t.Errorf("%s is now %v, %v", path, after, err)
	}
	if err := f.MoveTo(filepath.Join(folder, "other")); err != nil {
		t.Error(err)
	}
	holds(t, temporary)

	gone := made(t, "text")(Temporary(temporary))
	if err := errors.Join(gone.Close(), os.Remove(gone.Name())); err != nil {
		t.Fatal(err)
	}
	if err := gone.MoveTo(filepath.Join(folder, "gone")); !errors.Is(err, protocols.CannotMoveFile) || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("moved what is gone: %v", err)
	}
	if _, err := os.Lstat(filepath.Join(folder, "gone")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file of nothing: %v", err)
	}
}
