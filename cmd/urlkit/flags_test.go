package main

import (
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// seen is what the server got.
type seen struct {
	Method, URI, Host, Body, Coding string
	Header                          http.Header
}

func (s *seen) of(r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	*s = seen{r.Method, r.RequestURI, r.Host, string(body), strings.Join(r.TransferEncoding, ","), r.Header}
}

func echo(w http.ResponseWriter, r *http.Request) {
	var s seen
	s.of(r)
	_ = json.NewEncoder(w).Encode(s)
}

func TestRequestFlags(t *testing.T) {
	s := serve(t, echo)
	dir := t.TempDir()
	up := write(t, filepath.Join(dir, "up load.txt"), "content")
	lines := write(t, filepath.Join(dir, "lines"), "a=1\r\nb=2\n")
	fields := write(t, filepath.Join(dir, "fields"), "X-One: 1\n\nX-Two: 2\r\n")
	form := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	tests := []struct {
		name   string
		args   []string
		path   string
		stdin  string
		want   seen
		absent []string
	}{
		{name: "nothing", want: seen{Method: "GET", Header: http.Header{"Accept": {"*/*"}}}},
		{name: "-X", args: []string{"-X", "PATCH"}, want: seen{Method: "PATCH"}},
		{name: "-H", args: []string{"-H", "X-A: 1", "-H", "x-a:2", "-H", "X-Empty;", "-H", "Accept:", "-H", "Host: other.example"}, want: seen{
			Method: "GET", Host: "other.example", Header: http.Header{"X-A": {"1", "2"}, "X-Empty": {""}},
		}, absent: []string{"Accept"}},
		{name: "-H @file", args: []string{"-H", "@" + fields}, want: seen{Method: "GET", Header: http.Header{"X-One": {"1"}, "X-Two": {"2"}}}},
		{name: "-A and -e", args: []string{"-A", "me", "-e", "https://from.example/"}, want: seen{
			Method: "GET", Header: http.Header{"User-Agent": {"me"}, "Referer": {"https://from.example/"}},
		}},
		{name: "-A empty", args: []string{"-A", ""}, want: seen{Method: "GET"}, absent: []string{"User-Agent"}},
		{name: "-r", args: []string{"-r", "0-99"}, want: seen{Method: "GET", Header: http.Header{"Range": {"bytes=0-99"}}}},
		{name: "-d", args: []string{"-d", "a=1", "-d", "b=2"}, want: seen{Method: "POST", Body: "a=1&b=2", Header: form}},
		{name: "-d empty", args: []string{"-d", ""}, want: seen{Method: "POST", Header: form}},
		{name: "-d @file", args: []string{"-d", "@" + lines}, want: seen{Method: "POST", Body: "a=1b=2", Header: form}},
		{name: "-d @-", args: []string{"-d", "@-"}, stdin: "\xff\x00x\n", want: seen{Method: "POST", Body: "\ufffdx", Header: form}},
		{name: "-d -X -H", args: []string{"-d", "{}", "-X", "PUT", "-H", "Content-Type: application/json"}, want: seen{
			Method: "PUT", Body: "{}", Header: http.Header{"Content-Type": {"application/json"}},
		}},
		{name: "-T", args: []string{"-T", up}, path: "/as", want: seen{Method: "PUT", URI: "/as", Body: "content"}},
		{name: "-T to a folder", args: []string{"-T", up}, path: "/in/?q", want: seen{Method: "PUT", URI: "/in/up%20load.txt?q", Body: "content"}},
		{name: "-T -", args: []string{"-T", "-"}, stdin: "piped", path: "/in/", want: seen{Method: "PUT", URI: "/in/", Body: "piped", Coding: "chunked"}},
		{name: "-T -X", args: []string{"-T", up, "-X", "POST"}, want: seen{Method: "POST", Body: "content"}, absent: []string{"Content-Type"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if test.path == "" {
				test.path = "/x"
			}
			args := append([]string{"get"}, test.args...)
			r := tryWith(t.Context(), t, test.stdin, append(args, s.URL+test.path)...).want(t, 0)
			var got seen
			if err := json.Unmarshal([]byte(r.out), &got); err != nil {
				t.Fatalf("%v: %s", err, r.out)
			}
			test.want.check(t, got, test.absent)
		})
	}
}

// check compares what a test names.
func (s seen) check(t *testing.T, got seen, absent []string) {
	t.Helper()
	if got.Method != s.Method || s.URI != "" && got.URI != s.URI || s.Host != "" && got.Host != s.Host ||
		got.Body != s.Body || s.Coding != "" && got.Coding != s.Coding {
		t.Errorf("the server got %+v, want %+v", got, s)
	}
	for name, values := range s.Header {
		if !reflect.DeepEqual(got.Header[name], values) {
			t.Errorf("%s is %q, want %q", name, got.Header[name], values)
		}
	}
	for _, name := range absent {
		if values, ok := got.Header[name]; ok {
			t.Errorf("%s was sent: %q", name, values)
		}
	}
}

func TestHead(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) { w.Header().Set("X-Method", r.Method) })
	r := try(t, "get", "-I", s.URL).want(t, 0)
	contains(t, "the head", r.out, "HTTP/1.1 200 OK\r\n", "X-Method: HEAD\r\n", "\r\n\r\n")
}

