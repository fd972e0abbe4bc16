package urlsession_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/storage"
	"github.com/urlkit/urlkit/urlsession"
)

func cookieQuery(t testing.TB, base string) *storage.CookieQuery {
	t.Helper()

	return &storage.CookieQuery{URL: get(t, base).URL}
}

// The endpoints that concern neither redirects nor cookies, over each wire.
func TestOracle(t *testing.T) {
	leak.Check(t)
	onEachWire(t, oracle(nowhere(t)), func(t *testing.T, base string) {
		s := session(t, nil)
		for path, capital := range capitals {
			if data, resp := load(t, s, get(t, base+path)); data != capital || resp.StatusCode != 200 {
				t.Errorf("%s: %d %q", path, resp.StatusCode, data)
			}
		}
		methods := []string{"GET", "PUT", "POST", "DELETE", "HEAD"}
		for _, method := range methods {
			for _, sent := range methods {
				want := 405
				if method == sent {
					want = 200
				}
				if _, resp := load(t, s, request(t, sent, base+"/"+strings.ToLower(method), nil)); resp.StatusCode != want {
					t.Errorf("%s /%s: %d", sent, strings.ToLower(method), resp.StatusCode)
				}
			}
		}
		for path, want := range map[string]string{
			"/gzipped-response": "Hello World!", "/brotli-response": "Hello World!", "/echo-query?q=%20a&b": "q=%20a&b", "/404": "status 404", "/503": "status 503",
		} {
			if data, _ := load(t, s, get(t, base+path)); data != want {
				t.Errorf("%s: %q", path, data)
			}
		}
		if data, _ := load(t, s, get(t, base+"/accept-encoding")); !slices.Contains(strings.Split(data, ", "), "br") {
			t.Errorf("Accept-Encoding: %s", data)
		}
		if _, resp := load(t, s, request(t, "POST", base+"/emptyPost", nil)); resp.StatusCode != http.StatusOK {
			t.Errorf("an empty POST has a Content-Type: %d", resp.StatusCode)
		}
		if data, _ := load(t, s, request(t, "POST", base+"/upload", urlsession.StringBody("12345"))); data != "5 bytes" {
			t.Errorf("upload: %s", data)
		}
		if _, resp := load(t, s, get(t, base+"/unauthorized")); resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("unauthorized: %d", resp.StatusCode)
		}
		slow := get(t, base+"/Peru")
		slow.Header.Set("X-Pause", "30")
		slow.Timeout = 20 * time.Millisecond
		_, _, err := s.Data(t.Context(), slow)
		wantCode(t, err, urlsession.TimedOut)
	})
}

// Replies that are none of HTTP/1.1 are errors, and odd ones that are get through.
func TestBrokenReplies(t *testing.T) {
	leak.Check(t)
	base := serve(t, "http/1.1", oracle(nowhere(t)))
	s := session(t, nil)
	tolerated := map[string]string{
		"/response-header-without-whitespace": "ok", "/broken/no-length": "to the end", "/broken/status-999": "ok",
	}
	for path := range brokenReplies {
		want, ok := tolerated[path]
		data, resp, err := s.Data(t.Context(), get(t, base+path))
		switch {
		case ok && (err != nil || string(data) != want):
			t.Errorf("%s: %q, %v, %v", path, data, resp, err)
		case !ok && !errors.Is(err, urlsession.BadServerResponse) && !errors.Is(err, urlsession.CannotParseResponse):
			t.Errorf("%s: %q, %v", path, data, err)
		}
	}
}
