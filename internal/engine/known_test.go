package engine

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/urlkit/urlkit/internal/httpauth"
	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/registry"
)

// unloaded is a protocol that is never asked.
type unloaded struct{}

func (unloaded) Load(context.Context, *protocols.Request) (*protocols.Response, error) {
	return nil, context.Canceled
}

// pipeline is a load that stands before its first hop.
func pipeline(t *testing.T, task *Task, address string) (*load, *hop) {
	t.Helper()
	e, err := New(Config{Registry: registry.New(protocols.Scheme{
		Name: "http", DefaultPort: 80, New: func(protocols.Client) protocols.URLProtocol { return unloaded{} },
	})})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	l := new(load)
	req, err := protocols.NewRequest("GET", address, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.begin(e, t.Context(), req, task); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.end(nil) })

	return l, l.next(t, req)
}

// next makes the next hop, by a proxy that is spoken to in absolute-form.
func (l *load) next(t *testing.T, req *protocols.Request) *hop {
	t.Helper()
	h := new(hop)
	h.init(l, l.ctx, nil, req)
	if err := h.lookup(); err != nil {
		t.Fatal(err)
	}
	h.request.Route = protocols.Route{Forward: "proxy.example:3128", Proxied: true}

	return h
}

func refusal(status int, field, challenge string) *protocols.Response {
	return &protocols.Response{StatusCode: status, Header: http.Header{field: {challenge}}, Body: protocols.NoBody}
}

// A proxy and an origin may ask one after the other; each gets its own answer, and the
// origin none of the proxy's.
func TestProxyAuthentication(t *testing.T) {
	var asked []protocols.ProtectionSpace
	l, h := pipeline(t, &Task{Challenge: func(_ context.Context, c *protocols.Challenge) (protocols.Disposition, *protocols.Credential) {
		asked = append(asked, c.Space)
		user := "origin"
		if c.Space.ProxyType != "" {
			user = "proxy"
		}

		return protocols.UseCredential, &protocols.Credential{User: user, Password: "p"}
	}}, "http://u:secret@a.example/x?y")
	again, err := l.challenged(h, refusal(407, "Proxy-Authenticate", `Digest realm="r", nonce="n", qop="auth", NTLM`))
	if !again || err != nil {
		t.Fatal(again, err)
	}
	want := protocols.ProtectionSpace{Host: "proxy.example", Port: 3128, ProxyType: "http", Realm: "r", Method: protocols.MethodHTTPDigest}
	if len(asked) != 1 || asked[0] != want {
		t.Errorf("asked %+v", asked)
	}
	h = l.next(t, h.given)
	if err := l.authorize(h); err != nil {
		t.Fatal(err)
	}
	field := h.request.Header.Get("Proxy-Authorization")
	if !strings.Contains(field, `uri="http://a.example/x?y"`) || !strings.Contains(field, `username="proxy"`) || h.request.Header.Get("Authorization") != "" {
		t.Errorf("to the proxy: %q, %v", field, h.request.Header)
	}
	if again, err = l.challenged(h, refusal(401, "Www-Authenticate", `Basic realm="o"`)); !again || err != nil {
		t.Fatal(again, err)
	}
	h = l.next(t, h.given)
	if err := l.authorize(h); err != nil {
		t.Fatal(err)
	}
	if h.request.Header.Get("Authorization") != "Basic dTpzZWNyZXQ=" || !strings.Contains(h.request.Header.Get("Proxy-Authorization"), "nc=00000002") {
		t.Errorf("to both: %v", h.request.Header)
	}
	h = l.next(t, h.given)
	h.request.Route = protocols.Route{}
	if err := l.authorize(h); err != nil || h.request.Header.Get("Proxy-Authorization") != "" || h.request.Header.Get("Authorization") == "" {
		t.Errorf("without the proxy: %v, %v", h.request.Header, err)
	}
	h = l.next(t, h.given)
	_ = l.authorize(h)
	if again, err = l.challenged(h, refusal(407, "Proxy-Authenticate", `Digest realm="r", nonce="m", qop="auth"`)); !again || err != nil || len(asked) != 2 {
		t.Errorf("a proxy that refuses: %v, %v, asked %d times", again, err, len(asked))
	}
}

