package file

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/protocols"
)

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

// watched is a body of what r reads; at the end of the test it must have been
// closed as often as it was opened.
func watched(t *testing.T, length int64, r func() io.Reader) *protocols.Body {
	t.Helper()
	var opened, closed atomic.Int32
	t.Cleanup(func() {
		if opened.Load() != closed.Load() {
			t.Errorf("the body was opened %d times and closed %d times", opened.Load(), closed.Load())
		}
	})

	return protocols.FuncBody(length, func(int64) (io.ReadCloser, error) {
		opened.Add(1)
		inner := r()

		return struct {
			io.Reader
			io.Closer
		}{inner, closeFunc(func() error {
			closed.Add(1)
			if c, ok := inner.(io.Closer); ok {
				return c.Close()
			}

			return nil
		})}, nil
	})
}

type closeFunc func() error

func (f closeFunc) Close() error { return f() }

func TestPut(t *testing.T) {
	leak.Check(t)
	leak.CheckFiles(t)
	folder := t.TempDir()
	name := filepath.Join(folder, "file")
	large := strings.Repeat("0123456789abcdef", copyBuffer/16) + "tail" // more than one step
	for _, c := range []struct {
		body    *protocols.Body
		status  int
		content string
	}{
		{watched(t, 5, func() io.Reader { return strings.NewReader("hello") }), 201, "hello"},
		{protocols.StringBody("x"), 204, "x"},
		{watched(t, -1, func() io.Reader { return strings.NewReader(large) }), 204, large},
		{protocols.FileBody(name), 204, large}, // onto itself
		{watched(t, 2, func() io.Reader { return strings.NewReader("longer than it says") }), 204, "lo"},
		{nil, 204, ""},
	} {
		resp, err := load(t.Context(), "put", fileURL(name, false), c.body)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != c.status || resp.Body != protocols.NoBody || resp.KnownLength() != 0 {
			t.Errorf("%+v", resp)
		}
		head, err := load(t.Context(), "HEAD", fileURL(name, false), nil)
		if err != nil || head.Header.Get("ETag") != resp.Header.Get("ETag") {
			t.Errorf("entity tag %q, then %+v, %v", resp.Header.Get("ETag"), head, err)
		}
		holds(t, folder, "file", c.content)
	}
}

func TestPutPermissions(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no permission bits")
	}
	folder := t.TempDir()
	name := filepath.Join(folder, "file")
	mode := func() fs.FileMode {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}

		return info.Mode()
	}
	for _, want := range []fs.FileMode{0, 0o600, 0o666, 0o751} {
		if want != 0 {
			if err := os.Chmod(name, want); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := load(t.Context(), "PUT", fileURL(name, false), protocols.StringBody("x")); err != nil {
			t.Fatal(err)
		}
		if got := mode(); got != want && (want != 0 || got&^0o666 != 0 || got&0o600 != 0o600) {
			t.Errorf("mode %v, want %v", got, want)
		}
	}
	if err := os.Chmod(name, 0o444); err != nil {
		t.Fatal(err)
	}
	_, err := load(t.Context(), "PUT", fileURL(name, false), protocols.StringBody("y"))
	if !errors.Is(err, protocols.CannotWriteToFile) || !errors.Is(err, fs.ErrPermission) {
		t.Errorf("a read-only file: %v", err)
	}
	holds(t, folder, "file", "x")
}

func TestPutRefused(t *testing.T) {
	leak.CheckFiles(t)
	folder := folderOf(t, "file")
	name := filepath.Join(folder, "file")
	never := protocols.FuncBody(-1, func(int64) (io.ReadCloser, error) {
		t.Error("the request's body was opened")

		return nil, fs.ErrInvalid
	})
	put := func(name string, folder bool, header ...string) error {
		_, err := load(t.Context(), "PUT", fileURL(name, folder), never, header...)

		return err
	}
	for field, value := range map[string]string{"Content-Range": "bytes 0-1/9", "If-Match": `"x"`, "If-None-Match": "*"} {
		if err := put(name, false, field, value); !errors.Is(err, protocols.CannotWriteToFile) || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
	if err := put(name, true); !errors.Is(err, protocols.FileIsDirectory) {
		t.Errorf("a URL of a folder: %v", err)
	}
	if err := put(folder, false); !errors.Is(err, protocols.FileIsDirectory) {
		t.Errorf("a folder: %v", err)
	}
	if err := put(filepath.Join(folder, "none", "file"), false); !errors.Is(err, protocols.CannotCreateFile) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("in no folder: %v", err)
	}
	if err := put(filepath.Join(name, "file"), false); !errors.Is(err, protocols.CannotCreateFile) {
		t.Errorf("below a file: %v", err)
	}
	holds(t, folder, "file", "file")
}

