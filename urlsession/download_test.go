package urlsession_test

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/urlsession"
)

// nothingLeft fails the test if there is a temporary file of a download.
func nothingLeft(t *testing.T, folders ...string) {
	t.Helper()
	for _, folder := range append(folders, os.TempDir()) {
		left, err := filepath.Glob(filepath.Join(folder, ".urlkit-*"))
		if err != nil || len(left) > 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
	}
}

// downloads are the ways to a file of a given name.
var downloads = []struct {
	name  string
	early bool // a place that cannot be written to costs no request
	load  func(t *testing.T, s *urlsession.Session, req *urlsession.Request, path string) error
}{
	{"Download", true, func(t *testing.T, s *urlsession.Session, req *urlsession.Request, path string) error {
		_, err := s.Download(t.Context(), req, path)

		return err
	}},
	{"SaveTo", true, func(t *testing.T, s *urlsession.Session, req *urlsession.Request, path string) error {
		task := s.DownloadTask(req)
		task.SaveTo = path
		task.Resume()

		return wait(t, task)
	}},
	{"MoveTo", false, func(t *testing.T, s *urlsession.Session, req *urlsession.Request, path string) error {
		task := s.DownloadTask(req)
		if err := task.SetDelegate(&urlsession.Delegate{
			DidFinishDownloading: func(_ *urlsession.DownloadTask, f *urlsession.TemporaryFile) error { return f.MoveTo(path) },
		}); err != nil {
			t.Error(err)
		}
		task.Resume()

		return wait(t, task)
	}},
	{"handler", false, func(t *testing.T, s *urlsession.Session, req *urlsession.Request, path string) (err error) {
		task := s.DownloadTaskWithHandler(req, func(f *urlsession.TemporaryFile, resp *urlsession.Response, failed error) {
			if err = failed; err == nil {
				err = f.MoveTo(path)
			}
			if (f == nil) != (failed != nil) || resp == nil && failed == nil {
				t.Errorf("file %v, response %v, error %v", f, resp, failed)
			}
		})
		task.Resume()
		_ = wait(t, task)

		return err
	}},
}

// eachWay downloads to places made in a new folder, in each way.
func eachWay(t *testing.T, test func(t *testing.T, folder string, early bool, load func(s *urlsession.Session, url, name string) error)) {
	t.Helper()
	for _, way := range downloads {
		t.Run(way.name, func(t *testing.T) {
			leak.Check(t)
			leak.CheckFiles(t)
			t.Setenv("TMPDIR", t.TempDir())
			folder := t.TempDir()
			test(t, folder, way.early, func(s *urlsession.Session, url, name string) error {
				return way.load(t, s, get(t, url), filepath.Join(folder, name))
			})
			nothingLeft(t, folder)
		})
	}
}

func holds(t *testing.T, want string, path ...string) {
	t.Helper()
	if got, err := os.ReadFile(filepath.Join(path...)); err != nil || string(got) != want {
		t.Errorf("%s holds %.40q, %v; want %.40q", filepath.Join(path...), got, err, want)
	}
}

func put(t *testing.T, content string, mode os.FileMode, path ...string) {
	t.Helper()
	name := filepath.Join(path...)
	if err := errors.Join(os.WriteFile(name, []byte(content), 0o600), os.Chmod(name, mode)); err != nil {
		t.Fatal(err)
	}
}

// A download is whole under its name, decoded, and replaces what was there.
func TestDownload(t *testing.T) {
	mux := http.NewServeMux()
	mux.Handle("/", orderOrigin())
	mux.Handle("/coded", coded(encode(t, "gzip", []byte("decoded"))))
	eachWay(t, func(t *testing.T, folder string, _ bool, load func(s *urlsession.Session, url, name string) error) {
		base := serve(t, "h2", mux)
		put(t, "local", 0o600, folder, "source")
		put(t, "an older and longer one", 0o640, folder, "old")
		s := session(t, nil)
		for _, row := range []struct{ url, name, want string }{
			{base + "/plain", "new", "hello"},
			{base + "/plain", "old", "hello"},
			{base + "/nothing", "missing", "404 page not found\n"},
			{base + "/empty", "empty", ""},
			{base + "/redirect", "redirected", "hello"},
			{base + "/coded?coding=gzip", "coded", "decoded"},
			{"file://" + filepath.ToSlash(folder) + "/source", "copy", "local"},
			{"file://" + filepath.ToSlash(folder) + "/source", "source", "local"},
			{"data:;base64,aGk=", "data", "hi"},
		} {
			if err := load(s, row.url, row.name); err != nil {
				t.Errorf("%s: %v", row.name, err)
			}
			holds(t, row.want, folder, row.name)
		}
		info, err := os.Stat(filepath.Join(folder, "old"))
		if err != nil || info.Mode().Perm() != 0o640 && runtime.GOOS != "windows" {
			t.Errorf("the file that replaced another: %v, %v", info.Mode(), err)
		}
	})
}

