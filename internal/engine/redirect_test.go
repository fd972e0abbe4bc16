package engine_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/urlkit/urlkit/internal/engine"
	"github.com/urlkit/urlkit/protocols"
)

// seen is a copy of a request as a protocol got it, with its body read.
type seen struct {
	protocols.Request
	body string
}

func see(t testing.TB, req *protocols.Request) seen {
	t.Helper()
	s := seen{Request: *req.Clone()}
	var b strings.Builder
	if err := req.WriteBody(&b); err != nil {
		t.Errorf("reading the request's body: %v", err)
	}
	s.body = b.String()

	return s
}

// site answers each request by its path: "/n" with responses[n].
func redirector(t testing.TB, log *[]seen, responses func(n int) *protocols.Response) protocols.Scheme {
	return scheme("https", protocols.Encrypted, func(_ context.Context, _ protocols.Client, req *protocols.Request) (*protocols.Response, error) {
		*log = append(*log, see(t, req))

		return responses(len(*log) - 1), nil
	})
}

func TestRedirectTable(t *testing.T) {
	final := ""
	tests := []struct {
		status                   int
		get, head, post, put, do string // the method of the next hop; "" where there is none
	}{
		{300, final, final, final, final, final},
		{301, "GET", "HEAD", "GET", "PUT", "REPORT"},
		{302, "GET", "HEAD", "GET", "PUT", "REPORT"},
		{303, "GET", "HEAD", "GET", "GET", "GET"},
		{304, final, final, final, final, final},
		{305, final, final, final, final, final},
		{306, final, final, final, final, final},
		{307, "GET", "HEAD", "POST", "PUT", "REPORT"},
		{308, "GET", "HEAD", "POST", "PUT", "REPORT"},
		{399, final, final, final, final, final},
	}
	for _, tt := range tests {
		for method, want := range map[string]string{"GET": tt.get, "HEAD": tt.head, "post": tt.post, "PUT": tt.put, "REPORT": tt.do} {
			checkRedirect(t, tt.status, method, want)
		}
	}
}

func checkRedirect(t *testing.T, status int, method, want string) {
	t.Helper()
	var log []seen
	e := open(t, engine.Config{}, redirector(t, &log, func(n int) *protocols.Response {
		if n == 0 {
			return reply(status, "moved", "Location", "/next")
		}

		return reply(200, "done")
	}))
	req := request(t, method, "https://a.example/first", "Content-Type", "text/plain", "Content-Encoding", "identity",
		"Content-Digest", "sha-256=:AA==:", "Last-Modified", "Sat, 01 Jan 2000 00:00:00 GMT", "X-Kept", "1")
	hasBody := method != "GET" && method != "HEAD"
	if hasBody {
		req.Body = protocols.StringBody("payload")
	}
	got, resp, err := fetch(e, req, nil)
	if err != nil {
		t.Fatalf("%d %s: %v", status, method, err)
	}
	if want == "" {
		if len(log) != 1 || resp.StatusCode != status || got != "moved" {
			t.Errorf("%d %s: %d requests, result %d %q; want the response itself", status, method, len(log), resp.StatusCode, got)
		}

		return
	}
	if len(log) != 2 || got != "done" {
		t.Fatalf("%d %s: %d requests, result %q", status, method, len(log), got)
	}
	next := log[1]
	rewritten := !strings.EqualFold(method, want)
	if next.Method != want || next.URL.Path != "/next" || next.Header.Get("X-Kept") == "" {
		t.Errorf("%d %s: next is %s %s %v; want %s", status, method, next.Method, next.URL, next.Header, want)
	}
	if kept := next.body == "payload"; kept != (hasBody && !rewritten) {
		t.Errorf("%d %s: body of the next hop is %q", status, method, next.body)
	}
	for _, name := range []string{"Content-Type", "Content-Encoding", "Content-Digest", "Last-Modified"} {
		if has := next.Header.Get(name) != ""; has == rewritten {
			t.Errorf("%d %s: field %s is there: %v", status, method, name, has)
		}
	}
	if req.Header.Get("Content-Type") == "" || req.URL.Path != "/first" {
		t.Errorf("%d %s: the app's request was changed", status, method)
	}
}

