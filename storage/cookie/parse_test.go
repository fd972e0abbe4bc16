package cookie

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/urlkit/urlkit/storage"
)

func TestParse(t *testing.T) {
	long := strings.Repeat("x", maxPair)
	for _, row := range []struct {
		line string
		want string // name=value; "" refused
	}{
		{"a=b", "a=b"},
		{" a\t=  b c \t; Secure", "a=b c"},
		{"a=", "a="},
		{"a=b=c", "a=b=c"},
		{`a="b;c"`, `a="b`},
		{`a={"k":[1,2]}`, `a={"k":[1,2]}`},
		{"a=ü", "a=ü"},
		{"a=1, b=2", "a=1, b=2"},
		{"name with blanks=1", "name with blanks=1"},
		{"", ""},
		{";", ""},
		{"=b", ""},
		{"  =b", ""},
		{"novalue", ""},
		{"novalue; a=b", ""},
		{"a=b\r\nX: y", ""},
		{"a=b\x00", ""},
		{"a=b; Path=/\x7f", ""},
		{"a=" + long[:maxPair-1], "a=" + long[:maxPair-1]},
		{"a=" + long, ""},
		{long + "=", long + "="},
	} {
		c, ok := parse(row.line, start)
		if got := c.name + "=" + c.value; ok != (row.want != "") || ok && got != row.want {
			t.Errorf("parse(%.40q) = %.40q, %v; want %.40q", row.line, got, ok, row.want)
		}
	}
}

func TestParseAttributes(t *testing.T) {
	c, ok := parse("a=b ; DOMAIN = .x.test ; path =\t/p;;secure;HttpOnly=1; samesite=STRICT;Partitioned; max-age = 9 ; Unknown=1;=", start)
	want := cookie{
		name: "a", value: "b", domain: ".x.test", path: "/p", secure: true, httpOnly: true,
		sameSite: http.SameSiteStrictMode, partitioned: true, expires: start.Add(9 * time.Second),
	}
	if !ok || c != want {
		t.Errorf("got %+v, want %+v", c, want)
	}
	c, _ = parse("a=b; Path=/1; Path=/2; Path=/"+strings.Repeat("x", maxAttribute), start)
	if c.path != "/2" {
		t.Errorf("path %.20q: the last that is not too long counts", c.path)
	}
}

func TestParseDate(t *testing.T) {
	const want = "1994-11-06T08:49:37Z"
	for s, want := range map[string]string{
		"Sun, 06 Nov 1994 08:49:37 GMT":   want,
		"Sunday, 06-Nov-94 08:49:37 GMT":  want,
		"Sun Nov  6 08:49:37 1994":        want,
		"06-nov-1994 8:49:37":             want,
		"1994 November 6th 08:49:37x":     want,
		"08:49:37 6 Nov 94":               want,
		"Sun, 06 Nov 2069 08:49:37 GMT":   "2069-11-06T08:49:37Z",
		"06 Nov 69 08:49:37":              "2069-11-06T08:49:37Z",
		"06 Nov 70 08:49:37":              "1970-11-06T08:49:37Z",
		"29 Feb 2028 00:00:00":            "2028-02-29T00:00:00Z",
		"29 Feb 2027 00:00:00":            "",
		"31 Apr 2027 00:00:00":            "",
		"0 Apr 2027 00:00:00":             "",
		"06 Nov 1600 08:49:37":            "",
		"06 Nov 1994 24:00:00":            "",
		"06 Nov 1994 08:60:00":            "",
		"06 Nov 1994 08:49:60":            "",
		"06 Nov 1994 08:49":               "",
		"06 Nov 1994 008:49:37":           "",
		"06 Nov 1994 -8:49:37":            want,
		"06 Nov 19945 08:49:37":           "",
		"006 Nov 1994 08:49:37":           "",
		"06 anf 1994 08:49:37":            "",
		"Nov 1994 08:49:37":               "",
		"06 1994 08:49:37":                "",
		"06 Nov 08:49:37":                 "",
		"":                                "",
		"::":                              "",
		strings.Repeat("1:", 1000) + " 6": "",
	} {
		got, ok := parseDate(s)
		if text := got.Format(time.RFC3339); ok != (want != "") || ok && text != want {
			t.Errorf("parseDate(%.40q) = %s, %v; want %q", s, text, ok, want)
		}
	}
}

// FuzzSetCookie stores what it is given, and looks at what would be sent.
func FuzzSetCookie(f *testing.F) {
	for _, seed := range []string{
		"a=b", "a=b; Path=/; Domain=example.org; Secure; HttpOnly; SameSite=Lax", "__Host-a=b; Secure; Path=/",
		"a=b; Expires=Sun, 06 Nov 2094 08:49:37 GMT", "a=b; Max-Age=-1", "a=\"x;y\"", ";;=", "a=b; Domain=..", "a=\xff; domain=\xff",
		"a=b; domain=com", "a=b; domain=.", "a=b\r\nc=d",
	} {
		f.Add(seed, "https://www.example.org/p/q", seed)
	}
	seeds := setCookieSeeds(100)
	for i, seed := range seeds[1:] {
		f.Add(seed, "https://www.example.org/p/q", seeds[i])
	}
	f.Fuzz(func(t *testing.T, line, rawURL, second string) {
		u, err := url.Parse(rawURL)
		if err != nil {
			return
		}
		s, _ := at()
		q := &storage.CookieQuery{URL: u}
		s.StoreCookies(q, []string{line, second})
		header := s.CookieHeader(q)
		if hasControl(header) {
			t.Errorf("header %q holds a control character", header)
		}
		if n := strings.Count(header, "; "); n > 1 {
			t.Errorf("two lines became %d cookies: %q", n+1, header)
		}
		for _, c := range s.All() {
			if c.Path == "" || c.Path[0] != '/' || c.Domain == "" || c.Name == "" || len(c.Name)+len(c.Value) > maxPair {
				t.Errorf("stored %+v", c)
			}
			if !c.Expires.IsZero() && (!c.Expires.After(start) || c.Expires.After(start.Add(maxLifetime))) {
				t.Errorf("stored until %v", c.Expires)
			}
		}
		if n := s.size.Load(); int(n) != len(s.All()) {
			t.Errorf("the count is %d for %d cookies", n, len(s.All()))
		}
	})
}
