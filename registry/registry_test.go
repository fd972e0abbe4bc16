package registry_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/registry"
)

type named struct {
	name   string
	closed *[]string
}

func (n named) Load(context.Context, *protocols.Request) (*protocols.Response, error) {
	return &protocols.Response{Proto: n.name, Body: protocols.NoBody}, nil
}

func (n named) Close() error {
	if n.closed != nil {
		*n.closed = append(*n.closed, n.name)
	}

	return nil
}

type claiming struct {
	named
	claims func(*protocols.Request) bool
}

func (c claiming) Claims(r *protocols.Request) bool { return c.claims(r) }

func scheme(name, protocol string) protocols.Scheme {
	return protocols.Scheme{Name: name, New: func(protocols.Client) protocols.URLProtocol { return named{name: protocol} }}
}

func claimer(name, protocol string, claims func(*protocols.Request) bool) protocols.Scheme {
	return protocols.Scheme{Name: name, New: func(protocols.Client) protocols.URLProtocol {
		return claiming{named{name: protocol}, claims}
	}}
}

func noClient(*protocols.Scheme) protocols.Client { return nil }

func open(t testing.TB, r registry.Registry) *registry.Instances {
	t.Helper()
	in, err := r.Open(noClient)
	if err != nil {
		t.Fatal(err)
	}

	return in
}

func request(t testing.TB, url string) *protocols.Request {
	t.Helper()
	req, err := protocols.NewRequest("GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}

	return req
}

func protocolOf(m registry.Match) string {
	switch p := m.Protocol.(type) {
	case named:
		return p.name
	case claiming:
		return p.name
	default:
		return "?"
	}
}

func TestOrder(t *testing.T) {
	all := func(*protocols.Request) bool { return true }
	example := func(r *protocols.Request) bool { return r.URL.Hostname() == "example.com" }
	builtIn := registry.New(scheme("http", "http"), scheme("data", "data"))
	tests := []struct {
		name string
		r    registry.Registry
		url  string
		want string
	}{
		{"built in", builtIn, "http://a/", "http"},
		{"schemes in any case", registry.New(scheme("HTTP", "upper")), "hTTp://a/", "upper"},
		{"the latest With is asked first", builtIn.With(scheme("http", "old")).With(scheme("http", "new")), "http://a/", "new"},
		{"inside one With the first is asked first", builtIn.With(scheme("http", "first"), scheme("http", "second")), "http://a/", "first"},
		{"a claimer without a name takes any scheme", builtIn.With(claimer("", "mock", all)), "gopher://a/", "mock"},
		{"a claimer may decline", builtIn.With(claimer("", "mock", example)), "http://other.example/", "http"},
		{"a claimer may take http", builtIn.With(claimer("", "mock", example)), "http://example.com/", "mock"},
		{"a named claimer is asked for its scheme only", builtIn.With(claimer("data", "mock", all)), "http://a/", "http"},
		{"others are left as they were", builtIn.With(scheme("http", "new")), "data:,x", "data"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, err := open(t, tt.r).Lookup(request(t, tt.url), nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := protocolOf(m); got != tt.want {
				t.Errorf("Lookup(%s) = %s, want %s", tt.url, got, tt.want)
			}
		})
	}
}

func TestWithLeavesTheOriginalAlone(t *testing.T) {
	base := registry.New(scheme("http", "base"))
	base.With(scheme("http", "shadow"))
	m, err := open(t, base).Lookup(request(t, "http://a/"), nil)
	if err != nil || protocolOf(m) != "base" {
		t.Errorf("base loads by %s, %v", protocolOf(m), err)
	}
}

func TestUnknownScheme(t *testing.T) {
	in := open(t, registry.New(scheme("http", "http"), scheme("data", "data"), scheme("http", "other")))
	_, err := in.Lookup(request(t, "gopher://a/"), nil)
	if !errors.Is(err, protocols.UnsupportedURL) {
		t.Fatalf("error = %v, want UnsupportedURL", err)
	}
	for _, want := range []string{`"gopher"`, "data, http are registered"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not name %s", err, want)
		}
	}
}