// A login that opens at an origin is one beside any answer to a proxy.
func TestOpeningBesideAProxy(t *testing.T) {
	l, h := pipeline(t, noTask, "http://a.example/")
	all := l.answered()
	for _, c := range []*protocols.Challenge{
		{Space: protocols.ProtectionSpace{Host: "a.example", Method: protocols.MethodNTLM}},
		{Space: protocols.ProtectionSpace{Host: "proxy.example", Port: 3128, ProxyType: "http", Method: protocols.MethodHTTPBasic}},
	} {
		*all.place(c.Space.ProxyType != "") = l.attempt(h, c, &protocols.Credential{User: "u", Password: "p"})
	}
	h.request.Body = protocols.StringBody("x")
	if err := l.authorize(h); err != nil || !all.open || !h.bodiless || h.request.Body != nil {
		t.Errorf("%v, open %v, bodiless %v", err, all.open, h.bodiless)
	}
	if !strings.HasPrefix(h.request.Header.Get("Authorization"), "NTLM ") || !strings.HasPrefix(h.request.Header.Get("Proxy-Authorization"), "Basic ") {
		t.Errorf("%v", h.request.Header)
	}
}

// place makes an answer that was let in at an origin.
func place(address, realm string) (origin, *answer) {
	u, _ := url.Parse(address)
	c := &protocols.Challenge{Space: protocols.ProtectionSpace{Host: u.Hostname(), Port: 80, Protocol: "http", Realm: realm, Method: protocols.MethodHTTPBasic}}
	credential := &protocols.Credential{User: "u", Password: "p"}
	x, _ := httpauth.Begin(context.Background(), c, credential, nil, nil)

	return origin{"http", u.Hostname(), "80", ""}, &answer{space: c.Space, credential: credential, exchange: x, paths: pathsOf(u, c)}
}

// What is remembered is bounded, in spaces and in paths; the newest stay.
func TestMemoryIsBounded(t *testing.T) {
	l, _ := pipeline(t, noTask, "http://a.example/")
	remember := func(address, realm string) *hop {
		req, err := protocols.NewRequest("GET", address, nil)
		if err != nil {
			t.Fatal(err)
		}
		h := l.next(t, req)
		_, a := place(address, realm)
		l.remember(h, a)

		return h
	}
	for i := range 3 * knownSpaces {
		remember(fmt.Sprintf("http://h%d.example/", i), "r")
	}
	m := &l.engine.known
	if n := m.count.Load(); n != knownSpaces || len(m.order) != knownSpaces || len(m.byOrigin) != knownSpaces {
		t.Errorf("%d spaces are known, %d in order, %d origins", n, len(m.order), len(m.byOrigin))
	}
	if l.recall(remember(fmt.Sprintf("http://h%d.example/", 3*knownSpaces-1), "r")) == nil {
		t.Error("the newest is forgotten")
	}
	var last *hop
	for i := range 3 * knownPaths {
		last = remember(fmt.Sprintf("http://a.example/%d/x", i), "r")
	}
	known := m.byOrigin[originOf(last)]
	if len(known) != 1 || len(known[0].paths) != knownPaths || l.recall(last) == nil {
		t.Errorf("%d spaces with %d paths", len(known), len(known[0].paths))
	}
	for range 3 * knownBinds {
		m.release(&answer{known: known[0], good: true, exchange: letIn{}}, m.newBind())
	}
	if len(known[0].free) != knownBinds {
		t.Errorf("%d connections are kept", len(known[0].free))
	}
	if err := l.engine.Flush(); err != nil {
		t.Fatal(err)
	}
	if l.recall(last) != nil || m.count.Load() != 0 {
		t.Error("what was forgotten is known")
	}
	remember("http://a.example/x", "r") // by a load that began before
	if m.count.Load() != 0 {
		t.Error("a load of before the flush is remembered")
	}
}

func TestDigestDomain(t *testing.T) {
	u, _ := url.Parse("http://a.example/x/y")
	for list, want := range map[string]map[string]bool{
		"":                                      {"/x": true, "": true},
		" ":                                     {"/x": true},
		"/a /b/c":                               {"/a/b": true, "/b/c": true, "/b": false, "/x": false, "": false},
		"http://a.example/a http://b.example/b": {"/a": true, "/b": false},
		"http://b.example/":                     {"/": false},
		"http://a.example":                      {"/": true, "": true},
		"%zz":                                   {"/x": false},
	} {
		p := domain(u, list)
		for path, in := range want {
			if p.have(path) != in {
				t.Errorf("domain %q has %q: %v", list, path, !in)
			}
		}
	}
	if p := domain(u, strings.Repeat("/a ", 1000)); len(p) != knownPaths {
		t.Errorf("%d paths", len(p))
	}
}
