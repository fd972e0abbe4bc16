package ats

import (
	"crypto/tls"
	"errors"
	"net/netip"
	"testing"
)

// mustCompile compiles on a host whose interfaces are on the given prefixes.
func mustCompile(t testing.TB, p Policy, links ...string) *Rules {
	t.Helper()

	var prefixes []netip.Prefix
	for _, l := range links {
		prefixes = append(prefixes, netip.MustParsePrefix(l))
	}

	r, err := p.compile(prefixes)
	if err != nil {
		t.Fatalf("Compile: %v", err)
	}

	return r
}

// allowed asks the gate, and checks that Explain and the error's kind agree with it.
func allowed(t testing.TB, r *Rules, l Load) bool {
	t.Helper()

	err := r.Gate(l)
	v := r.Explain(l)

	var refusal *Refusal
	if err != nil && !errors.As(err, &refusal) {
		t.Fatalf("%+v: %T, want *Refusal", l, err)
	}

	if v.Required != (err != nil) || v.Floor != r.Floor(l) || v.Required == v.Floor.AllowsOverride {
		t.Fatalf("%+v: Explain %+v does not agree with Gate %v and Floor %+v", l, v, err, r.Floor(l))
	}

	return err == nil
}

func TestZeroRules(t *testing.T) {
	var r Rules
	for host, want := range map[string]bool{"example.com": false, "localhost": true, "127.0.0.1": true, "203.0.113.1": false, "": false} {
		if got := allowed(t, &r, Load{Host: host}); got != want {
			t.Errorf("%q: allowed %v, want %v", host, got, want)
		}
	}
}

// Each row of globals x hosts names the hosts that are free.
func TestGlobalKeysByHost(t *testing.T) {
	hosts := []string{
		"localhost", "myhost.local", "127.0.0.1", "::1", "fe80::1", // local
		"example.com", "203.0.113.1", "fe00::1", "2001:db8:85a3::8a2e:370:7334",
	}
	const none, local, all = 0, 5, 9

	for name, row := range map[string]struct {
		policy Policy
		load   Load
		free   int // of hosts, from the first
	}{
		"empty":                        {Policy{}, Load{}, local},
		"local no":                     {Policy{AllowsLocalNetworking: No}, Load{}, none},
		"local yes":                    {Policy{AllowsLocalNetworking: Yes}, Load{}, local},
		"arbitrary":                    {Policy{AllowsArbitraryLoads: true}, Load{}, all},
		"arbitrary and local yes":      {Policy{AllowsArbitraryLoads: true, AllowsLocalNetworking: Yes}, Load{}, local},
		"arbitrary and local no":       {Policy{AllowsArbitraryLoads: true, AllowsLocalNetworking: No}, Load{}, none},
		"arbitrary and media yes":      {Policy{AllowsArbitraryLoads: true, AllowsArbitraryLoadsForMedia: Yes}, Load{}, local},
		"arbitrary and media no":       {Policy{AllowsArbitraryLoads: true, AllowsArbitraryLoadsForMedia: No}, Load{}, local},
		"arbitrary and web yes":        {Policy{AllowsArbitraryLoads: true, AllowsArbitraryLoadsInWebContent: Yes}, Load{}, local},
		"arbitrary and web no":         {Policy{AllowsArbitraryLoads: true, AllowsArbitraryLoadsInWebContent: No}, Load{}, local},
		"media yes, media":             {Policy{AllowsArbitraryLoadsForMedia: Yes}, Load{Media: true}, all},
		"media yes, web":               {Policy{AllowsArbitraryLoadsForMedia: Yes}, Load{WebContent: true}, local},
		"media no, media":              {Policy{AllowsArbitraryLoadsForMedia: No}, Load{Media: true}, local},
		"media yes and local no":       {Policy{AllowsArbitraryLoadsForMedia: Yes, AllowsLocalNetworking: No}, Load{Media: true}, all},
		"web yes, web":                 {Policy{AllowsArbitraryLoadsInWebContent: Yes}, Load{WebContent: true}, all},
		"web yes, media":               {Policy{AllowsArbitraryLoadsInWebContent: Yes}, Load{Media: true}, local},
		"arbitrary, media, no key":     {Policy{AllowsArbitraryLoads: true}, Load{Media: true, WebContent: true}, all},
		"no key, media and web":        {Policy{}, Load{Media: true, WebContent: true}, local},
		"arbitrary, media no, a media": {Policy{AllowsArbitraryLoads: true, AllowsArbitraryLoadsForMedia: No}, Load{Media: true}, local},
	} {
		r := mustCompile(t, row.policy)
		for i, host := range hosts {
			l := row.load
			l.Host = host

			free := i < row.free
			if got := allowed(t, r, l); got != free {
				t.Errorf("%s: %s: allowed %v, want %v", name, host, got, free)
			}

			if f := r.Floor(l); f.None != free { // without an entry, what is free has no floor
				t.Errorf("%s: %s: floor %+v, want none: %v", name, host, f, free)
			}
		}
	}
}

