package engine_test

import (
	"strings"
	"testing"

	"github.com/urlkit/urlkit/internal/engine"
	"github.com/urlkit/urlkit/path"
	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/storage"
	"github.com/urlkit/urlkit/storage/cookie"
)

func explained(steps []engine.Step) string {
	var b strings.Builder
	for _, s := range steps {
		b.WriteString(s.Stage + ": " + s.Verdict + "\n")
	}

	return b.String()
}

func TestExplain(t *testing.T) {
	store := cookie.NewStore()
	store.StoreCookies(&storage.CookieQuery{URL: request(t, "GET", "https://a.example/").URL}, []string{"session=secret", "theme=secret"})
	https := scheme("https", protocols.Encrypted, stalls)
	http := scheme("http", protocols.Cleartext, stalls)
	local := scheme("custom", protocols.Local, stalls)
	tests := []struct {
		url  string
		want []string
		code protocols.Code
	}{
		{"https://u:secret@a.example/?secret", []string{
			`takes "https", which is encrypted`, "direct to a.example:443", "session", "theme", "GET https://a.example/?...", "at most 20", "gzip",
		}, 0},
		{"https://b.example/", []string{"none are stored for this URL"}, 0},
		{"http://b.example/", []string{"AllowsInsecureHTTPLoads"}, protocols.AppTransportSecurityRequiresSecureConnection},
		{"http://127.0.0.1:8080/", []string{"direct to 127.0.0.1:8080"}, 0},
		{"custom:x", []string{"local: no network", "none is needed", "none are kept"}, 0},
		{"gopher://a/", []string{"custom, http, https are registered"}, protocols.UnsupportedURL},
	}
	e := open(t, engine.Config{Cookies: store, Decoders: map[string]engine.Decoder{"gzip": nil}}, https, http, local)
	for _, tt := range tests {
		steps, err := e.Explain(t.Context(), request(t, "GET", tt.url))
		text := explained(steps)
		if tt.code != 0 {
			failure(t, err, tt.code)
		} else if err != nil {
			t.Errorf("%s: %v", tt.url, err)
		}
		for _, want := range tt.want {
			if !contains(text, want) {
				t.Errorf("%s: %q is not in\n%s", tt.url, want, text)
			}
		}
		if contains(text, "secret") {
			t.Errorf("%s: a secret is in\n%s", tt.url, text)
		}
	}
	steps, err := open(t, engine.Config{RedirectLimit: -1}, https).Explain(t.Context(), request(t, "POST", "https://a.example/"))
	if err != nil || !contains(explained(steps), "any number") {
		t.Errorf("%v\n%s", err, explained(steps))
	}
}

// Explain tells what a policy would repeat, and which path is refused.
func TestExplainNetwork(t *testing.T) {
	https := scheme("https", protocols.Encrypted, stalls)
	monitor := path.NewScripted(path.Path{Satisfied: true, Cellular: true})
	for attempts, wants := range map[int]map[string]string{
		0:  {"GET": "GET https://a.example/\n", "POST": "POST https://a.example/\n"},
		3:  {"GET": "GET https://a.example/, at most 3 times", "POST": "POST https://a.example/, once, unless"},
		-1: {"GET": "GET https://a.example/, any number of times", "POST": "POST https://a.example/, once, unless"},
	} {
		e := open(t, engine.Config{Retry: engine.Retry{Attempts: attempts}, Path: monitor, RefusesCellular: attempts == 3}, https)
		for method, want := range wants {
			steps, err := e.Explain(t.Context(), request(t, method, "https://a.example/"))
			text := explained(steps)
			if err != nil || !contains(text, want) || contains(text, "is cellular, which is refused") != (attempts == 3) {
				t.Errorf("%d attempts: %v\n%s\nwithout %q", attempts, err, text, want)
			}
		}
	}
}

