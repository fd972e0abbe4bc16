package ats

import (
	"strings"
	"testing"
)

func TestWhatIsLocal(t *testing.T) {
	r := mustCompile(t, Policy{}, "192.0.2.0/24", "2001:db8:1::/64")
	wide := mustCompile(t, Policy{TreatsPrivateNetworksAsLocal: true})

	for _, row := range []struct {
		rules *Rules
		local []string
		not   []string
	}{
		{
			r,
			[]string{
				"printer", "PRINTER", "beef", "x_y", "localhost", "LocalHost", "localhost.", "a.b.localhost", "a.localhost.",
				"nas.local", "NAS.LOCAL", "nas.local.", "a.b.local", "bücher.local", "bücher", "127.0.0.1", "127.255.0.9",
				"169.254.7.7", "::1", "[::1]", "fe80::1%eth0", "[fe80::1]", "192.0.2.77", "2001:db8:1::5",
			},
			[]string{
				"com.", "printer.", "local.example", "a.mylocal", "x.mylocal.", "localhost.example", "192.0.3.1", "2001:db8:1:1::5",
				"10.0.0.1", "172.16.0.1", "192.168.0.1", "fd00::1", "0.0.0.0", "::", "::ffff:127.0.0.1", "::ffff:192.0.2.77", "224.0.0.1",
			},
		},
		{
			wide,
			[]string{"10.0.0.1", "172.31.255.255", "192.168.0.1", "fd00::1", "127.0.0.1"},
			[]string{"172.32.0.1", "100.64.0.1", "192.0.2.77", "::ffff:10.0.0.1", "203.0.113.1"},
		},
	} {
		for _, host := range row.local {
			if v := row.rules.Explain(Load{Host: host}); v.Rule != LocalNetworking || v.Required {
				t.Errorf("%q is not local: %v", host, v)
			}
		}

		for _, host := range row.not {
			if v := row.rules.Explain(Load{Host: host}); v.Rule == LocalNetworking || !v.Required {
				t.Errorf("%q is local: %v", host, v)
			}
		}
	}
}

func TestFolding(t *testing.T) {
	for in, want := range map[string]string{
		"example.com":              "example.com",
		"EXAMPLE.Com.":             "example.com.",
		"BÜCHER.example":           "xn--bcher-kva.example",
		"XN--BCHER-KVA.example":    "xn--bcher-kva.example",
		"faß.example":              "xn--fa-hia.example",
		"example。com":              "example.com",
		"１２７.０.０.１":                "127.0.0.1",
		"[2001:DB8:0::1]":          "2001:db8::1",
		"fe80::1%eth0":             "fe80::1",
		"::ffff:1.2.3.4":           "::ffff:1.2.3.4",
		"":                         "",
		"a_b.example":              "a_b.example",
		strings.Repeat("a.", 127):  strings.Repeat("a.", 127),
		strings.Repeat("a", 63):    strings.Repeat("a", 63),
		"0xyz":                     "0xyz",
		"1.2.3.4.example":          "1.2.3.4.example",
		"a.0xg":                    "a.0xg",
		"xn--zckzah.xn--zckzah":    "xn--zckzah.xn--zckzah",
		"δοκιμή.example":           "xn--jxalpdlp.example",
		"\u212Aelvin.example":      "kelvin.example", // the Kelvin sign
		"soft\u00ADhyphen.example": "softhyphen.example",
	} {
		h := parseHost(in)
		if h.problem != "" || h.String() != want {
			t.Errorf("%q: %q (%s), want %q", in, h.String(), h.problem, want)
		}
	}
}

// Nothing frees a host that cannot be understood, and its text is not repeated.
func TestMalformedHosts(t *testing.T) {
	r := mustCompile(t, Policy{AllowsArbitraryLoads: true, ExceptionDomains: map[string]Exception{
		"0.0.0.0/0": {AllowsInsecureHTTPLoads: true},
		"com":       {AllowsInsecureHTTPLoads: true, IncludesSubdomains: true},
	}})

	for _, host := range []string{
		"2130706433", "0x7f000001", "0X7F.1", "127.1", "0177.0.0.1", "127.0.0.1.", "1.2.3.4.5", "256.1.1.1", "0x", "0", "a.1", "x.0x1",
		".", "..", ".com", "a..com", "a b.com", "secret@a.com", "a.com:80", "a/b", "a%2e.com", "[a.com]", "[]", "[::1", "::1]", "[[::1]]",
		"1::2::3", "::1:80:", "[127.0.0.1]", "\x00", "a\n.com", "\xff.com", "\ufffd.com", "*.com", "xn--\u00fc.com",
		strings.Repeat("a.", 127) + "a", strings.Repeat("a", 64) + ".com", strings.Repeat("ü", 64) + ".com", strings.Repeat("a", 1<<20),
	} {
		l := Load{Host: host, Media: true, WebContent: true}

		err := r.Gate(l)
		if err == nil {
			t.Errorf("%.40q passed the gate", host)
			continue
		}

		v := r.Explain(l)
		if v.Rule != MalformedHost || v.Host != "" || v.Note == "" || v.Floor != (Floor{}) {
			t.Errorf("%.40q: %+v", host, v)
		}

		if strings.Contains(err.Error(), "secret") || len(err.Error()) > 300 {
			t.Errorf("%.40q: the message repeats the host: %.300s", host, err)
		}
	}
}

func TestAnUnderstoodHostCostsNoAllocation(t *testing.T) {
	entries := map[string]Exception{
		"legacy.example": {AllowsInsecureHTTPLoads: true, IncludesSubdomains: true},
		"203.0.113.0/24": {AllowsInsecureHTTPLoads: true},
		"2001:db8::/32":  {AllowsInsecureHTTPLoads: true},
	}
	r := mustCompile(t, Policy{ExceptionDomains: entries}, "192.0.2.0/24")

	for _, host := range []string{
		"legacy.example", "a.b.legacy.example", "localhost", "nas.local", "127.0.0.1", "203.0.113.7", "192.0.2.9", "[2001:db8::7]", "::1",
	} {
		l := Load{Host: host}
		if n := testing.AllocsPerRun(100, func() {
			if err := r.Gate(l); err != nil {
				t.Fatalf("%s: %v", host, err)
			}
		}); n != 0 {
			t.Errorf("Gate(%s): %v allocations", host, n)
		}
	}

	for _, host := range []string{"example.com", "a.legacy.example", "localhost", "198.51.100.7"} {
		l := Load{Host: host}

		var f Floor
		if n := testing.AllocsPerRun(100, func() { f = r.Floor(l) }); n != 0 {
			t.Errorf("Floor(%s): %v allocations (%v)", host, n, f)
		}
	}
}

// The interfaces that the machine has are read, and loopback's prefix is among them.
func TestOnLinkReadsInterfaces(t *testing.T) {
	for _, link := range onLink() {
		if link.Bits() == 0 || link != link.Masked() {
			t.Errorf("%v is not a prefix to be near by", link)
		}
	}
}
