package engine_test

import (
	"context"
	"testing"

	"github.com/urlkit/urlkit/internal/engine"
	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/storage/cookie"
)

func TestRedirectMayNotLand(t *testing.T) {
	tests := []struct {
		to   string
		code protocols.Code
		url  string
	}{
		{"file:///etc/passwd?x", protocols.UnsupportedURL, "file:///etc/passwd?..."},
		{"FILE:/etc/passwd", protocols.UnsupportedURL, "file:/etc/passwd"},
		{"gopher://u:secret@h/", protocols.UnsupportedURL, "gopher://h/"},
		{"mailto:someone@a.example", protocols.UnsupportedURL, "mailto:...@a.example"},
		{"http://public.example/?token=secret", protocols.AppTransportSecurityRequiresSecureConnection, "http://public.example/?..."},
		{"https:///nohost", protocols.BadURL, "https:///nohost"},
		{"https:opaque", protocols.BadURL, "https:opaque"},
	}
	for _, tt := range tests {
		first := reply(302, "moved", "Location", tt.to)
		landed := false
		respond := func(_ context.Context, _ protocols.Client, req *protocols.Request) (*protocols.Response, error) {
			if req.URL.Path == "/first" {
				return first, nil
			}
			landed = true

			return reply(200, ""), nil
		}
		file := scheme("file", protocols.Local, respond)
		file.Redirectable = false
		e := open(t, engine.Config{}, file, scheme("https", protocols.Encrypted, respond), scheme("http", protocols.Cleartext, respond))
		_, _, err := fetch(e, request(t, "GET", "https://a.example/first"), nil)
		got := failure(t, err, tt.code)
		if landed || got.URL != tt.url {
			t.Errorf("%s: landed %v, failing URL %s; want %s", tt.to, landed, got.URL, tt.url)
		}
		if body, ok := first.Body.(*content); ok && body.closes() == 0 {
			t.Errorf("%s: the redirect's body was left open", tt.to)
		}
	}
}

func TestRedirectWithinAClosedScheme(t *testing.T) {
	hops := 0
	custom := scheme("custom", protocols.Local, func(_ context.Context, _ protocols.Client, req *protocols.Request) (*protocols.Response, error) {
		if hops++; hops > 1 {
			return reply(0, "here"), nil
		}
		next := req.Clone()
		next.URL.Opaque = "second"
		next.Header.Set("X-Custom", "1")

		return &protocols.Response{Redirect: next}, nil
	})
	custom.Redirectable = false
	e := open(t, engine.Config{}, custom)
	asked := 0
	body, resp, err := fetch(e, request(t, "GET", "custom:first"), &engine.Task{
		Redirect: func(_ context.Context, _ *protocols.Response, next *protocols.Request) (*protocols.Request, error) {
			asked++

			return next, nil
		},
	})
	if err != nil || body != "here" || asked != 1 || resp.URL.String() != "custom:second" {
		t.Errorf("%q, %v, asked %d times, %v", body, resp, asked, err)
	}
}

func TestRedirectAsDataCrossesToHTTP(t *testing.T) {
	custom := scheme("custom", protocols.Local, func(_ context.Context, _ protocols.Client, req *protocols.Request) (*protocols.Response, error) {
		next := request(t, "GET", "https://a.example/", "Authorization", "x", "Cookie", "y=z")
		next.Credential = &protocols.Credential{User: "u"}

		return &protocols.Response{Redirect: next, Body: protocols.NoBody}, nil
	})
	var log []seen
	e := open(t, engine.Config{}, custom, redirector(t, &log, func(int) *protocols.Response { return reply(200, "done") }))
	body, _, err := fetch(e, request(t, "GET", "custom:x"), nil)
	if err != nil || body != "done" {
		t.Fatalf("%q, %v", body, err)
	}
	if len(log[0].Header) != 0 || log[0].Credential != nil {
		t.Errorf("secrets crossed the origin: %v, %v", log[0].Header, log[0].Credential)
	}
	none := scheme("none", protocols.Local, func(context.Context, protocols.Client, *protocols.Request) (*protocols.Response, error) {
		return &protocols.Response{Redirect: &protocols.Request{}}, nil
	})
	_, _, err = fetch(open(t, engine.Config{}, none), request(t, "GET", "none:x"), nil)
	failure(t, err, protocols.RedirectToNonExistentLocation)
}

func TestRedirectCookies(t *testing.T) {
	var log []seen
	e := open(t, engine.Config{Cookies: cookie.NewStore()}, redirector(t, &log, func(n int) *protocols.Response {
		switch n {
		case 0:
			return reply(302, "", "Location", "/a/two", "Set-Cookie", "hop=one; Path=/", "Set-Cookie", "narrow=1; Path=/a")
		case 1:
			return reply(302, "", "Location", "/b/three", "Set-Cookie", "hop=; Max-Age=0; Path=/")
		case 2:
			return reply(302, "", "Location", "https://other.example/")
		default:
			return reply(200, "")
		}
	}))
	req := request(t, "GET", "https://a.example/", "Cookie", "own=app")
	if _, _, err := fetch(e, req, nil); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"own=app", "narrow=1; hop=one", "own=app", ""} {
		if got := log[i].Header.Get("Cookie"); got != want {
			t.Errorf("hop %d sends Cookie %q, want %q", i, got, want)
		}
	}
	if req.Header.Get("Cookie") != "own=app" {
		t.Error("the app's request was changed")
	}
}