func TestPutFollowsNoLink(t *testing.T) {
	folder, elsewhere := folderOf(t, "file"), t.TempDir()
	for link, target := range map[string]string{"link": "file", "broken": "none"} {
		if err := os.Symlink(filepath.Join(folder, target), filepath.Join(elsewhere, link)); err != nil {
			t.Skip("no symbolic link can be made here: ", err)
		}
		_, err := load(t.Context(), "PUT", fileURL(filepath.Join(elsewhere, link), false), protocols.StringBody("new"))
		if !errors.Is(err, protocols.CannotWriteToFile) || !strings.Contains(err.Error(), "link") {
			t.Errorf("%s: %v", link, err)
		}
	}
	holds(t, folder, "file", "file")
	// A link before the last element is followed, as everywhere.
	if err := os.Symlink(folder, filepath.Join(elsewhere, "folder")); err != nil {
		t.Fatal(err)
	}
	_, err := load(t.Context(), "PUT", fileURL(filepath.Join(elsewhere, "folder", "file"), false), protocols.StringBody("new"))
	if err != nil {
		t.Error(err)
	}
	holds(t, folder, "file", "new")
}

func TestPutFails(t *testing.T) {
	leak.Check(t)
	leak.CheckFiles(t)
	folder := folderOf(t, "old")
	broken := errors.New("broken")
	for _, name := range []string{"old", "new"} {
		for what, c := range map[string]struct {
			body *protocols.Body
			want error
		}{
			"short":     {watched(t, 9, func() io.Reader { return strings.NewReader("short") }), io.ErrUnexpectedEOF},
			"broken":    {watched(t, -1, func() io.Reader { return io.MultiReader(strings.NewReader("x"), failing{broken}) }), broken},
			"idle":      {watched(t, -1, func() io.Reader { return failing{} }), io.ErrNoProgress},
			"no file":   {protocols.FileBody(filepath.Join(folder, "none")), fs.ErrNotExist},
			"no reader": {protocols.FuncBody(-1, func(int64) (io.ReadCloser, error) { return nil, broken }), broken},
		} {
			resp, err := load(t.Context(), "PUT", fileURL(filepath.Join(folder, name), false), c.body)
			if resp != nil || !errors.Is(err, c.want) {
				t.Errorf("%s: %v, %v", what, resp, err)
			}
			holds(t, folder, "old", "old")
		}
	}
}

// failing reads nothing, with an error or without.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// TestPutCancelled ends the context while the body's reader blocks: one that
// Close wakes, and one that nothing does.
func TestPutCancelled(t *testing.T) {
	leak.Check(t)
	leak.CheckFiles(t)
	folder := folderOf(t, "old")
	for _, deaf := range []bool{false, true} {
		ctx, cancel := context.WithCancel(t.Context())
		r, w := io.Pipe()
		result := make(chan error, 1)
		body := watched(t, -1, func() io.Reader {
			if deaf {
				return plainReader{r}
			}

			return r
		})
		go func() {
			_, err := load(ctx, "PUT", fileURL(filepath.Join(folder, "old"), false), body)
			result <- err
		}()
		if _, err := w.Write([]byte("half")); err != nil {
			t.Fatal(err)
		}
		cancel()
		if err := <-result; !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
		holds(t, folder, "old", "old")
		_ = w.Close() // the deaf reader ends as well
	}
}

// plainReader hides what a reader can do besides Read.
type plainReader struct{ io.Reader }

// TestPutAtOnce holds that readers of a file that is being replaced see one of
// the contents whole.
func TestPutAtOnce(t *testing.T) {
	leak.Check(t)
	folder := t.TempDir()
	u := fileURL(filepath.Join(folder, "file"), false)
	contents := map[string]bool{}
	var group sync.WaitGroup
	for i := range 8 {
		text := strings.Repeat(string(rune('a'+i)), 1000*(i+1))
		contents[text] = true
		group.Go(func() {
			for range 5 {
				if _, err := load(t.Context(), "PUT", u, protocols.StringBody(text)); err != nil {
					t.Errorf("PUT: %v", err)
				}
				resp, err := load(t.Context(), "GET", u, nil)
				if err != nil {
					t.Errorf("GET: %v", err)

					return
				}
				got, err := io.ReadAll(resp.Body)
				if err = errors.Join(err, resp.Body.Close()); err != nil || len(got) == 0 || len(strings.Trim(string(got), string(got[:1]))) != 0 {
					t.Errorf("a mixture of %d bytes, %v", len(got), err)
				}
			}
		})
	}
	group.Wait()
	text, err := os.ReadFile(filepath.Join(folder, "file"))
	if err != nil || !contents[string(text)] {
		t.Errorf("%d bytes that nobody wrote, %v", len(text), err)
	}
	holds(t, folder, "file", string(text))
}
