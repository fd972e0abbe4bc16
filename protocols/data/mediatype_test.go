package data

import "testing"

func TestMediaType(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"text/html", "text/html"},
		{" TEXT/Html ; Charset=\"GBK\" ", "text/html;charset=GBK"},
		{"a/b;c;=d;e=;f=g;F=h", "a/b;f=g"},
		{`a/b;c="`, `a/b;c=""`},
		{`a/b;c="\`, `a/b;c="\\"`},
		{`a/b;c="d"e;f=g`, `a/b;c=d;f=g`},
		{"a/b;c=d\x01;e=†;f=ÿ", `a/b;f="ÿ"`},
		{"", ""},
		{"/", ""},
		{"a", ""},
		{"a/", ""},
		{"/b", ""},
		{"a/b/c", ""},
		{"a/b c", ""},
		{";a=b", ""},
	} {
		m, ok := parseMediaType(c.in)
		if ok != (c.want != "") || ok && m.String() != c.want {
			t.Errorf("%q: %q, %t; want %q", c.in, m, ok, c.want)
		}
	}
}

// FuzzMediaType holds that what is serialised is parsed as what it was.
func FuzzMediaType(f *testing.F) {
	for _, s := range []string{"text/html;charset=utf-8", `a/b;c="\";d"; e=f`, "a/b;;c", "\t/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m, ok := parseMediaType(s)
		if !ok {
			return
		}
		again, ok := parseMediaType(m.String())
		if !ok || again.String() != m.String() {
			t.Errorf("%q gives %q, which gives %q, %t", s, m, again, ok)
		}
	})
}
