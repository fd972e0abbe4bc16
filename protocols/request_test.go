package protocols_test

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/urlkit/urlkit/protocols"
)

func newRequest(t testing.TB, method, rawURL string, body *protocols.Body) *protocols.Request {
	t.Helper()
	req, err := protocols.NewRequest(method, rawURL, body)
	if err != nil {
		t.Fatal(err)
	}

	return req
}

func TestNewRequest(t *testing.T) {
	tests := []struct{ raw, scheme, host, path, opaque, fragment string }{
		{"https://example.com/a%20b?q#f", "https", "example.com", "/a b", "", "f"},
		{" \t\r\n https://example.com/ \n", "https", "example.com", "/", "", ""},
		{"HTTPS://example.com", "https", "example.com", "", "", ""},
		{"echo://host:7", "echo", "host:7", "", "", ""},
		{"https://[::1]:8443/", "https", "[::1]:8443", "/", "", ""},
		{"data:,A%20%zz\x01#f", "data", "", "", ",A%20%zz\x01", "f"},
		{"DATA:text/plain;charset=utf-8,a?b", "data", "", "", "text/plain;charset=utf-8,a?b", ""},
		{"data:", "data", "", "", "", ""},
		{"mailto:someone@example.com", "mailto", "", "", "someone@example.com", ""},
		{"file:///tmp/x", "file", "", "/tmp/x", "", ""},
	}
	for _, test := range tests {
		req := newRequest(t, "GET", test.raw, nil)
		got := [...]string{req.URL.Scheme, req.URL.Host, req.URL.Path, req.URL.Opaque, req.URL.Fragment}
		if want := [...]string{test.scheme, test.host, test.path, test.opaque, test.fragment}; got != want {
			t.Errorf("%q gives %q, want %q", test.raw, got, want)
		}
		if req.Header == nil || req.Body != nil || req.Method != "GET" {
			t.Errorf("%q: request %+v", test.raw, req)
		}
	}
}

// A URL that is none gives BadURL and says why; a user's secrets are not in it.
func TestNewRequestRefuses(t *testing.T) {
	tests := []struct{ raw, want string }{
		{"", "no scheme"},
		{"example.com/x", "did you mean https://example.com/x?"},
		{"//example.com/x", "did you mean https://example.com/x?"},
		{"user_secret@example.com/", "did you mean https://example.com/?"},
		{"http://a b/", "invalid character"},
		{"http://host:port/", `invalid port ":port"`},
		{"http://host/\x00x", "invalid control character"},
		{"http://user:secret@ho st/", "invalid character"},
		{"http://user:secret/word@host/", "invalid port"},
		{"http://user:%secret@host/", "invalid URL escape"},
		{"http://us er:secret@host/", "userinfo"},
		{"://user:secret@host", "missing protocol scheme"},
		{"1http://user:secret@host", "first path segment"},
		{"http://[::1/", "missing ']'"},
	}
	for _, test := range tests {
		_, err := protocols.NewRequest("GET", test.raw, nil)
		var e *protocols.Error
		if !errors.As(err, &e) || e.Code != protocols.BadURL || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: %v, want %q", test.raw, err, test.want)
		}
		if err != nil && strings.Contains(err.Error(), "sec") {
			t.Errorf("%q: %v tells the secret", test.raw, err)
		}
	}
}

func TestClone(t *testing.T) {
	req := newRequest(t, "PUT", "https://example.com/a", protocols.StringBody("x"))
	req.MainDocumentURL = &url.URL{Scheme: "https", Host: "main"}
	req.Header.Set("A", "1")
	req.SetProperty("org.example.mark", 1)
	c := req.Clone()
	c.URL.Path, c.MainDocumentURL.Host, c.Method = "/b", "other", "GET"
	c.Header.Set("A", "2")
	c.Header.Set("B", "2")
	c.SetProperty("org.example.mark", 2)
	c.SetProperty("org.example.more", 2)
	if req.URL.Path != "/a" || req.MainDocumentURL.Host != "main" || req.Method != "PUT" || len(req.Header) != 1 ||
		req.Header.Get("A") != "1" || req.Property("org.example.mark") != 1 || req.Property("org.example.more") != nil {
		t.Errorf("a change of the copy shows in the original: %+v", req)
	}
	if c.Body != req.Body {
		t.Error("the body, a factory, is not shared")
	}
	c.RemoveProperty("org.example.mark")
	if c.Property("org.example.mark") != nil || req.Property("org.example.mark") == nil {
		t.Error("RemoveProperty missed, or reached the original")
	}
	zero := (&protocols.Request{}).Clone()
	if zero.URL != nil || zero.Property("x") != nil {
		t.Errorf("the copy of nothing is %+v", zero)
	}
	zero.RemoveProperty("x")
}