func TestLoadingIsPassedOver(t *testing.T) {
	all := func(*protocols.Request) bool { return true }
	in := open(t, registry.New(claimer("", "first", all), claimer("", "second", all), scheme("http", "http")))
	var loading *registry.Loading
	for _, want := range []string{"first", "second", "http"} {
		m, err := in.Lookup(request(t, "http://a/"), loading)
		if err != nil || protocolOf(m) != want {
			t.Fatalf("lookup gives %s, %v; want %s", protocolOf(m), err, want)
		}
		loading = &registry.Loading{Instance: m.Instance, Outer: loading}
	}
	if _, err := in.Lookup(request(t, "http://a/"), loading); !errors.Is(err, protocols.UnsupportedURL) {
		t.Errorf("with all of them loading: %v, want UnsupportedURL", err)
	}
}

func TestSecurityIsThatOfTheName(t *testing.T) {
	all := func(*protocols.Request) bool { return true }
	https := scheme("https", "https")
	https.Security, https.DefaultPort, https.Redirectable = protocols.Encrypted, 443, true
	lax := claimer("", "lax", all)
	lax.Security = protocols.Cleartext
	boast := claimer("", "boast", all)
	boast.Security = protocols.Encrypted
	local := claimer("", "local", all)
	local.Security = protocols.Local
	tests := []struct {
		claimer protocols.Scheme
		url     string
		want    protocols.Security
	}{
		{lax, "https://a/", protocols.Encrypted},
		{boast, "https://a/", protocols.Encrypted},
		{local, "https://a/", protocols.Local},
		{lax, "gopher://a/", protocols.Cleartext},
	}
	for _, tt := range tests {
		m, err := open(t, registry.New(https).With(tt.claimer)).Lookup(request(t, tt.url), nil)
		if err != nil || m.Security != tt.want {
			t.Errorf("%s loading %s is %v, %v; want %v", protocolOf(m), tt.url, m.Security, err, tt.want)
		}
		if strings.HasPrefix(tt.url, "https") && (m.DefaultPort != 443 || !m.Redirectable) {
			t.Errorf("%s loading %s lost the port or the redirect rule of https", protocolOf(m), tt.url)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	tests := []struct {
		name   string
		scheme protocols.Scheme
		want   string
	}{
		{"no constructor", protocols.Scheme{Name: "x"}, "no constructor"},
		{"no scheme name", scheme("a b", "x"), "is not a URL scheme"},
		{"a digit first", scheme("1x", "x"), "is not a URL scheme"},
		{"no name and no Claims", scheme("", "x"), "needs a protocol with a Claims method"},
		{"a nil protocol", protocols.Scheme{Name: "x", New: func(protocols.Client) protocols.URLProtocol { return nil }}, "returned nil"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := registry.New(tt.scheme).Open(noClient)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Open = %v, want an error with %q", err, tt.want)
			}
		})
	}
}

func TestClose(t *testing.T) {
	var closed []string
	with := func(name string) protocols.Scheme {
		return protocols.Scheme{Name: name, New: func(protocols.Client) protocols.URLProtocol { return named{name, &closed} }}
	}
	if err := open(t, registry.New(with("a"), with("b"))).Close(); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(closed, " "); got != "a b" {
		t.Errorf("closed %q, want both", got)
	}
	var _ io.Closer = named{}
}

func TestLookupAllocatesNothing(t *testing.T) {
	in := open(t, registry.New(scheme("http", "http"), scheme("https", "https"), scheme("data", "data")))
	req := request(t, "https://example.com/")
	if n := testing.AllocsPerRun(100, func() { _, _ = in.Lookup(req, nil) }); n != 0 {
		t.Errorf("Lookup allocates %v times", n)
	}
}

func BenchmarkLookup(b *testing.B) {
	in := open(b, registry.New(scheme("http", "http"), scheme("https", "https"), scheme("data", "data")))
	req := request(b, "https://example.com/")
	b.ReportAllocs()
	for b.Loop() {
		_, _ = in.Lookup(req, nil)
	}
}

// A flush opens a registry anew: neither set of instances knows of the other.
func TestOpenAgain(t *testing.T) {
	var closed []string
	r := registry.New(protocols.Scheme{Name: "https", New: func(protocols.Client) protocols.URLProtocol {
		return named{"https", &closed}
	}})
	first, second := open(t, r), open(t, r)
	req := request(t, "https://a.example/")
	running, err := first.Lookup(req, nil)
	if err != nil {
		t.Fatal(err)
	}
	other, err := second.Lookup(req, &registry.Loading{Instance: running.Instance})
	if err != nil || other.Instance == running.Instance {
		t.Errorf("%v, the same instance: %v", err, other.Instance == running.Instance)
	}
	if err := first.Close(); err != nil || len(closed) != 1 {
		t.Errorf("%v, %d closed", err, len(closed))
	}
}