// A place that must not be written to stays as it is.
func TestDownloadToABadPlace(t *testing.T) {
	for _, row := range []struct {
		name string
		code urlsession.Code
		bad  error // beneath; nil: nothing in particular
		make func(t *testing.T, folder string)
	}{
		{"folder", urlsession.FileIsDirectory, nil, func(t *testing.T, folder string) {
			if err := os.Mkdir(filepath.Join(folder, "folder"), 0o700); err != nil {
				t.Fatal(err)
			}
		}},
		{"link", urlsession.CannotWriteToFile, nil, func(t *testing.T, folder string) { link(t, "target", folder, "link") }},
		{"dangling", urlsession.CannotWriteToFile, nil, func(t *testing.T, folder string) { link(t, "nothing", folder, "dangling") }},
		{"readonly", urlsession.CannotWriteToFile, fs.ErrPermission, func(t *testing.T, folder string) { put(t, "kept", 0o400, folder, "readonly") }},
		{"no/such/folder", urlsession.CannotCreateFile, fs.ErrNotExist, func(*testing.T, string) {}},
		{"target/file", urlsession.CannotCreateFile, nil, func(*testing.T, string) {}},
	} {
		t.Run(strings.ReplaceAll(row.name, "/", "-"), func(t *testing.T) {
			eachWay(t, func(t *testing.T, folder string, early bool, load func(s *urlsession.Session, url, name string) error) {
				var asked atomic.Bool
				base := serve(t, "http/1.1", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					asked.Store(true)
					_, _ = w.Write([]byte("downloaded"))
				}))
				put(t, "target", 0o600, folder, "target")
				row.make(t, folder)
				err := load(session(t, nil), base, row.name)
				if !errors.Is(err, row.code) || row.bad != nil && !errors.Is(err, row.bad) {
					t.Errorf("%v, want %v", err, row.code)
				}
				if early == asked.Load() {
					t.Errorf("asked the server: %v", asked.Load())
				}
				holds(t, "target", folder, "target")
				if row.name == "readonly" {
					holds(t, "kept", folder, row.name)
				}
			})
		})
	}
}

func link(t *testing.T, target string, path ...string) {
	t.Helper()
	if err := os.Symlink(target, filepath.Join(path...)); err != nil {
		t.Skip("links cannot be made here: ", err)
	}
}

// What is not whole is not there, and what was there before stays.
func TestDownloadOfABadBody(t *testing.T) {
	eachWay(t, func(t *testing.T, folder string, _ bool, load func(s *urlsession.Session, url, name string) error) {
		put(t, "old", 0o600, folder, "old")
		s := session(t, func(c *urlsession.Configuration) { c.Protocols = badBodies })
		for path, code := range map[string]urlsession.Code{
			"/short":  urlsession.NetworkConnectionLost,
			"/long":   urlsession.BadServerResponse,
			"/breaks": urlsession.Unknown,
			"/panics": urlsession.Unknown,
			"/coded":  urlsession.DownloadDecodingFailedToComplete, // it is read at once
			"/stream": urlsession.DownloadDecodingFailedMidStream,
		} {
			for _, name := range []string{"old", "new"} {
				err := load(s, "bad://host"+path, name)
				wantCode(t, err, code)
				if coded := path == "/coded" || path == "/stream"; errors.Is(err, urlsession.CannotDecodeRawData) != coded {
					t.Errorf("%s: %v", path, err)
				}
				if _, err := os.Lstat(filepath.Join(folder, "new")); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("%s: there is a new file: %v", path, err)
				}
				holds(t, "old", folder, "old")
			}
		}
	})
}

// A folder is no file to download, nor is a path without a name.
func TestDownloadOfAFolder(t *testing.T) {
	eachWay(t, func(t *testing.T, folder string, _ bool, load func(s *urlsession.Session, url, name string) error) {
		s := session(t, nil)
		for _, url := range []string{"file://" + filepath.ToSlash(folder) + "/", "file://" + filepath.ToSlash(folder), "FILE:///"} {
			wantCode(t, load(s, url, "new"), urlsession.FileIsDirectory)
		}
		wantCode(t, load(s, "file://"+filepath.ToSlash(folder)+"/missing", "new"), urlsession.FileDoesNotExist)
		if _, err := os.Stat(filepath.Join(folder, "new")); !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
	})
	_, err := session(t, nil).Download(t.Context(), get(t, "data:,x"), "")
	wantCode(t, err, urlsession.CannotCreateFile, os.ErrInvalid)
}

