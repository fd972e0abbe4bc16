package publish

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/protocols"
)

// newFolder makes a folder with files of these names, each with its name as
// content. At the end of the test it must hold no temporary file.
func newFolder(t *testing.T, names ...string) string {
	t.Helper()
	leak.CheckFiles(t)
	folder := t.TempDir()
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { nothingLeft(t, folder) })

	return folder
}

func nothingLeft(t *testing.T, folder string) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(folder, ".urlkit-*"))
	if len(left) > 0 || err != nil {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

// holds fails the test if the folder has other files in it than those of these
// names and contents, in turn.
func holds(t *testing.T, folder string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(folder, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, e.Name(), string(text))
	}
	if strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("the folder holds %q, want %q", got, want)
	}
}

// made is a file with that content, of Beside or Temporary.
func made(t *testing.T, text string) func(f *File, err error) *File {
	return func(f *File, err error) *File {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(f.Discard)
		if n, err := io.WriteString(f, text); n != len(text) || err != nil {
			t.Fatalf("%d bytes written, %v", n, err)
		}

		return f
	}
}

func TestPublish(t *testing.T) {
	folder := newFolder(t)
	name := filepath.Join(folder, "file")
	for _, text := range []string{"new", "", "replaced"} {
		_, err := os.Lstat(name)
		f := made(t, text)(Beside(name))
		if f.Replaces() != (err == nil) || filepath.Dir(f.Name()) != folder {
			t.Errorf("%q: Replaces %t, Name %s", text, f.Replaces(), f.Name())
		}
		info, err := f.Publish(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		now, err := os.Stat(name)
		if err != nil || !os.SameFile(info, now) || info.Size() != int64(len(text)) || !info.ModTime().Equal(now.ModTime()) {
			t.Errorf("published %v, and found %v, %v", info, now, err)
		}
		holds(t, folder, "file", text)
		f.Discard()
		f.Discard()
		holds(t, folder, "file", text)
		if f.Name() != "" {
			t.Errorf("Name %q", f.Name())
		}
		if _, err := f.Publish(t.Context()); !errors.Is(err, protocols.CannotMoveFile) {
			t.Errorf("published again: %v", err)
		}
		if _, err := f.Write([]byte("x")); !errors.Is(err, protocols.CannotWriteToFile) || !errors.Is(err, fs.ErrClosed) {
			t.Errorf("written afterwards: %v", err)
		}
	}
}

// TestLarge writes more than one step, in pieces that do not end with it.
func TestLarge(t *testing.T) {
	folder := newFolder(t)
	name := filepath.Join(folder, "file")
	want := bytes.Repeat([]byte("0123456789abcde"), (2*writeBackStep+100)/15)
	f := made(t, "")(Beside(name))
	for rest := want; len(rest) > 0; {
		n := min(1<<20+1, len(rest))
		if _, err := f.Write(rest[:n]); err != nil {
			t.Fatal(err)
		}
		rest = rest[n:]
	}
	if f.begun != 2*writeBackStep {
		t.Errorf("%d bytes of %d are on their way", f.begun, len(want))
	}
	if _, err := f.Publish(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(name); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d other bytes, %v", len(got), err)
	}
}

func TestPublishCancelled(t *testing.T) {
	folder := newFolder(t, "old")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, name := range []string{"old", "new"} {
		f := made(t, "text")(Beside(filepath.Join(folder, name)))
		if _, err := f.Publish(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
		holds(t, folder, "old", "old")
	}
}

func TestDiscard(t *testing.T) {
	folder := newFolder(t, "old")
	for _, f := range []*File{
		made(t, "text")(Beside(filepath.Join(folder, "old"))),
		made(t, "text")(Beside(filepath.Join(folder, "new"))),
		made(t, "text")(Temporary(folder)),
	} {
		f.Discard()
		f.Discard()
		if _, err := f.Publish(t.Context()); !errors.Is(err, protocols.CannotMoveFile) {
			t.Errorf("published afterwards: %v", err)
		}
		if err := f.MoveTo(filepath.Join(folder, "new")); !errors.Is(err, protocols.CannotMoveFile) || !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("moved afterwards: %v", err)
		}
		if _, err := f.Open(); !errors.Is(err, protocols.CannotOpenFile) || !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("opened afterwards: %v", err)
		}
		if err := f.Close(); !errors.Is(err, protocols.CannotWriteToFile) || f.Close() != err {
			t.Errorf("closed afterwards: %v", err)
		}
	}
	holds(t, folder, "old", "old")
}

// TestDiscardWhileWriting is what a PUT does whose reader is deaf.
func TestDiscardWhileWriting(t *testing.T) {
	leak.Check(t)
	folder := newFolder(t)
	f := made(t, "")(Beside(filepath.Join(folder, "file")))
	begun, ended := make(chan struct{}), make(chan error)
	go func() {
		piece := make([]byte, 64<<10)
		_, err := f.Write(piece)
		close(begun)
		for err == nil {
			_, err = f.Write(piece)
		}
		ended <- err
	}()
	<-begun
	f.Discard()
	if err := <-ended; !errors.Is(err, fs.ErrClosed) {
		t.Errorf("the writer ended with %v", err)
	}
	holds(t, folder)
}

