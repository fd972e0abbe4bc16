package data

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/urlkit/urlkit/protocols"
)

// get loads a URL as a session would; body is nil where the load failed.
func get(t testing.TB, rawURL string) (resp *protocols.Response, content []byte, err error) {
	t.Helper()
	req, err := protocols.NewRequest(http.MethodGet, rawURL, nil)
	if err != nil {
		return nil, nil, err
	}
	if resp, err = (loader{}).Load(t.Context(), req); err != nil {
		return nil, nil, err
	}
	content, err = io.ReadAll(resp.Body)
	if err == nil {
		err = resp.Body.Close()
	}
	if err != nil {
		t.Fatalf("%q: reading the body: %v", rawURL, err)
	}

	return resp, content, nil
}

func TestLoad(t *testing.T) {
	const fallback = "text/plain;charset=US-ASCII"
	for _, c := range []struct{ url, contentType, mimeType, charset, content string }{
		{"data:,", fallback, "text/plain", "us-ascii", ""},
		{"data:,a%20b", fallback, "text/plain", "us-ascii", "a b"},
		{"DATA:TEXT/Html;Charset=UTF-8,<p>", "text/html;charset=UTF-8", "text/html", "utf-8", "<p>"},
		{"data:image/png;base64,aGk=", "image/png", "image/png", "", "hi"},
		{"data:image/png; BASE64x,a G%20k", "image/png", "image/png", "", "a G k"},
		{"data:image/png;  BASE64 ,a G%20k", "image/png", "image/png", "", "hi"},
		{"data:;base64,aG%0Ak%3D", fallback, "text/plain", "us-ascii", "hi"},
		{"data:text/plain;a=b?c d,%", `text/plain;a="b?c%20d"`, "text/plain", "", "%"},
		{"data:text/plain;a=b ?c,%4", `text/plain;a="b%20?c"`, "text/plain", "", "%4"},
		{"data:text/x;a=b\x7f\xff,\xff", "text/x;a=b%7F%FF", "text/x", "", "\xff"},
		{"data:text/x;a=\"\\\"\\;\",x", `text/x;a="\";"`, "text/x", "", "x"},
		{"data:te\nxt/x,a%\t4\r1?b%20#c", "text/x", "text/x", "", "aA?b "},
		{"data://user@[::1]:80/a/../,x/./y/..", fallback, "text/plain", "us-ascii", "x/"},
		{"data:/a/%2E%2e/;base64,aGk", fallback, "text/plain", "us-ascii", "hi"},
		{"data:/a; base64,aGk", fallback, "text/plain", "us-ascii", "aGk"},
	} {
		resp, content, err := get(t, c.url)
		if err != nil {
			t.Errorf("%q: %v", c.url, err)

			continue
		}
		if got := resp.Header.Get("Content-Type"); got != c.contentType || resp.MIMEType != c.mimeType || resp.TextEncodingName != c.charset {
			t.Errorf("%q: type %q, %q, %q; want %q, %q, %q", c.url, got, resp.MIMEType, resp.TextEncodingName, c.contentType, c.mimeType, c.charset)
		}
		if string(content) != c.content || resp.KnownLength() != int64(len(c.content)) {
			t.Errorf("%q: content %q of length %d, want %q", c.url, content, resp.KnownLength(), c.content)
		}
		if resp.StatusCode != 0 {
			t.Errorf("%q: status %d", c.url, resp.StatusCode)
		}
	}
}

func TestMalformed(t *testing.T) {
	for _, u := range []string{
		"data:", "data:text/html", "data:a#b,c", "data:;base64,a", "data:;base64,ab==c", "data:;base64,%",
		"data:;base64,sEcReT!", "data://h:x/,", "data://h:65536/,", "data://:1/,", "data://u@/,", "data://[::1/,",
		"data://[::1]x/,", "data://[fe80::1%25eth0]/,", "data://a b/,", "data:/,a/../b",
	} {
		_, _, err := get(t, u)
		if !errors.Is(err, protocols.BadURL) {
			t.Errorf("%q: error %v, want badURL", u, err)
		} else if strings.Contains(err.Error(), "sEcReT") {
			t.Errorf("%q: the error shows the data: %v", u, err)
		}
	}
}