func TestLocal(t *testing.T) {
	mock := scheme("mock", protocols.Local, stalls)
	https := scheme("https", protocols.Encrypted, stalls)
	posts := protocols.Scheme{Security: protocols.Local, New: func(c protocols.Client) protocols.URLProtocol {
		return claiming{instance{c, stalls}, func(req *protocols.Request) bool {
			if req.URL.Path == "/panic" {
				panic("in Claims")
			}

			return req.Method == "POST" && req.Header.Get("Mocked") != ""
		}}
	}}
	e := open(t, engine.Config{}, posts, mock, https)
	mocked := request(t, "post", "HTTPS://a.example/")
	mocked.Header["mocked"] = []string{"yes"}
	for _, tt := range []struct {
		req  *protocols.Request
		want bool
	}{
		{request(t, "GET", "mock:x"), true},
		{request(t, "GET", "https://a.example/"), false},
		{mocked, true},
		{request(t, "GET", "gopher://a.example/"), false},
		{request(t, "GET", "mock:/panic"), false},
		{request(t, "GET", "https://a.example/panic"), false},
		{&protocols.Request{}, false},
	} {
		if got := e.Local(tt.req); got != tt.want {
			t.Errorf("%s: %v", tt.req, got)
		}
	}
	if err := e.Close(); err != nil || e.Local(request(t, "GET", "mock:x")) {
		t.Errorf("after Close: %v", err)
	}
}

func TestCookies(t *testing.T) {
	tests := []struct {
		name   string
		config engine.Config
		omits  bool
		onehop bool
		url    string
		sent   string
		kept   bool
	}{
		{"as usual", engine.Config{}, false, false, "https://a.example/", "old=1", true},
		{"the session sends none", engine.Config{OmitsCookies: true}, false, false, "https://a.example/", "", true},
		{"the request has none", engine.Config{}, true, false, "https://a.example/", "", false},
		{"one hop", engine.Config{}, false, true, "https://a.example/", "", false},
		{"the session takes none", engine.Config{CookieAcceptPolicy: storage.AcceptNever}, false, false, "https://a.example/", "old=1", false},
		{"a scheme without cookies", engine.Config{}, false, false, "custom://a.example/", "", false},
	}
	for _, tt := range tests {
		store := cookie.NewStore()
		u := request(t, "GET", "https://a.example/").URL
		store.StoreCookies(&storage.CookieQuery{URL: u}, []string{"old=1"})
		tt.config.Cookies = store
		var log []seen
		https := redirector(t, &log, func(int) *protocols.Response { return reply(200, "", "Set-Cookie", "new=2") })
		custom := https
		custom.Name = "custom"
		e := open(t, tt.config, https, custom)
		req := request(t, "GET", tt.url)
		req.OmitsCookies = tt.omits
		if _, _, err := fetch(e, req, &engine.Task{OneHop: tt.onehop}); err != nil {
			t.Fatal(err)
		}
		kept := contains(store.CookieHeader(&storage.CookieQuery{URL: u}), "new=2")
		if got := log[0].Header.Get("Cookie"); got != tt.sent || kept != tt.kept {
			t.Errorf("%s: sent %q, want %q; stored: %v, want %v", tt.name, got, tt.sent, kept, tt.kept)
		}
	}
}

// One hop is one hop: redirects and challenges are the caller's.
func TestOneHop(t *testing.T) {
	for _, status := range []int{302, 401} {
		var log []seen
		e := open(t, engine.Config{}, redirector(t, &log, func(int) *protocols.Response {
			return reply(status, "body", "Location", "/next", "Www-Authenticate", `Basic realm="r"`)
		}))
		body, resp, err := fetch(e, request(t, "GET", "https://u:p@a.example/"), &engine.Task{OneHop: true})
		if err != nil || body != "body" || resp.StatusCode != status || len(log) != 1 {
			t.Errorf("%d: %q, %v, %d requests", status, body, err, len(log))
		}
	}
}
