package file

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/urlkit/urlkit/protocols"
)

func TestLocalPath(t *testing.T) {
	for _, c := range []struct {
		goos, url, want string
		folder          bool
	}{
		{"linux", "file:///a/b", "/a/b", false},
		{"linux", "file:/a", "/a", false},
		{"linux", "FILE://LOCALHOST/a%20b%2fc%25?q#f", "/a b/c%", false},
		{"linux", "file:///", "/", true},
		{"linux", "file:///a//b/", "/a/b", true},
		{"linux", "file:///a/b/.", "/a/b", true},
		{"linux", "file:///../a/%2e%2E", "/", true},
		{"linux", "file:///C:/a", "/C:/a", false},
		{"linux", "file:////server/a", "/server/a", false},
		{"linux", `file:///a%5Cb`, `/a\b`, false},
		{"windows", "file:///C:/a/b.txt", `C:\a\b.txt`, false},
		{"windows", "file:///c:/", `c:\`, true},
		{"windows", "file:///c:", `c:\`, false},
		{"windows", "file:///C:/a%5Cb/", `C:\a\b`, true},
		{"windows", "file:///C:/a/../../C:/b", `C:\b`, false},
	} {
		u, err := url.Parse(c.url)
		if err != nil {
			t.Fatal(err)
		}
		name, folder, err := localPath(u, c.goos)
		if err != nil || name != c.want || folder != c.folder {
			t.Errorf("%s on %s: %q, %t, %v; want %q, %t", c.url, c.goos, name, folder, err, c.want, c.folder)
		}
	}
}

func TestBadPath(t *testing.T) {
	for _, c := range []struct{ goos, url, reason string }{
		{"linux", "file://host/a", `"host"`},
		{"linux", "file://localhost:80/a", `"localhost:80"`},
		{"linux", "file://127.0.0.1/a", `"127.0.0.1"`},
		{"linux", "file://me:secret@localhost/a", "user"},
		{"linux", "file://me:secret@host/a", `"host"`},
		{"linux", "file:a", "absolute"},
		{"linux", "file:", "absolute"},
		{"linux", "file://", "absolute"},
		{"linux", "file:///a%00b", "NUL"},
		{"windows", "file:///a", "drive"},
		{"windows", "file:///", "drive"},
		{"windows", "file:////server/share", "drive"},
		{"windows", "file:///%5C%5C%3F%5CC:/a", "drive"},
		{"windows", "file:///C:a", "drive"},
		{"windows", "file:///C:/a.txt:stream", "colon"},
	} {
		u, err := url.Parse(c.url)
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = localPath(u, c.goos)
		if !errors.Is(err, protocols.BadURL) || !strings.Contains(err.Error(), c.reason) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s on %s: error %v, want badURL because of %s", c.url, c.goos, err, c.reason)
		}
	}
}

// FuzzLocalPath holds that a path that comes out is absolute, without dots and
// doubled separators, and on Windows on a drive of this machine.
func FuzzLocalPath(f *testing.F) {
	for _, s := range []string{"file:///a/../b/", "file://localhost/C:/x%5Cy", "file:/%2e%2e/a//", "file:////s/t", "file:///C:/a:b", "file:///%00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u, err := url.Parse(s)
		if err != nil {
			return
		}
		for goos, separator := range map[string]string{"linux": "/", "windows": `\`} {
			name, _, err := localPath(u, goos)
			if err != nil {
				if !errors.Is(err, protocols.BadURL) || name != "" {
					t.Fatalf("%q on %s: %q, %v", s, goos, name, err)
				}

				continue
			}
			rest := name
			if goos == "windows" {
				if len(name) < 3 || name[1] != ':' || strings.ContainsAny(name[2:], ":/") {
					t.Fatalf("%q on windows: %q", s, name)
				}
				rest = name[2:]
			}
			if !strings.HasPrefix(rest, separator) || strings.Contains(name, "\x00") {
				t.Fatalf("%q on %s: %q", s, goos, name)
			}
			for i, element := range strings.Split(rest[1:], separator) {
				if element == "." || element == ".." || element == "" && (i > 0 || len(rest) > 1) {
					t.Fatalf("%q on %s: %q", s, goos, name)
				}
			}
		}
	})
}