func TestRedirectTargets(t *testing.T) {
	const from = "https://u:p@a.example:8443/dir/page?q=1#frag"
	tests := []struct{ location, want string }{
		{"other", "https://u:p@a.example:8443/dir/other#frag"},
		{"../up?x=%2f", "https://u:p@a.example:8443/up?x=%2f#frag"},
		{"/abs#mine", "https://u:p@a.example:8443/abs#mine"},
		{"?only", "https://u:p@a.example:8443/dir/page?only#frag"},
		{"https://a.example/", "https://a.example/#frag"},
		{"?a=%2F b&\"ü\"", "https://u:p@a.example:8443/dir/page?a=%2F%20b&%22%C3%BC%22#frag"},
		{"//b.example/x", "https://b.example/x#frag"},
		{"HTTPS://B.example/", "https://B.example/#frag"},
		{"https://bücher.example/", "https://xn--bcher-kva.example/#frag"},
		{"", ""},
		{"https://%zz/", ""},
		{"http://[::1", ""},
		{":", ""},
		{"/a\x7f", ""},
	}
	for _, tt := range tests {
		var log []seen
		e := open(t, engine.Config{}, redirector(t, &log, func(n int) *protocols.Response {
			if n == 0 {
				return reply(302, "moved", "Location", tt.location)
			}

			return reply(200, "done")
		}))
		_, resp, err := fetch(e, request(t, "GET", from), nil)
		if err != nil {
			t.Errorf("%q: %v", tt.location, err)

			continue
		}
		if tt.want == "" {
			if len(log) != 1 || resp.StatusCode != 302 {
				t.Errorf("%q: %d requests, status %d; want the 302 itself", tt.location, len(log), resp.StatusCode)
			}

			continue
		}
		if len(log) != 2 || log[1].URL.String() != tt.want {
			t.Errorf("%q leads to %v, want %s", tt.location, log[len(log)-1].URL, tt.want)
		}
	}
}

func TestRedirectLimit(t *testing.T) {
	tests := []struct {
		limit int
		asked int
		fails string
	}{
		{0, 20, "https://a.example/21"},
		{3, 3, "https://a.example/4"},
	}
	for _, tt := range tests {
		var log []seen
		e := open(t, engine.Config{RedirectLimit: tt.limit}, redirector(t, &log, func(n int) *protocols.Response {
			return reply(302, "", "Location", "/"+itoa(n+1)+"?secret")
		}))
		asked := 0
		task := &engine.Task{Redirect: func(_ context.Context, _ *protocols.Response, next *protocols.Request) (*protocols.Request, error) {
			asked++

			return next, nil
		}}
		_, _, err := fetch(e, request(t, "GET", "https://a.example/0"), task)
		got := failure(t, err, protocols.HTTPTooManyRedirects)
		if asked != tt.asked || got.URL != tt.fails+"?..." || got.Phase != "redirect" {
			t.Errorf("limit %d: asked %d times, failing %s in %s; want %d and %s", tt.limit, asked, got.URL, got.Phase, tt.asked, tt.fails)
		}
	}
}

func TestRedirectsWithoutLimit(t *testing.T) {
	var log []seen
	e := open(t, engine.Config{RedirectLimit: -1}, redirector(t, &log, func(n int) *protocols.Response {
		if n == 50 {
			return reply(200, "there")
		}

		return reply(302, "", "Location", "/"+itoa(n+1))
	}))
	body, _, err := fetch(e, request(t, "GET", "https://a.example/0"), nil)
	if err != nil || string(body) != "there" {
		t.Errorf("%q, %v", body, err)
	}
}

func itoa(n int) string {
	if n < 10 {
		return string(rune('0' + n))
	}

	return itoa(n/10) + string(rune('0'+n%10))
}

func TestRedirectLoopEnds(t *testing.T) {
	var log []seen
	e := open(t, engine.Config{}, redirector(t, &log, func(int) *protocols.Response { return reply(307, "", "Location", "#") }))
	_, _, err := fetch(e, request(t, "GET", "https://a.example/"), nil)
	failure(t, err, protocols.HTTPTooManyRedirects)
	if len(log) != 21 {
		t.Errorf("%d requests, want 21", len(log))
	}
}

