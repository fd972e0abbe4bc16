package engine_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/urlkit/urlkit/internal/engine"
	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/storage"
	"github.com/urlkit/urlkit/storage/cookie"
)

// written is a request whose fields are written as map keys, in lower case.
func written(t testing.TB, method, url string, fields ...string) *protocols.Request {
	t.Helper()
	req := request(t, method, url)
	for i := 0; i < len(fields); i += 2 {
		req.Header[strings.ToLower(fields[i])] = []string{fields[i+1]}
	}

	return req
}

// anyCase tells whether a header has a field, however it is written.
func anyCase(header http.Header, name string) bool {
	for key := range header {
		if strings.EqualFold(key, name) {
			return true
		}
	}

	return false
}

// moved answers the first request with a redirect, and the others with "done".
func moved(status int, location string) func(n int) *protocols.Response {
	return func(n int) *protocols.Response {
		if n == 0 {
			return reply(status, "", "Location", location)
		}

		return reply(200, "done")
	}
}

// Secrets stay with their origin, in whatever case their names are written.
func TestFieldNamesInAnyCaseAreNotCarriedAcrossOrigins(t *testing.T) {
	secrets := []string{"Authorization", "Cookie", "Proxy-Authorization", "Host"}
	for target, same := range map[string]bool{"https://a.example/next": true, "https://b.example/next": false} {
		var got []seen
		e := open(t, engine.Config{}, redirector(t, &got, moved(307, target)))
		req := written(t, "GET", "https://a.example/", "Authorization", "Bearer s3cret", "Cookie", "k=s3cret",
			"Proxy-Authorization", "Bearer s3cret", "Host", "virtual.example", "X-Kept", "1")
		if _, _, err := fetch(e, req, nil); err != nil || len(got) != 2 {
			t.Fatalf("%s: %d requests, %v", target, len(got), err)
		}
		for _, name := range secrets {
			if got[0].Header.Get(name) == "" {
				t.Errorf("%s: the first hop has no %s", target, name)
			}
			want := same && name != "Host" // which is the new URL's, always
			if anyCase(got[1].Header, name) != want {
				t.Errorf("%s: the next hop has %s: %v, want %v", target, name, !want, want)
			}
		}
		if got[1].Header.Get("X-Kept") != "1" {
			t.Errorf("%s: the next hop has %v", target, got[1].Header)
		}
		if len(req.Header["authorization"]) != 1 || len(req.Header) != 5 { //nolint:staticcheck // as the app wrote it
			t.Errorf("the app's header was changed: %v", req.Header)
		}
	}
}

// A POST that becomes a GET loses what described its body.
func TestFieldNamesInAnyCaseOfADroppedBody(t *testing.T) {
	var got []seen
	e := open(t, engine.Config{}, redirector(t, &got, moved(302, "/next")))
	req := written(t, "POST", "https://a.example/", "Content-Type", "text/plain", "Content-Length", "1", "Content-Encoding", "identity")
	req.Body = protocols.StringBody("x")
	if _, _, err := fetch(e, req, nil); err != nil || len(got) != 2 {
		t.Fatalf("%d requests, %v", len(got), err)
	}
	for name := range req.Header {
		if !anyCase(got[0].Header, name) || anyCase(got[1].Header, name) {
			t.Errorf("%s: %v, then %v", name, got[0].Header, got[1].Header)
		}
	}
}

// Stored cookies take the place of the app's field: there is one of them. After
// a redirect where none is stored the app's is back.
func TestStoredCookieReplacesOneInAnyCase(t *testing.T) {
	store := cookie.NewStore()
	u := request(t, "GET", "https://a.example/first").URL
	store.StoreCookies(&storage.CookieQuery{URL: u}, []string{"stored=1; Path=/first"})
	var got []seen
	e := open(t, engine.Config{Cookies: store}, redirector(t, &got, moved(302, "/next")))
	if _, _, err := fetch(e, written(t, "GET", "https://a.example/first", "Cookie", "own=1"), nil); err != nil || len(got) != 2 {
		t.Fatalf("%d requests, %v", len(got), err)
	}
	for i, want := range []string{"stored=1", "own=1"} {
		if h := got[i].Header; h.Get("Cookie") != want || len(h["Cookie"]) != 1 || len(h["cookie"]) != 0 { //nolint:staticcheck // the name that must be gone
			t.Errorf("hop %d sends %v, want %q", i, h, want)
		}
	}
}

// A credential that answers a challenge replaces the app's field, and codings are
// the app's where it names them.
func TestFieldNamesInAnyCaseMeetTheStages(t *testing.T) {
	var sent []string
	var asked []protocols.Challenge
	e := open(t, engine.Config{}, guarded(&sent, basic("u", "p"), `Basic realm="r"`))
	req := written(t, "GET", "https://a.example/", "Authorization", "Bearer old")
	body, _, err := fetch(e, req, answering(&asked, func(int) (protocols.Disposition, *protocols.Credential) {
		return protocols.UseCredential, &protocols.Credential{User: "u", Password: "p"}
	}))
	if err != nil || body != "in" || strings.Join(sent, "|") != "Bearer old|"+basic("u", "p") {
		t.Errorf("%q, %v, sent %q", body, err, sent)
	}
	plain := open(t, engine.Config{}, redirector(t, new([]seen), func(int) *protocols.Response {
		return reply(200, "coded", "Content-Encoding", "lzma")
	}))
	if body, _, err = fetch(plain, written(t, "GET", "https://a.example/", "Accept-Encoding", "lzma"), nil); err != nil || body != "coded" {
		t.Errorf("a coding that the app asked for: %q, %v", body, err)
	}
}

// A URL whose scheme is in upper case takes part in cookies as any other.
func TestSchemeInUpperCaseHasCookies(t *testing.T) {
	var got []string
	for _, name := range []string{"HTTP", "HTTPS", "Ws"} {
		got = nil
		security := map[bool]protocols.Security{true: protocols.Encrypted, false: protocols.Cleartext}[name == "HTTPS"]
		e := open(t, engine.Config{Cookies: cookie.NewStore()}, scheme(strings.ToLower(name), security, cookieJar(&got)))
		for range 2 {
			req := &protocols.Request{URL: &url.URL{Scheme: name, Host: "localhost", Path: "/"}}
			if _, _, err := fetch(e, req, nil); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if req.URL.Scheme != name {
				t.Errorf("%s: the app's URL was changed to %v", name, req.URL)
			}
		}
		if strings.Join(got, "|") != "|k=v" {
			t.Errorf("%s: the loads sent %q, want none and then k=v", name, got)
		}
	}
}

// cookieJar keeps the Cookie fields that it gets, and sets a cookie.
func cookieJar(got *[]string) loading {
	return func(_ context.Context, _ protocols.Client, req *protocols.Request) (*protocols.Response, error) {
		*got = append(*got, req.Header.Get("Cookie"))

		return reply(200, "", "Set-Cookie", "k=v"), nil
	}
}