func TestHostPort(t *testing.T) {
	tests := []struct {
		raw  string
		port int
		want string
	}{
		{"echo://host", 7, "host:7"},
		{"echo://host:9/x", 7, "host:9"},
		{"echo://[::1]", 7, "[::1]:7"},
		{"echo://[fe80::1%25eth0]:9", 7, "[fe80::1%eth0]:9"},
		{"echo://host:", 7, "host:7"},
		{"echo://user:pass@host", 7, "host:7"},
	}
	for _, test := range tests {
		req := newRequest(t, "GET", test.raw, nil)
		req.DefaultPort = test.port
		if got := req.HostPort(); got != test.want {
			t.Errorf("%s: %q, want %q", test.raw, got, test.want)
		}
	}
	if got := (&protocols.Request{}).HostPort(); got != "" {
		t.Errorf("no URL: %q", got)
	}
}

func TestRequestString(t *testing.T) {
	req := newRequest(t, "", "https://user:secret@example.com/a?token=secret#secret", nil)
	if got := req.String(); got != "GET https://example.com/a?..." {
		t.Errorf("got %q", got)
	}
}

func TestValidate(t *testing.T) {
	good := newRequest(t, "PROPFIND", "https://example.com/a?b=c", protocols.StringBody("x"))
	good.Header = http.Header{"X-Tab": {"a\tb"}, "X-Latin": {"\xe9"}, "X-Empty": {""}}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		code   protocols.Code
		change func(r *protocols.Request)
	}{
		{"no URL", protocols.UnsupportedURL, func(r *protocols.Request) { r.URL = nil }},
		{"method with a blank", protocols.BadURL, func(r *protocols.Request) { r.Method = "GET /secret" }},
		{"method with a line", protocols.BadURL, func(r *protocols.Request) { r.Method = "GET\r\nA: secret" }},
		{"name with a colon", protocols.BadURL, func(r *protocols.Request) { r.Header["A:"] = []string{"secret"} }},
		{"no name", protocols.BadURL, func(r *protocols.Request) { r.Header[""] = []string{"secret"} }},
		{"value with CR", protocols.BadURL, func(r *protocols.Request) { r.Header["A"] = []string{"secret\r"} }},
		{"value with LF", protocols.BadURL, func(r *protocols.Request) { r.Header["A"] = []string{"secret\nB: c"} }},
		{"value with NUL", protocols.BadURL, func(r *protocols.Request) { r.Header["A"] = []string{"ok", "secret\x00"} }},
		{"value with DEL", protocols.BadURL, func(r *protocols.Request) { r.Header["A"] = []string{"secret\x7f"} }},
		{"query with a line", protocols.BadURL, func(r *protocols.Request) { r.URL.RawQuery = "secret\r\nA: b" }},
		{"host with a line", protocols.BadURL, func(r *protocols.Request) { r.URL.Host = "secret\r\nA: b" }},
		{"opaque with a line", protocols.BadURL, func(r *protocols.Request) { r.URL.Opaque = "//secret\r\nA: b" }},
		{"bytes of another length", protocols.RequestBodyStreamExhausted, func(r *protocols.Request) { r.Body = &protocols.Body{Length: 2, Bytes: []byte("x")} }},
	}
	for _, test := range tests {
		r := good.Clone()
		test.change(r)
		err := r.Validate()
		if !errors.Is(err, test.code) {
			t.Errorf("%s: %v", test.name, err)
		}
		if err != nil && test.name[0] != 'm' && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v tells the value", test.name, err)
		}
	}
	if err := newRequest(t, "", "data:,a\r\nb", nil).Validate(); err != nil {
		t.Errorf("a data URL is not sent: %v", err)
	}
}

func FuzzNewRequest(f *testing.F) {
	for _, raw := range []string{"https://example.com/", "data:,x", "user:secret@host", "http://[::1", "//a@b", "?", "a:b:c@d?e", "\x00"} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		req, err := protocols.NewRequest("GET", raw, nil)
		if err != nil {
			if !errors.Is(err, protocols.BadURL) || err.Error() == "" {
				t.Errorf("%q: %v", raw, err)
			}

			return
		}
		if req.URL.Scheme == "" {
			t.Errorf("%q gives %+v", raw, req.URL)
		}
		if err := req.Validate(); err != nil && !errors.Is(err, protocols.BadURL) {
			t.Errorf("%q: %v", raw, err)
		}
		_, _ = req.HostPort(), req.String()
	})
}

// What Validate lets through cannot split a message.
func FuzzValidate(f *testing.F) {
	f.Add("GET", "Name", "value", "q=1")
	f.Add("G T", "Na:me", "a\r\nb", "\n")
	f.Fuzz(func(t *testing.T, method, name, value, query string) {
		req := &protocols.Request{
			Method: method, URL: &url.URL{Scheme: "http", Host: "host", RawQuery: query}, Header: http.Header{name: {value}},
		}
		if req.Validate() != nil {
			return
		}
		line := method + " " + req.URL.RequestURI() + " " + name + ": " + value
		if strings.ContainsAny(line, "\r\n\x00") || strings.ContainsAny(method+name, " :\t") || name == "" {
			t.Errorf("%q was let through", line)
		}
	})
}