func TestLocation(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/from":
			w.Header().Set("Location", "/to")
			w.WriteHeader(http.StatusFound)
			_, _ = io.WriteString(w, "over there")
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		default:
			_, _ = io.WriteString(w, "here")
		}
	})
	if r := try(t, "get", s.URL+"/from").want(t, 0); r.out != "over there" {
		t.Errorf("without -L: %q", r.out)
	}
	if r := try(t, "get", "-L", s.URL+"/from").want(t, 0); r.out != "here" {
		t.Errorf("with -L: %q", r.out)
	}
	try(t, "get", "-L", s.URL+"/loop").want(t, exitRedirects)
	file := filepath.Join(t.TempDir(), "f")
	try(t, "get", "-s", "-L", "-o", file, s.URL+"/from").want(t, 0)
	if got := content(t, file); got != "here" {
		t.Errorf("with -L and -o: %q", got)
	}
}

func TestFail(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "nothing here", http.StatusNotFound) })
	if r := try(t, "get", s.URL).want(t, 0); r.out != "nothing here\n" {
		t.Errorf("without -f: %q", r.out)
	}
	r := try(t, "get", "-f", s.URL).want(t, exitStatus)
	if r.out != "" {
		t.Errorf("with -f: %q", r.out)
	}
	contains(t, "the error", r.err, "(22)", "404 Not Found", s.URL)
	dir := t.TempDir()
	try(t, "get", "-f", "-o", dir+"/f", s.URL).want(t, exitStatus)
	if names := files(t, dir); len(names) > 0 {
		t.Errorf("-f left %v", names)
	}
}

func TestSilent(t *testing.T) {
	s := serve(t, http.NotFound)
	if r := try(t, "get", "-s", "-f", "-o", t.TempDir()+"/f", s.URL).want(t, exitStatus); r.err != "" {
		t.Errorf("-s said %q", r.err)
	}
	if r := try(t, "get", "-sS", "-f", "-o", t.TempDir()+"/f", s.URL).want(t, exitStatus); strings.Count(r.err, "\n") != 1 {
		t.Errorf("-sS said %q", r.err)
	}
}

// -u answers a challenge once, and only of the host that was named.
func TestUser(t *testing.T) {
	var unasked int
	guarded := func(w http.ResponseWriter, r *http.Request) {
		user, password, ok := r.BasicAuth()
		if r.URL.Query().Has("count") && ok {
			unasked++
		}
		if user != "me" || password != "pass:word" {
			w.Header().Set("WWW-Authenticate", `Basic realm="r"`)
			w.WriteHeader(http.StatusUnauthorized)

			return
		}
		_, _ = io.WriteString(w, "welcome")
	}
	other := serve(t, guarded)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/open":
			if _, ok := r.Header["Authorization"]; ok {
				unasked++
			}
		case "/away":
			http.Redirect(w, r, other.URL+"/?count", http.StatusFound)
		default:
			guarded(w, r)
		}
	})
	if r := try(t, "get", "-u", "me:pass:word", s.URL).want(t, 0); r.out != "welcome" {
		t.Errorf("with -u: %q", r.out)
	}
	try(t, "get", "-f", "-u", "me:wrong", s.URL).want(t, exitStatus)
	try(t, "get", "-u", "me:pass:word", s.URL+"/open").want(t, 0)
	try(t, "get", "-f", "-L", "-u", "me:pass:word", s.URL+"/away").want(t, exitStatus)
	if unasked > 0 {
		t.Errorf("the password was sent %d times to where it does not belong", unasked)
	}
	named := strings.Replace(s.URL, "http://", "http://me:wrong@", 1)
	if r := try(t, "get", "-u", "me:pass:word", named).want(t, 0); r.out != "welcome" {
		t.Errorf("-u and user info: %q", r.out)
	}
}
