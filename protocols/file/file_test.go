package file

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/protocols"
)

// fileURL is the URL of a local path; a "/" is put at the end for a folder.
func fileURL(name string, folder bool) *url.URL {
	slashed := filepath.ToSlash(name)
	if runtime.GOOS == "windows" {
		slashed = "/" + slashed
	}
	if folder {
		slashed += "/"
	}

	return &url.URL{Scheme: "file", Path: slashed}
}

// write makes a file of that content in a new folder and gives its path.
func write(t testing.TB, name, content string) string {
	t.Helper()
	name = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}

	return name
}

// load loads as a session would. header holds names and values.
func load(ctx context.Context, method string, u *url.URL, body *protocols.Body, header ...string) (*protocols.Response, error) {
	req := &protocols.Request{Method: method, URL: u, Body: body, Header: http.Header{}}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}

	return Schemes(Config{})[0].New(nil).Load(ctx, req)
}

// content reads a response to its end and closes it.
func content(t testing.TB, resp *protocols.Response) string {
	t.Helper()
	p, err := io.ReadAll(resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		t.Fatal(err)
	}
	if length := resp.KnownLength(); length >= 0 && length != int64(len(p)) {
		t.Errorf("%d bytes, %d were promised", len(p), length)
	}

	return string(p)
}

func TestGetAndHead(t *testing.T) {
	leak.CheckFiles(t)
	name := write(t, "a ü%.txt", "hello")
	modified := time.Date(2024, 5, 6, 7, 8, 9, 10, time.UTC)
	if err := os.Chtimes(name, modified, modified); err != nil {
		t.Fatal(err)
	}
	want := http.Header{
		"Accept-Ranges":  {"bytes"},
		"Content-Length": {"5"},
		"Content-Type":   {"text/plain"},
		"Etag":           {`"5-` + strconv.FormatInt(modified.UnixNano(), 16) + `"`},
		"Last-Modified":  {"Mon, 06 May 2024 07:08:09 GMT"},
	}
	u := fileURL(name, false)
	u.Host, u.RawQuery, u.Fragment = "LocalHost", "q", "f"
	for _, method := range []string{"", "get", "GET", "head", "HEAD"} {
		resp, err := load(t.Context(), method, u, nil)
		if err != nil {
			t.Fatal(err)
		}
		for field := range want {
			if resp.Header.Get(field) != want.Get(field) {
				t.Errorf("%s: %s is %q, want %q", method, field, resp.Header.Get(field), want.Get(field))
			}
		}
		if resp.StatusCode != 0 || resp.MIMEType != "text/plain" || resp.TextEncodingName != "" || resp.ContentLength != 5 || len(resp.Header) != len(want) {
			t.Errorf("%s: %+v", method, resp)
		}
		if len(method) == 4 {
			if resp.Body != protocols.NoBody {
				t.Errorf("%s: a body", method)
			}
		} else if got := content(t, resp); got != "hello" {
			t.Errorf("%s: %q", method, got)
		}
	}
	empty, err := load(t.Context(), "GET", fileURL(write(t, "x.html", ""), false), nil)
	if err != nil || empty.Body != protocols.NoBody || empty.KnownLength() != 0 || empty.MIMEType != "text/html" {
		t.Errorf("an empty file: %+v, %v", empty, err)
	}
}