func TestRefused(t *testing.T) {
	folder := newFolder(t, "file", "read-only")
	if err := os.Chmod(filepath.Join(folder, "read-only"), 0o444); err != nil {
		t.Fatal(err)
	}
	other := newFolder(t)
	temporary := made(t, "text")(Temporary(other))
	separator := string(filepath.Separator)
	for name, c := range map[string]struct {
		code    protocols.Code
		beneath error
	}{
		folder:                                   {protocols.FileIsDirectory, nil},
		folder + separator:                       {protocols.FileIsDirectory, nil},
		filepath.Join(folder, "new") + separator: {protocols.FileIsDirectory, nil},
		"":                                       {protocols.FileIsDirectory, nil},
		filepath.Join(folder, "none", "file"):    {protocols.CannotCreateFile, fs.ErrNotExist},
		filepath.Join(folder, "file", "x"):       {protocols.CannotCreateFile, nil},
		filepath.Join(folder, "read-only"):       {protocols.CannotWriteToFile, fs.ErrPermission},
	} {
		_, err := Beside(name)
		for what, err := range map[string]error{"Beside": err, "MoveTo": temporary.MoveTo(name)} {
			if !errors.Is(err, c.code) || c.beneath != nil && !errors.Is(err, c.beneath) {
				t.Errorf("%s %q: %v, want %v and %v", what, name, err, c.code, c.beneath)
			}
		}
	}
	if _, err := Temporary(filepath.Join(folder, "none")); !errors.Is(err, protocols.CannotCreateFile) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("in no folder: %v", err)
	}
	holds(t, folder, "file", "file", "read-only", "read-only")
	if err := temporary.MoveTo(filepath.Join(folder, "file")); err != nil {
		t.Errorf("moved after all that: %v", err)
	}
	holds(t, folder, "file", "text", "read-only", "read-only")
	holds(t, other)
}

func TestFollowsNoLink(t *testing.T) {
	folder, elsewhere := newFolder(t, "file"), newFolder(t)
	temporary := made(t, "text")(Temporary(elsewhere))
	for link, target := range map[string]string{"link": "file", "broken": "none"} {
		name := filepath.Join(elsewhere, link)
		if err := os.Symlink(filepath.Join(folder, target), name); err != nil {
			t.Skip("no symbolic link can be made here: ", err)
		}
		_, err := Beside(name)
		for what, err := range map[string]error{"Beside": err, "MoveTo": temporary.MoveTo(name)} {
			if !errors.Is(err, protocols.CannotWriteToFile) || !strings.Contains(err.Error(), "symbolic link") {
				t.Errorf("%s %s: %v", what, link, err)
			}
		}
	}
	holds(t, folder, "file", "file")
}

// TestMovedFolder holds that a file stays in the folder that Beside found.
func TestMovedFolder(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows does not rename a folder that is open")
	}
	parent := newFolder(t)
	folder, moved := filepath.Join(parent, "folder"), filepath.Join(parent, "moved")
	for what, c := range map[string]struct {
		finish func(f *File) error
		want   []string
	}{
		"published": {func(f *File) error {
			_, err := f.Publish(t.Context())

			return err
		}, []string{"file", ""}},
		"discarded": {func(f *File) error {
			f.Discard()

			return nil
		}, nil},
		"a rename finds no folder": {func(f *File) error {
			return made(t, "text")(Temporary(parent)).closedOver(f)
		}, []string{"file", "text"}},
		"a rename finds another folder": {func(f *File) error {
			if err := os.Mkdir(folder, 0o700); err != nil {
				return err
			}
			err := made(t, "text")(Temporary(parent)).closedOver(f)

			return errors.Join(err, os.Remove(folder)) // it is empty again
		}, []string{"file", "text"}},
	} {
		if err := os.Mkdir(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		f := made(t, "")(Beside(filepath.Join(folder, "file")))
		if err := os.Rename(folder, moved); err != nil {
			t.Fatal(err)
		}
		if err := c.finish(f); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		holds(t, moved, c.want...)
		if err := os.RemoveAll(moved); err != nil {
			t.Fatal(err)
		}
	}
}

// closedOver is MoveTo after Beside.
func (f *File) closedOver(to *File) error { return errors.Join(f.Close(), f.moveOver(to)) }

func TestPublishAtOnce(t *testing.T) {
	leak.Check(t)
	folder := newFolder(t)
	temporary := newFolder(t)
	name := filepath.Join(folder, "file")
	contents := map[string]bool{}
	var group sync.WaitGroup
	for i := range 8 {
		text := strings.Repeat(string(rune('a'+i)), 1000*(i+1))
		contents[text] = true
		f := made(t, text)(Beside(name))
		group.Go(func() {
			if _, err := f.Publish(t.Context()); err != nil {
				t.Error(err)
			}
		})
		text = strings.ToUpper(text)
		contents[text] = true
		g := made(t, text)(Temporary(temporary))
		group.Go(func() {
			if err := g.MoveTo(name); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	text, err := os.ReadFile(name)
	if err != nil || !contents[string(text)] {
		t.Errorf("%d bytes that nobody wrote, %v", len(text), err)
	}
	holds(t, folder, "file", string(text))
	holds(t, temporary)
}
