package protocols_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"testing/synctest"

	"github.com/urlkit/urlkit/protocols"
)

var png = []byte("\x89PNG\r\n\x1a\n" + strings.Repeat("\x00", 600))

var files = fstest.MapFS{
	"index.html":      {Data: []byte("<p>hello")},
	"dir/a b%.txt":    {Data: []byte("blank and percent")},
	"picture":         {Data: png},
	"short":           {Data: []byte("short text")},
	"empty":           {},
	"empty.json":      {},
	"exact512":        {Data: bytes.Repeat([]byte("x"), 512)},
	"device":          {Data: []byte("of unknown length"), Mode: fs.ModeDevice},
	"dir/sub/z.css":   {Data: []byte("a{}")},
	"unknown.urlkit~": {Data: []byte("<html>")},
}

func TestFS(t *testing.T) {
	p := protocols.FromFS(files)
	tests := []struct{ url, name, mimeType, charset string }{
		{"app:///index.html", "index.html", "text/html", "utf-8"},
		{"app://any.host/index.html?q#f", "index.html", "text/html", "utf-8"},
		{"app:index.html", "index.html", "text/html", "utf-8"},
		{"app:/dir/a%20b%25.txt", "dir/a b%.txt", "text/plain", "utf-8"},
		{"app:dir/a%20b%25.txt", "dir/a b%.txt", "text/plain", "utf-8"},
		{"app:///picture", "picture", "image/png", ""},
		{"app:///short", "short", "text/plain", "utf-8"},
		{"app:///empty", "empty", "text/plain", "utf-8"},
		{"app:///empty.json", "empty.json", "application/json", ""},
		{"app:///exact512", "exact512", "text/plain", "utf-8"},
		{"app:///device", "device", "text/plain", "utf-8"},
		{"app:///unknown.urlkit~", "unknown.urlkit~", "text/html", "utf-8"},
	}
	for _, test := range tests {
		want := string(files[test.name].Data)
		for _, method := range []string{"", "get", "GET", "HEAD"} {
			resp, got, err := fetch(t, p, newRequest(t, method, test.url, nil))
			if err != nil || resp.MIMEType != test.mimeType || resp.TextEncodingName != test.charset {
				t.Errorf("%s %s: %+v, %v", method, test.url, resp, err)
			}
			length := int64(len(want))
			if test.name == "device" {
				length = -1
			}
			if head := method == "HEAD"; head && got != "" || !head && got != want || resp.KnownLength() != length {
				t.Errorf("%s %s: %q of %d", method, test.url, got, resp.KnownLength())
			}
		}
	}
}

func TestFSRefuses(t *testing.T) {
	denied := fsFunc(func(string) (fs.File, error) { return nil, &fs.PathError{Op: "open", Path: "x", Err: fs.ErrPermission} })
	broken := fsFunc(func(string) (fs.File, error) { return nil, errors.New("broken") })
	tests := []struct {
		fsys        fs.FS
		method, url string
		code        protocols.Code
		is          error
	}{
		{files, "GET", "app:///missing", protocols.FileDoesNotExist, fs.ErrNotExist},
		{files, "HEAD", "app:///missing/", protocols.FileDoesNotExist, fs.ErrNotExist},
		{files, "GET", "app:///Index.html", protocols.FileDoesNotExist, fs.ErrNotExist},
		{files, "GET", "app:///", protocols.FileIsDirectory, nil},
		{files, "GET", "app://host", protocols.FileIsDirectory, nil},
		{files, "GET", "app:///dir", protocols.FileIsDirectory, nil},
		{files, "GET", "app:///dir/", protocols.FileIsDirectory, nil},
		{files, "GET", "app:///index.html/", protocols.FileIsDirectory, nil},
		{files, "GET", "app:///../secret", protocols.BadURL, fs.ErrInvalid},
		{files, "GET", "app:///dir/%2e%2e/index.html", protocols.BadURL, fs.ErrInvalid},
		{files, "GET", "app:///dir//sub", protocols.BadURL, fs.ErrInvalid},
		{files, "GET", "app:%zz", protocols.BadURL, url.EscapeError("%zz")},
		{files, "PUT", "app:///index.html", protocols.UnsupportedURL, nil},
		{files, "DELETE", "app:///index.html", protocols.UnsupportedURL, nil},
		{denied, "GET", "app:///x", protocols.NoPermissionsToReadFile, fs.ErrPermission},
		{broken, "GET", "app:///x", protocols.CannotOpenFile, nil},
	}
	for _, test := range tests {
		body := protocols.FuncBody(-1, func(int64) (io.ReadCloser, error) {
			t.Errorf("%s: the request's body was opened", test.url)

			return nil, errors.ErrUnsupported
		})
		resp, err := protocols.FromFS(test.fsys).Load(t.Context(), newRequest(t, test.method, test.url, body))
		if resp != nil || !errors.Is(err, test.code) || test.is != nil && !errors.Is(err, test.is) {
			t.Errorf("%s %s: %v, %v", test.method, test.url, resp, err)
		}
	}
	if _, err := protocols.FromFS(nil).Load(t.Context(), newRequest(t, "GET", "app:///x", nil)); err == nil {
		t.Error("no file system serves")
	}
	if _, err := protocols.FromFS(files).Load(t.Context(), &protocols.Request{}); !errors.Is(err, protocols.UnsupportedURL) {
		t.Errorf("no URL gives %v", err)
	}
}

