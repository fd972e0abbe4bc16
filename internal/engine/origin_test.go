package engine_test

import (
	"testing"

	"github.com/urlkit/urlkit/ats"
	"github.com/urlkit/urlkit/internal/engine"
	"github.com/urlkit/urlkit/protocols"
)

// What a request says of where it came from, after redirects.
func TestRedirectReferer(t *testing.T) {
	const page = "https://app.example:8443/page?q=1"
	for _, row := range []struct {
		from            string
		hops            []string
		referer, origin string // of the app
		wantReferer     string
		wantOrigin      string
	}{
		{"https://a.example/", []string{"/b"}, "", "", "", ""},
		{"https://a.example/", []string{"https://b.example/"}, "", "", "", ""},
		{"https://a.example/", []string{"/b", "https://A.example:443/c"}, page, "https://app.example:8443", page, "https://app.example:8443"},
		{"https://a.example/", []string{"https://b.example/"}, page, "https://app.example:8443", "https://app.example:8443/", "null"},
		{"https://a.example/", []string{"https://b.example/"}, page, "https://A.example:443", "https://app.example:8443/", "https://A.example:443"},
		{"https://a.example/", []string{"https://b.example/", "https://a.example/"}, page, "https://a.example", "https://app.example:8443/", "null"},
		{"https://a.example/", []string{"https://b.example/", "/c"}, page, "null", "https://app.example:8443/", "null"},
		{"https://a.example/", []string{"https://a.example:444/"}, page, "", "https://app.example:8443/", ""},
		{"https://a.example/", []string{"http://a.example/"}, page, "https://a.example", "", "null"},
		{"https://a.example/", []string{"http://a.example/", "https://a.example/"}, page, "https://a.example", "", "null"},
		{"http://a.example/", []string{"http://b.example/"}, page, "http://a.example", "", "http://a.example"},
		{"http://a.example/", []string{"https://b.example/"}, page, "", "https://app.example:8443/", ""},
		{"http://a.example/", []string{"http://b.example/"}, "HTTP://u:p@c.example/x#f", "", "http://c.example/", ""},
		{"https://a.example/", []string{"https://b.example/"}, "/relative", "not an origin", "", "null"},
		{"https://a.example/", []string{"https://b.example/"}, "https://%zz/", "https://%zz", "", "null"},
	} {
		var log []seen
		https := redirector(t, &log, func(n int) *protocols.Response {
			if n < len(row.hops) {
				return reply(307, "", "Location", row.hops[n])
			}

			return reply(200, "")
		})
		http := https
		http.Name, http.Security = "http", protocols.Cleartext
		e := open(t, engine.Config{Policy: ats.Policy{AllowsArbitraryLoads: true}}, https, http)
		req := request(t, "POST", row.from)
		if row.referer != "" {
			req.Header.Set("Referer", row.referer)
		}
		if row.origin != "" {
			req.Header.Set("Origin", row.origin)
		}
		if _, _, err := fetch(e, req, nil); err != nil {
			t.Errorf("%s %v: %v", row.from, row.hops, err)

			continue
		}
		last := log[len(log)-1].Header
		if got := last.Get("Referer"); got != row.wantReferer || len(last["Referer"]) > 1 {
			t.Errorf("%s %v, Referer %s: became %q, want %q", row.from, row.hops, row.referer, got, row.wantReferer)
		}
		if got := last.Get("Origin"); got != row.wantOrigin {
			t.Errorf("%s %v, Origin %s: became %q, want %q", row.from, row.hops, row.origin, got, row.wantOrigin)
		}
		if log[0].Header.Get("Referer") != row.referer || req.Header.Get("Referer") != row.referer || req.Header.Get("Origin") != row.origin {
			t.Errorf("%s: the first request has %v, the app's %v", row.from, log[0].Header, req.Header)
		}
	}
}
