package file

import (
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/protocols"
)

const digits = "0123456789"

func TestRange(t *testing.T) {
	leak.CheckFiles(t)
	u := fileURL(write(t, "digits.txt", digits), false)
	for _, c := range []struct {
		ask     string
		status  int
		content string
		about   string
	}{
		{"bytes=0-0", 206, "0", "bytes 0-0/10"},
		{"Bytes=2-4", 206, "234", "bytes 2-4/10"},
		{"bytes= 7- ", 206, "789", "bytes 7-9/10"},
		{"bytes=7-99999999999999999999999", 206, "789", "bytes 7-9/10"},
		{"bytes=-3", 206, "789", "bytes 7-9/10"},
		{"bytes=-99999999999999999999", 206, digits, "bytes 0-9/10"},
		{"bytes=10-", 416, "", "bytes */10"},
		{"bytes=99999999999999999999-", 416, "", "bytes */10"},
		{"bytes=-0", 416, "", "bytes */10"},
		{"bytes=0-1,3-4", 0, digits, ""},
		{"bytes=4-2", 0, digits, ""},
		{"bytes=", 0, digits, ""},
		{"bytes=-", 0, digits, ""},
		{"bytes=a-b", 0, digits, ""},
		{"bytes=+1-2", 0, digits, ""},
		{"bytes=1", 0, digits, ""},
		{"lines=1-2", 0, digits, ""},
		{"", 0, digits, ""},
	} {
		resp, err := load(t.Context(), "GET", u, nil, "Range", c.ask)
		if err != nil {
			t.Errorf("%q: %v", c.ask, err)

			continue
		}
		got := content(t, resp)
		if resp.StatusCode != c.status || got != c.content || resp.Header.Get("Content-Range") != c.about {
			t.Errorf("%q: %d, %q, %q; want %d, %q, %q", c.ask, resp.StatusCode, got, resp.Header.Get("Content-Range"), c.status, c.content, c.about)
		}
		if resp.KnownLength() != int64(len(got)) || resp.Header.Get("Content-Length") != strconv.Itoa(len(got)) {
			t.Errorf("%q: length %d, field %q", c.ask, resp.KnownLength(), resp.Header.Get("Content-Length"))
		}
	}
	resp, err := load(t.Context(), "HEAD", u, nil, "Range", "bytes=0-0")
	if err != nil || resp.StatusCode != 0 || resp.ContentLength != 10 {
		t.Errorf("HEAD: %+v, %v", resp, err)
	}
	resp, err = load(t.Context(), "GET", u, nil, "Range", "bytes=0-0", "Range", "bytes=1-1")
	if err != nil || resp.StatusCode != 0 || content(t, resp) != digits {
		t.Errorf("two fields: %+v, %v", resp, err)
	}
	for ask, status := range map[string]int{"bytes=0-": 416, "bytes=-1": 0, "bytes=-0": 416} {
		resp, err = load(t.Context(), "GET", fileURL(write(t, "empty", ""), false), nil, "Range", ask)
		if err != nil || resp.StatusCode != status || resp.Body != protocols.NoBody {
			t.Errorf("%q of an empty file: %+v, %v", ask, resp, err)
		}
	}
}

func TestIfRange(t *testing.T) {
	name := write(t, "digits.txt", digits)
	u := fileURL(name, false)
	first, err := load(t.Context(), "HEAD", u, nil)
	if err != nil {
		t.Fatal(err)
	}
	part := func(condition string) bool {
		t.Helper()
		resp, err := load(t.Context(), "GET", u, nil, "Range", "bytes=1-1", "If-Range", condition)
		if err != nil {
			t.Fatal(err)
		}
		got := content(t, resp)

		return resp.StatusCode == http.StatusPartialContent && got == "1"
	}
	tag, date := first.Header.Get("ETag"), first.Header.Get("Last-Modified")
	if !part(tag) || !part(date) {
		t.Errorf("%s or %s does not name the file", tag, date)
	}
	if part("W/"+tag) || part(`"x"`) || part("Mon, 06 May 2024 07:08:09 GMT") {
		t.Error("a validator of another file names this one")
	}
	if err := os.WriteFile(name, []byte(digits+"x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if part(tag) {
		t.Errorf("%s still names the file after a change", tag)
	}
}

// FuzzRange holds that a part lies in the file, and is empty only with 416 or in
// an empty file.
func FuzzRange(f *testing.F) {
	for _, s := range []string{"bytes=0-1", "bytes=-5", "bytes=5-", "bytes=0-0,1-1", "bytes=9223372036854775807-", "bytes=--1", "=-"} {
		f.Add(s, int64(10))
	}
	f.Fuzz(func(t *testing.T, s string, size int64) {
		size = max(size, 0)
		status, part := selectRange([]string{s}, size)
		switch status {
		case 0:
			if part != (span{length: size}) {
				t.Fatalf("%q of %d: %v", s, size, part)
			}
		case http.StatusRequestedRangeNotSatisfiable:
			if part != (span{}) {
				t.Fatalf("%q of %d: %v", s, size, part)
			}
		case http.StatusPartialContent:
			if part.first < 0 || part.length <= 0 || part.length > size-part.first || !strings.Contains(s, "-") {
				t.Fatalf("%q of %d: %v", s, size, part)
			}
		default:
			t.Fatalf("%q of %d: status %d", s, size, status)
		}
	})
}