func TestRedirectSecrets(t *testing.T) {
	tests := []struct {
		to   string
		kept bool
	}{
		{"/same", true},
		{"https://A.EXAMPLE:443/", true},
		{"https://a.example:444/", false},
		{"https://b.example/", false},
		{"https://sub.a.example/", false},
		{"other://a.example/", false},
	}
	for _, tt := range tests {
		var log []seen
		respond := func(n int) *protocols.Response {
			if n == 0 {
				return reply(307, "", "Location", tt.to)
			}

			return reply(200, "")
		}
		https := redirector(t, &log, respond)
		other := https
		other.Name = "other"
		e := open(t, engine.Config{}, https, other)
		req := request(t, "GET", "https://a.example/", "Authorization", "Basic c2VjcmV0", "Cookie", "a=b", "Proxy-Authorization", "x", "X-Other", "1")
		if _, _, err := fetch(e, req, nil); err != nil {
			t.Errorf("%s: %v", tt.to, err)

			continue
		}
		for _, name := range []string{"Authorization", "Cookie", "Proxy-Authorization"} {
			if has := log[1].Header.Get(name) != ""; has != tt.kept {
				t.Errorf("to %s: %s is there: %v, want %v", tt.to, name, has, tt.kept)
			}
		}
		if log[1].Header.Get("X-Other") == "" {
			t.Errorf("to %s: another field was dropped", tt.to)
		}
	}
}

func TestRedirectBodyThatCannotBeReadAgain(t *testing.T) {
	var hops int
	post := func(_ context.Context, _ protocols.Client, req *protocols.Request) (*protocols.Response, error) {
		hops++
		if err := req.WriteBody(io.Discard); err != nil {
			return nil, err
		}

		return reply(307, "", "Location", "/again"), nil
	}
	e := open(t, engine.Config{}, scheme("https", protocols.Encrypted, post))
	req := request(t, "POST", "https://a.example/")
	req.Body = protocols.ReaderBody(io.MultiReader(strings.NewReader("once")))
	_, _, err := fetch(e, req, nil)
	got := failure(t, err, protocols.RequestBodyStreamExhausted)
	if hops != 2 || got.URL != "https://a.example/again" {
		t.Errorf("%d hops, failing %s", hops, got.URL)
	}
}

var errRefused = errors.New("refused by the app")

func TestRedirectDelegate(t *testing.T) {
	var log []seen
	first := &content{Reader: strings.NewReader("moved")}
	e := open(t, engine.Config{}, redirector(t, &log, func(n int) *protocols.Response {
		if n > 0 {
			return reply(200, "done")
		}
		r := reply(302, "moved", "Location", "/next")
		r.Body = first

		return r
	}))
	load := func(answer func(*protocols.Request) (*protocols.Request, error)) (string, *protocols.Response, error) {
		log, first.Reader, first.closed = nil, strings.NewReader("moved"), 0

		return fetch(e, request(t, "GET", "https://a.example/"), &engine.Task{
			Redirect: func(_ context.Context, resp *protocols.Response, next *protocols.Request) (*protocols.Request, error) {
				if resp.StatusCode != 302 {
					t.Errorf("asked for status %d", resp.StatusCode)
				}

				return answer(next)
			},
		})
	}
	body, resp, err := load(func(*protocols.Request) (*protocols.Request, error) { return nil, nil })
	if err != nil || resp.StatusCode != 302 || body != "moved" || len(log) != 1 {
		t.Errorf("refused: %q, %v, %v", body, resp, err)
	}
	body, _, err = load(func(next *protocols.Request) (*protocols.Request, error) {
		next.URL.Path = "/changed"
		next.Header.Set("Authorization", "mine")

		return next, nil
	})
	if err != nil || body != "done" || log[1].URL.Path != "/changed" || log[1].Header.Get("Authorization") != "mine" || first.closes() == 0 {
		t.Errorf("changed: %q, %v, %v", body, log, err)
	}
	_, _, err = load(func(*protocols.Request) (*protocols.Request, error) { return nil, errRefused })
	if failure(t, err, protocols.Unknown); !errors.Is(err, errRefused) || first.closes() == 0 {
		t.Errorf("failed: %v, body closed %d times", err, first.closes())
	}
	_, _, err = load(func(*protocols.Request) (*protocols.Request, error) { return &protocols.Request{}, nil })
	failure(t, err, protocols.BadURL)
}