type fsFunc func(string) (fs.File, error)

func (f fsFunc) Open(name string) (fs.File, error) { return f(name) }

// odd is a file that is not as long as it says, and not safe for a Close during a
// Read.
type odd struct {
	fs.File // for Stat
	read    func(p []byte) (int, error)
	mu      sync.Mutex
	closed  int
}

func (o *odd) Read(p []byte) (int, error) {
	if !o.mu.TryLock() {
		panic("used by two at once")
	}
	defer o.mu.Unlock()

	return o.read(p)
}

func (o *odd) Close() error {
	if !o.mu.TryLock() {
		panic("closed while it is read")
	}
	defer o.mu.Unlock()
	o.closed++

	return nil
}

func oddFile(t *testing.T, name string, read func(p []byte) (int, error)) (protocols.URLProtocol, *odd) {
	t.Helper()
	f, err := files.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	o := &odd{File: f, read: read}

	return protocols.FromFS(fsFunc(func(string) (fs.File, error) { return o, nil })), o
}

func TestFSLength(t *testing.T) {
	errOwn := errors.New("own")
	tests := []struct {
		name, url, content string
		end                error
		want               string
		err                error
	}{
		{"shrunk", "app:///short.txt", "short", io.EOF, "short", io.ErrUnexpectedEOF},
		{"shrunk while it was sniffed", "app:///short", "short", io.EOF, "short", io.ErrUnexpectedEOF},
		{"grown", "app:///short.txt", "short text and more", io.EOF, "short text", nil},
		{"grown while it was sniffed", "app:///short", "short text and more", io.EOF, "short text", nil},
		{"fails", "app:///short.txt", "short", errOwn, "short", errOwn},
	}
	for _, test := range tests {
		rest := strings.NewReader(test.content)
		p, file := oddFile(t, "short", func(p []byte) (int, error) {
			if n, err := rest.Read(p[:min(len(p), 3)]); err == nil {
				return n, nil
			}

			return 0, test.end
		})
		resp, got, err := fetch(t, p, newRequest(t, "GET", test.url, nil))
		if got != test.want || test.err == nil && err != nil || !errors.Is(err, test.err) || resp.ContentLength != 10 || file.closed != 1 {
			t.Errorf("%s: %q, %v, closed %d times", test.name, got, err, file.closed)
		}
	}
	p, file := oddFile(t, "short", func([]byte) (int, error) { return 0, errOwn })
	if _, err := p.Load(t.Context(), newRequest(t, "GET", "app:///short", nil)); !errors.Is(err, errOwn) || file.closed != 1 {
		t.Errorf("a file that cannot be sniffed gives %v, closed %d times", err, file.closed)
	}
}

// Close does not wait for a Read that is stuck in the file system; the file is
// closed when it is done.
func TestFSCloseDuringRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck := make(chan struct{})
		p, file := oddFile(t, "short", func(p []byte) (int, error) { <-stuck; return len(p), nil })
		resp, err := p.Load(t.Context(), newRequest(t, "GET", "app:///short.txt", nil))
		if err != nil {
			t.Fatal(err)
		}
		result := make(chan error)
		go func() { _, err := resp.Body.Read(make([]byte, 4)); result <- err }()
		synctest.Wait()
		if err := errors.Join(resp.Body.Close(), resp.Body.Close()); err != nil || file.closed != 0 {
			t.Errorf("Close gives %v, closed %d times", err, file.closed)
		}
		close(stuck)
		if err := <-result; !errors.Is(err, fs.ErrClosed) || file.closed != 1 {
			t.Errorf("Read gives %v, closed %d times", err, file.closed)
		}
		if _, err := resp.Body.Read(make([]byte, 4)); !errors.Is(err, fs.ErrClosed) {
			t.Errorf("after Close Read gives %v", err)
		}
	})
}

func TestFSCancelled(t *testing.T) {
	errCause := errors.New("the cause")
	ctx, cancel := context.WithCancelCause(t.Context())
	p := protocols.FromFS(files)
	resp, err := p.Load(ctx, newRequest(t, "GET", "app:///picture", nil))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(resp.Body, make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	cancel(errCause)
	if _, err := resp.Body.Read(make([]byte, 4)); !errors.Is(err, context.Canceled) || !errors.Is(err, errCause) {
		t.Errorf("Read gives %v", err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Error(err)
	}
	if _, err := p.Load(ctx, newRequest(t, "GET", "app:///picture", nil)); !errors.Is(err, context.Canceled) {
		t.Errorf("Load gives %v", err)
	}
}

// No URL reaches a file outside, or makes a panic.
func FuzzFS(f *testing.F) {
	for _, raw := range []string{"app:///index.html", "app:../x", "app:///%2e%2e/x", "app:%2f%2fx", "app:///picture/", "app:.", "app://h/./a"} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		req, err := protocols.NewRequest("GET", raw, nil)
		if err != nil {
			return
		}
		checked := fsFunc(func(name string) (fs.File, error) {
			if !fs.ValidPath(name) {
				t.Errorf("%q opens %q", raw, name)
			}

			return files.Open(name)
		})
		if resp, err := protocols.FromFS(checked).Load(t.Context(), req); err == nil {
			_, err = io.ReadAll(resp.Body)
			if err = errors.Join(err, resp.Body.Close()); err != nil {
				t.Errorf("%q: %v", raw, err)
			}
		}
	})
}
