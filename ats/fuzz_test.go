package ats

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzHost feeds any key and any host: no panic, one answer however the host is written,
// and a key that compiles answers for itself.
func FuzzHost(f *testing.F) {
	for _, seed := range [][2]string{
		{"example.com", "a.example.com"},
		{"*.a", "b.a"},
		{"a:443", "a"},
		{"10/8", "10.1.2.3"},
		{"2001:db8/32", "[2001:DB8::1%25eth0]"},
		{"bücher.example", "XN--BCHER-KVA.example"},
		{"::ffff:0:0/96", "::ffff:127.0.0.1"},
		{"a.", "2130706433"},
		{"fe80::1%1", "0x7f.1"},
		{"", ""},
		{".", "."},
		{"[::1]", "::1"},
		{"１.2.3.4", "1。2.3.4"},
		{"1.2.3.4/0", "\xff"},
		{"/", "]["},
		{"a/-1", "xn--a"},
	} {
		f.Add(seed[0], seed[1])
	}

	f.Fuzz(func(t *testing.T, key, text string) {
		h := parseHost(text)
		if h.problem == "" {
			if again := parseHost(h.String()); again != h {
				t.Fatalf("%q folds to %q, and that to %q (%s)", text, h, again, again.problem)
			}

			if upper := strings.ToUpper(text); isASCII(text) && parseHost(upper) != h {
				t.Fatalf("%q is another host in upper case", text)
			}
		}

		closed := mustCompile(t, Policy{AllowsLocalNetworking: No})
		if closed.Gate(Load{Host: text}) == nil {
			t.Fatalf("%q passes the closed gate", text)
		}

		p := Policy{AllowsLocalNetworking: No, ExceptionDomains: map[string]Exception{key: {AllowsInsecureHTTPLoads: true}}}

		r, err := p.compile(nil)
		if err != nil {
			return
		}

		if allowed(t, r, Load{Host: text}) && h.problem != "" {
			t.Fatalf("%q passes by the key %q", text, key)
		}

		if own, _, _ := strings.Cut(key, "/"); !strings.Contains(key, "/") && r.Gate(Load{Host: own}) != nil {
			t.Fatalf("the key %q does not answer for itself", key)
		}
	})
}

func isASCII(s string) bool { return len(s) == utf8.RuneCountInString(s) && utf8.ValidString(s) }