// A file that its delegate does not move goes with the call.
func TestDownloadThatNobodyMoves(t *testing.T) {
	leak.Check(t)
	t.Setenv("TMPDIR", t.TempDir())
	var files []*urlsession.TemporaryFile
	look := func(f *urlsession.TemporaryFile) {
		file, err := f.Open()
		if err != nil {
			t.Error(err)

			return
		}
		_ = file.Close()
		holds(t, "hi", f.Path())
		files = append(files, f)
	}
	s := delegated(t, &urlsession.Delegate{
		DidFinishDownloading: func(_ *urlsession.DownloadTask, f *urlsession.TemporaryFile) error {
			look(f)

			return nil
		},
	}, nil)
	alone, none := s.DownloadTask(get(t, "data:,hi")), s.DownloadTask(get(t, "data:,hi"))
	if err := none.SetDelegate(&urlsession.Delegate{}); err != nil {
		t.Error(err)
	}
	handled := s.DownloadTaskWithHandler(get(t, "data:,hi"), func(f *urlsession.TemporaryFile, _ *urlsession.Response, _ error) { look(f) })
	for _, task := range []urlsession.Task{alone, none, handled} {
		task.Resume()
		if err := wait(t, task); err != nil {
			t.Error(err)
		}
	}
	nothingLeft(t)
	for _, f := range files {
		if err := f.MoveTo(filepath.Join(t.TempDir(), "late")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("MoveTo after the call: %v", err)
		}
	}
	if len(files) != 3 {
		t.Errorf("%d files", len(files))
	}
}

// With a SaveTo the file is in its place when the delegate hears of it.
func TestSaveToWithADelegate(t *testing.T) {
	leak.Check(t)
	path := filepath.Join(t.TempDir(), "file")
	var words recorder
	d := words.delegate()
	d.DidFinishDownloading = func(_ *urlsession.DownloadTask, f *urlsession.TemporaryFile) error {
		words.say("downloaded(%v)", f.Path() == path)
		holds(t, "hi", path)

		return nil
	}
	s := delegated(t, d, nil)
	task := s.DownloadTask(get(t, "data:,hi"))
	task.SaveTo = path
	task.Resume()
	if err := wait(t, task); err != nil {
		t.Error(err)
	}
	holds(t, "hi", path)
	if got := words.String(); got != "created written* downloaded(true) metrics(1) complete(nil)" {
		t.Error(got)
	}
}

// A download that is cancelled at any time leaves nothing.
func TestCancelledDownload(t *testing.T) {
	for _, row := range []struct {
		name   string
		cancel func(d *urlsession.Delegate)
	}{
		{"at the first bytes", func(d *urlsession.Delegate) {
			d.DidWriteData = func(task *urlsession.DownloadTask, _, _, _ int64) { task.Cancel() }
		}},
		{"at the last bytes", func(d *urlsession.Delegate) {
			d.DidWriteData = func(task *urlsession.DownloadTask, _, total, expected int64) {
				if total == expected {
					task.Cancel()
				}
			}
		}},
		{"suspended at the last bytes", func(d *urlsession.Delegate) {
			d.DidWriteData = func(task *urlsession.DownloadTask, _, total, expected int64) {
				if total == expected {
					task.Suspend()
					go task.Cancel()
				}
			}
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			leak.Check(t)
			t.Setenv("TMPDIR", t.TempDir())
			folder := t.TempDir()
			base := serve(t, "http/1.1", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Length", "1000000")
				_, _ = w.Write(make([]byte, 1000000))
			}))
			d := &urlsession.Delegate{DidFinishDownloading: func(*urlsession.DownloadTask, *urlsession.TemporaryFile) error {
				t.Error("a cancelled download is whole")

				return nil
			}}
			row.cancel(d)
			s := delegated(t, d, nil)
			for _, path := range []string{"", filepath.Join(folder, "file")} {
				task := s.DownloadTask(get(t, base))
				task.SaveTo = path
				task.Resume()
				wantCode(t, wait(t, task), urlsession.Cancelled, context.Canceled)
			}
			if left, err := os.ReadDir(folder); err != nil || len(left) != 0 {
				t.Errorf("%v, %v", left, err)
			}
			nothingLeft(t)
		})
	}
}

// A folder for temporary files that is not there costs no request.
func TestDownloadWithoutATemporaryFolder(t *testing.T) {
	leak.Check(t)
	t.Setenv("TMPDIR", filepath.Join(t.TempDir(), "missing"))
	var words recorder
	s := delegated(t, words.delegate(), nil)
	task := s.DownloadTask(get(t, "http://127.0.0.1:1/"))
	task.Resume()
	wantCode(t, wait(t, task), urlsession.CannotCreateFile, fs.ErrNotExist)
	if got := words.String(); got != "created metrics(0) complete(-3000)" {
		t.Error(got)
	}
}

// A delegate that moves a download where SaveTo has put it already does no harm; to
// another place it is an error.
func TestMoveToAfterSaveTo(t *testing.T) {
	leak.Check(t)
	base := serve(t, "http/1.1", orderOrigin())
	path := filepath.Join(t.TempDir(), "file")
	for other, code := range map[string]string{"": "nil", ".other": "-3005"} {
		s := delegated(t, &urlsession.Delegate{
			DidFinishDownloading: func(_ *urlsession.DownloadTask, f *urlsession.TemporaryFile) error { return f.MoveTo(path + other) },
		}, nil)
		task := s.DownloadTask(get(t, base+"/plain"))
		task.SaveTo = path
		task.Resume()
		if err := wait(t, task); ending(err) != code {
			t.Errorf("%q: %v", other, err)
		}
	}
}