func TestRefused(t *testing.T) {
	leak.CheckFiles(t)
	name := write(t, "file", "x")
	folder := filepath.Dir(name)
	for _, c := range []struct {
		what, method string
		url          *url.URL
		code         protocols.Code
		beneath      error
	}{
		{"missing", "GET", fileURL(name+"x", false), protocols.FileDoesNotExist, fs.ErrNotExist},
		{"missing folder", "GET", fileURL(name+"x", true), protocols.FileDoesNotExist, fs.ErrNotExist},
		{"file as folder", "GET", fileURL(name, true), protocols.FileDoesNotExist, fs.ErrNotExist},
		{"below a file", "HEAD", fileURL(filepath.Join(name, "x"), false), protocols.FileDoesNotExist, fs.ErrNotExist},
		{"folder as file", "GET", fileURL(folder, false), protocols.FileIsDirectory, nil},
		{"folder as file", "HEAD", fileURL(folder, false), protocols.FileIsDirectory, nil},
		{"POST", "POST", fileURL(name, false), protocols.UnsupportedURL, nil},
		{"DELETE", "DELETE", fileURL(name, false), protocols.UnsupportedURL, nil},
		{"host", "GET", &url.URL{Scheme: "file", Host: "host", Path: "/x"}, protocols.BadURL, nil},
		{"no URL", "GET", nil, protocols.BadURL, nil},
	} {
		body := protocols.FuncBody(-1, func(int64) (io.ReadCloser, error) {
			t.Errorf("%s: the request's body was opened", c.what)

			return nil, fs.ErrInvalid
		})
		resp, err := load(t.Context(), c.method, c.url, body)
		if resp != nil || !errors.Is(err, c.code) || c.beneath != nil && !errors.Is(err, c.beneath) {
			t.Errorf("%s: %v, %v; want %v and %v", c.what, resp, err, c.code, c.beneath)
		}
	}
	if content, err := os.ReadFile(name); err != nil || string(content) != "x" {
		t.Errorf("the file is now %q, %v", content, err)
	}
}

func TestNoPermission(t *testing.T) {
	// The mapping, which holds for everybody.
	err := readError(&fs.PathError{Op: "open", Path: "x", Err: fs.ErrPermission})
	if !errors.Is(err, protocols.NoPermissionsToReadFile) || !errors.Is(err, fs.ErrPermission) {
		t.Errorf("error %v", err)
	}
	if err := readError(io.ErrClosedPipe); !errors.Is(err, protocols.CannotOpenFile) {
		t.Errorf("error %v", err)
	}
	name := write(t, "file", "x")
	if err := os.Chmod(name, 0); err != nil {
		t.Fatal(err)
	}
	if f, err := os.Open(name); err == nil {
		_ = f.Close()
		t.Skip("this user may read every file: that a file cannot be read is not tested")
	}
	if _, err := load(t.Context(), "HEAD", fileURL(name, false), nil); !errors.Is(err, protocols.NoPermissionsToReadFile) {
		t.Errorf("error %v", err)
	}
}

func TestMediaType(t *testing.T) {
	const png = "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
	for _, c := range []struct{ name, content, want string }{
		{"a.html", png, "text/html"},
		{"a.PNG", "text", "image/png"},
		{"a.tar.gz", "", "application/gzip"},
		{"a", png, "image/png"},
		{"a.unknown-extension", png, "image/png"},
		{"a", "plain text", "text/plain"},
		{"a", "<!DOCTYPE html><html></html>", "text/html"},
		{"a", "\x00\x01\x02\x03", "application/octet-stream"},
		{"a", "", "text/plain"},
	} {
		resp, err := load(t.Context(), "HEAD", fileURL(write(t, c.name, c.content), false), nil)
		if err != nil || resp.MIMEType != c.want || resp.Header.Get("Content-Type") != c.want {
			t.Errorf("%s with %q: %+v, %v; want %s", c.name, c.content, resp, err, c.want)
		}
	}
}

func TestScheme(t *testing.T) {
	schemes := Schemes(Config{})
	if len(schemes) != 1 {
		t.Fatalf("%d schemes", len(schemes))
	}
	s := schemes[0]
	if s.Name != "file" || s.Security != protocols.Local || s.Redirectable || s.DefaultPort != 0 {
		t.Errorf("scheme %+v", s)
	}
}

// TestMadeUpFile reads a file of the kernel that says it has no bytes.
func TestMadeUpFile(t *testing.T) {
	const name = "/proc/self/status"
	if _, err := os.Stat(name); err != nil {
		t.Skip("there is no ", name)
	}
	leak.CheckFiles(t)
	resp, err := load(t.Context(), "GET", fileURL(name, false), nil, "Range", "bytes=0-3")
	if err != nil {
		t.Fatal(err)
	}
	if resp.ContentLength != -1 || resp.StatusCode != 0 || resp.Header.Get("Content-Length") != "" {
		t.Errorf("%+v", resp)
	}
	if got := content(t, resp); len(got) < 100 || got[:5] != "Name:" {
		t.Errorf("content %q", got)
	}
}
