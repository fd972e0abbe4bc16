package main

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/urlkit/urlkit/storage"
	"github.com/urlkit/urlkit/storage/cookie"
)

// visited sets a cookie of each kind, echoes those that came, and redirects.
func visited(w http.ResponseWriter, r *http.Request) {
	if to := r.URL.Query().Get("to"); to != "" {
		http.Redirect(w, r, to, http.StatusFound)

		return
	}
	http.SetCookie(w, &http.Cookie{Name: "long", Value: "1", MaxAge: 1000, HttpOnly: true})
	http.SetCookie(w, &http.Cookie{Name: "session", Value: "2"})
	_, _ = w.Write([]byte(r.Header.Get("Cookie") + "|"))
}

func TestCookieFlags(t *testing.T) {
	s := serve(t, visited)
	dir := t.TempDir()
	jar := filepath.Join(dir, "jar")
	elsewhere := strings.Replace(s.URL, "127.0.0.1", "localhost", 1)
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"several URLs", []string{s.URL, s.URL}, "|long=1; session=2|"},
		{"pairs", []string{"-b", "a=1; b=2;", "-b", "c=3", s.URL, s.URL}, "a=1; b=2; c=3|long=1; session=2; a=1; b=2; c=3|"},
		{"pairs and a redirect to the host", []string{"-b", "a=1", "-L", s.URL + "/?to=/x"}, "a=1|"},
		{"pairs and a redirect to another", []string{"-b", "a=1", "-L", s.URL + "/?to=" + url.QueryEscape(elsewhere)}, "|"},
		{"pairs for both", []string{"-b", "a=1", s.URL, elsewhere}, "a=1|a=1|"},
		{"a file that is not there", []string{"-b", jar, "-c", jar, s.URL}, "|"},
		{"a file", []string{"-b", jar, s.URL}, "long=1; session=2|"},
		{"a file and pairs", []string{"-b", jar, "-b", "a=1", s.URL}, "long=1; session=2; a=1|"},
		{"a file for another host", []string{"-b", jar, elsewhere}, "|"},
		{"nothing", []string{"-b", "", s.URL}, "|"},
	}
	for _, tt := range tests {
		if r := try(t, append([]string{"get", "-s"}, tt.args...)...).want(t, 0); r.out != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, r.out, tt.want)
		}
	}
	got := content(t, jar)
	contains(t, "the jar", got, "# Netscape HTTP Cookie File\n#HttpOnly_127.0.0.1\tFALSE\t/\tFALSE\t", "\tlong\t1\n", "127.0.0.1\tFALSE\t/\tFALSE\t0\tsession\t2\n")
	if info, err := os.Stat(jar); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("the jar is %v, %v", info, err)
	}
	if r := tryWith(t.Context(), t, got, "get", "-s", "-b", "-", "-c", "-", s.URL).want(t, 0); r.out != "long=1; session=2|"+got[:strings.IndexByte(got, '\n')+1]+r.out[strings.Index(r.out, "#HttpOnly"):] {
		t.Errorf("by standard input and output: %q", r.out)
	}
}

// Encrypted hosts' cookies do not leave in clear text, and secrets are not shown.
func TestCookieSecrets(t *testing.T) {
	jar := &cookieJar{Store: cookie.NewStore(), pairs: "a=1", hosts: map[string]bool{"a.test": true, "b.test": false}}
	for from, want := range map[string]string{"https://A.test/": "a=1", "http://a.test/": "", "http://b.test/": "a=1", "https://b.test/": "a=1", "https://c.test/": ""} {
		u, err := url.Parse(from)
		if err != nil {
			t.Fatal(err)
		}
		if got := jar.CookieHeader(&storage.CookieQuery{URL: u}); got != want {
			t.Errorf("%s gets %q", from, got)
		}
	}
	s := serve(t, visited)
	r := try(t, "get", "-v", "-b", "a=hidden", s.URL).want(t, 0)
	lacks(t, "the report", r.err, "hidden")
	contains(t, "the body", r.out, "a=hidden")
}

func TestCookieUsage(t *testing.T) {
	s := serve(t, visited)
	dir := t.TempDir()
	bad := write(t, filepath.Join(dir, "bad"), "no cookie\nof secret\n")
	some := write(t, filepath.Join(dir, "some"), "no cookie\n127.0.0.1\tFALSE\t/\tFALSE\t0\tn\tv\n")
	r := try(t, "get", "-b", bad, s.URL).want(t, exitRead)
	contains(t, "the error", r.err, "2 lines, the first is line 1")
	lacks(t, "the error", r.err, "secret")
	if r := try(t, "get", "-b", some, s.URL).want(t, 0); r.out != "n=v|" {
		t.Errorf("a file with some cookies: %q", r.out)
	}
	try(t, "get", "-b", dir, s.URL).want(t, exitRead)
	try(t, "get", "-c", filepath.Join(dir, "missing", "jar"), s.URL).want(t, exitWrite)
	try(t, "get", "--json", "-c", "-", s.URL).want(t, exitUsage)
	try(t, "get", "-b", "-", "-d", "@-", s.URL).want(t, exitUsage)
	try(t, "get", "-c", filepath.Join(dir, "jar"), "gopher://x/").want(t, exitScheme) // written all the same
	if got := files(t, dir); strings.Join(got, " ") != "bad jar some" {
		t.Errorf("files are %q", got)
	}
}