func TestSubdomains(t *testing.T) {
	r := mustCompile(t, Policy{ExceptionDomains: map[string]Exception{
		"example.com":                     {AllowsInsecureHTTPLoads: true, IncludesSubdomains: true},
		"subhostname.example.com":         {MinimumTLSVersion: tls.VersionTLS13},
		"another.subhostname.example.com": {MinimumTLSVersion: tls.VersionTLS11},
		"secure.example.com":              {IncludesSubdomains: true},
		"dot.example.":                    {AllowsInsecureHTTPLoads: true, IncludesSubdomains: true},
		"localhost":                       {},
		"printers.local":                  {IncludesSubdomains: true},
	}})

	for _, row := range []struct {
		host string
		free bool
		tls  uint16
	}{
		{"test.another.subhostname.example.com", true, tls.VersionTLS12}, // unflagged ancestors are passed over
		{"another.subhostname.example.com", false, tls.VersionTLS11},
		{"subhostname.example.com", false, tls.VersionTLS13},
		{"example.com", true, tls.VersionTLS12},
		{"EXAMPLE.com", true, tls.VersionTLS12},
		{"a.b.c.d.example.com", true, tls.VersionTLS12},
		{"secure.example.com", false, tls.VersionTLS12},
		{"a.secure.example.com", false, tls.VersionTLS12},
		{"notexample.com", false, tls.VersionTLS12},
		{"com", true, 0},
		{"example.com.", false, tls.VersionTLS12}, // another key
		{"a.dot.example.", true, tls.VersionTLS12},
		{"a.dot.example", false, tls.VersionTLS12},
		{"localhost", false, tls.VersionTLS12}, // an entry beats local networking
		{"localhost.", true, 0},
		{"x.localhost", true, 0},
		{"x.printers.local", false, tls.VersionTLS12},
		{"x.others.local", true, 0},
	} {
		l := Load{Host: row.host}
		if got := allowed(t, r, l); got != row.free {
			t.Errorf("%s: allowed %v, want %v", row.host, got, row.free)
		}

		f := r.Floor(l)
		if f.None != (row.tls == 0) || !f.None && f.minVersion() != row.tls || f.AllowsRSAKeyExchange {
			t.Errorf("%s: floor %+v, want version %#x", row.host, f, row.tls)
		}
	}
}

func TestBlocks(t *testing.T) {
	free, secure := Exception{AllowsInsecureHTTPLoads: true}, Exception{}
	exact := mustCompile(t, Policy{ExceptionDomains: map[string]Exception{
		"198.51.100.0/24": free, "198.51.100.0/27": secure, "198.51.100.1": free, "198.51.100.101": secure,
		"2001:db8::/32": free, "2001:db8::/64": secure, "100/8": free, "2001:db9/32": free, "::ffff:0:0/96": free,
	}})
	halves := mustCompile(t, Policy{ExceptionDomains: map[string]Exception{
		"0.0.0.0/0": free, "0.0.0.0/1": secure, "::/0": free, "::/1": secure,
	}})
	only4 := mustCompile(t, Policy{ExceptionDomains: map[string]Exception{"0.0.0.0/0": free}})

	for _, row := range []struct {
		rules *Rules
		host  string
		free  bool
	}{
		{exact, "198.51.100.1", true},
		{exact, "198.51.100.0", false},
		{exact, "198.51.100.100", true},
		{exact, "198.51.100.255", true},
		{exact, "198.51.100.101", false},
		{exact, "198.51.101.0", false},
		{exact, "2001:db8:85a3::8a2e:370:7334", true},
		{exact, "[2001:DB8:85a3::1]", true},
		{exact, "2001:db8::8a2e:370:7334", false},
		{exact, "2001:db80::", false},
		{exact, "100.200.1.1", true},
		{exact, "2001:db9:1::1", true},
		{exact, "::ffff:203.0.113.9", true}, // by its own block, not by an IPv4 one
		{halves, "128.0.0.0", true},
		{halves, "1.1.1.1", false},
		{halves, "127.0.0.1", false},
		{halves, "8000::1", true},
		{halves, "::1", false},
		{halves, "example.com", false},
		{only4, "203.0.113.9", true},
		{only4, "::ffff:203.0.113.9", false},
		{only4, "2001:db8::1", false},
	} {
		if got := allowed(t, row.rules, Load{Host: row.host}); got != row.free {
			t.Errorf("%s: allowed %v, want %v", row.host, got, row.free)
		}
	}
}

// With arbitrary loads an entry raises the security of its host.
func TestArbitraryLoadsWithEntries(t *testing.T) {
	r := mustCompile(t, Policy{AllowsArbitraryLoads: true, ExceptionDomains: map[string]Exception{
		"secure.example":   {MinimumTLSVersion: tls.VersionTLS13},
		"insecure.example": {MinimumTLSVersion: tls.VersionTLS13, AllowsInsecureHTTPLoads: true},
		"old.example":      {MinimumTLSVersion: tls.VersionTLS10, AllowsInsecureHTTPLoads: true, AllowsRSAKeyExchange: true},
		"myhost.local":     {},
	}})

	for host, want := range map[string]Floor{
		"unlisted.example": {None: true, AllowsOverride: true},
		"secure.example":   {MinVersion: tls.VersionTLS13},
		"insecure.example": {MinVersion: tls.VersionTLS13, AllowsOverride: true},
		"old.example":      {MinVersion: tls.VersionTLS10, AllowsOverride: true, AllowsRSAKeyExchange: true},
		"myhost.local":     {},
		"other.local":      {None: true, AllowsOverride: true},
	} {
		l := Load{Host: host}
		if got := r.Floor(l); got != want {
			t.Errorf("%s: floor %+v, want %+v", host, got, want)
		}

		if got := allowed(t, r, l); got != want.AllowsOverride {
			t.Errorf("%s: allowed %v, want %v", host, got, want.AllowsOverride)
		}
	}
}