// TestParsedURL loads URLs that net/url parsed or a program put together.
func TestParsedURL(t *testing.T) {
	parsed := func(s string) *url.URL {
		u, err := url.Parse(s)
		if err != nil {
			t.Fatal(err)
		}

		return u
	}
	for _, c := range []struct {
		url         *url.URL
		contentType string
		content     string
	}{
		{parsed("data:text/x,a%20b?c%20d#e"), "text/x", "a b?c d"},
		{parsed("data:text/x,a?"), "text/x", "a?"},
		{parsed("data://host/text,a%2Cb?c"), "text/plain;charset=US-ASCII", "a,b?c"},
		{parsed("data:/,†"), "text/plain;charset=US-ASCII", "†"},
		{&url.URL{Scheme: "DATA", Opaque: "text/x,a#b"}, "text/x", "a"},
		{&url.URL{Scheme: "data", Path: "/x,a b"}, "text/plain;charset=US-ASCII", "a b"},
	} {
		resp, err := (loader{}).Load(t.Context(), &protocols.Request{URL: c.url})
		if err != nil {
			t.Errorf("%v: %v", c.url, err)

			continue
		}
		content, err := io.ReadAll(resp.Body)
		if err != nil || string(content) != c.content || resp.Header.Get("Content-Type") != c.contentType {
			t.Errorf("%v: %q as %q, error %v; want %q as %q", c.url, content, resp.Header.Get("Content-Type"), err, c.content, c.contentType)
		}
	}
	if _, err := (loader{}).Load(t.Context(), &protocols.Request{}); !errors.Is(err, protocols.BadURL) {
		t.Errorf("no URL: error %v", err)
	}
}

func TestMethods(t *testing.T) {
	load := func(method string) (*protocols.Response, error) {
		req, err := protocols.NewRequest(method, "data:,hello", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Body = protocols.FuncBody(-1, func(int64) (io.ReadCloser, error) {
			t.Errorf("%s: the request's body was opened", method)

			return nil, os.ErrInvalid
		})

		return (loader{}).Load(t.Context(), req)
	}
	for _, method := range []string{"", "get", "GET"} {
		resp, err := load(method)
		if err != nil || resp.Body == protocols.NoBody || resp.ContentLength != 5 {
			t.Errorf("%q: %+v, %v", method, resp, err)
		}
	}
	for _, method := range []string{"HEAD", "head"} {
		resp, err := load(method)
		if err != nil || resp.Body != protocols.NoBody || resp.ContentLength != 5 || resp.MIMEType != "text/plain" {
			t.Errorf("%q: %+v, %v", method, resp, err)
		}
	}
	for _, method := range []string{"PUT", "POST", "DELETE", "OPTIONS", "X"} {
		if _, err := load(method); !errors.Is(err, protocols.UnsupportedURL) {
			t.Errorf("%q: error %v, want unsupportedURL", method, err)
		}
	}
}

func TestBodyEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	req, err := protocols.NewRequest("", "data:,hello", nil)
	if err != nil {
		t.Fatal(err)
	}
	open := func() io.ReadCloser {
		resp, err := (loader{}).Load(ctx, req)
		if err != nil {
			t.Fatal(err)
		}

		return resp.Body
	}
	closed, cut := open(), open()
	if err := errors.Join(closed.Close(), closed.Close()); err != nil {
		t.Errorf("Close: %v", err)
	}
	if n, err := closed.Read(make([]byte, 9)); n != 0 || !errors.Is(err, os.ErrClosed) {
		t.Errorf("Read after Close: %d, %v", n, err)
	}
	if _, err := io.ReadFull(cut, make([]byte, 2)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if n, err := cut.Read(make([]byte, 9)); n != 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("Read after the end of ctx: %d, %v", n, err)
	}
	var sink bytes.Buffer
	if _, err := io.Copy(&sink, cut); sink.Len() != 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("Copy after the end of ctx: %q, %v", sink.String(), err)
	}
	if _, err := (loader{}).Load(ctx, req); !errors.Is(err, context.Canceled) {
		t.Errorf("Load after the end of ctx: %v", err)
	}
}

func TestScheme(t *testing.T) {
	schemes := Schemes()
	if len(schemes) != 1 {
		t.Fatalf("%d schemes", len(schemes))
	}
	s := schemes[0]
	if s.Name != "data" || s.Security != protocols.Local || s.Redirectable || s.New(nil) == nil {
		t.Errorf("scheme %+v", s)
	}
}

// TestAllocations holds that plain data is read where it stands: what a load
// allocates does not depend on it.
func TestAllocations(t *testing.T) {
	for _, size := range []int{1, 1 << 20} {
		req, err := protocols.NewRequest("", "data:text/plain,"+strings.Repeat("x", size), nil)
		if err != nil {
			t.Fatal(err)
		}
		var read int64
		allocs := testing.AllocsPerRun(100, func() {
			resp, err := (loader{}).Load(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			if read, err = io.Copy(io.Discard, resp.Body); err != nil {
				t.Fatal(err)
			}
		})
		if read != int64(size) {
			t.Fatalf("%d bytes read, want %d", read, size)
		}
		// Response, header map and its value, content type, reader, body.
		if allocs > 7 {
			t.Errorf("%d bytes: %v allocations, want at most 7", size, allocs)
		}
	}
}
