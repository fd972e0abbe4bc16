package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/urlkit/urlkit/internal/leak"
)

// asCommand makes the test binary the command, for tests that need a process.
const asCommand = "URLKIT_TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
	}
	os.Exit(m.Run())
}

// result is what a command left.
type result struct {
	status   int
	out, err string
}

// try runs the command in this process.
func try(t *testing.T, args ...string) result {
	t.Helper()

	return tryWith(t.Context(), t, "", args...)
}

func tryWith(ctx context.Context, t *testing.T, stdin string, args ...string) result {
	t.Helper()
	var out, err bytes.Buffer
	status := run(ctx, args, streams{in: io.MultiReader(strings.NewReader(stdin)), out: &out, err: &err})

	return result{status, out.String(), err.String()}
}

// want fails the test unless the command ended with a status.
func (r result) want(t *testing.T, status int) result {
	t.Helper()
	if r.status != status {
		t.Fatalf("exit status %d, want %d\nout: %s\nerr: %s", r.status, status, r.out, r.err)
	}

	return r
}

// serve starts a server on loopback. No goroutine may be left when the test ends.
func serve(t *testing.T, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	leak.Check(t)
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)

	return s
}

// text is a handler that answers with a text.
func text(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }
}

// files are the names in a folder.
func files(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{}
	for _, e := range entries {
		names = append(names, e.Name())
	}

	return names
}

// content reads a file.
func content(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}

	return string(data)
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}

	return name
}

func contains(t *testing.T, what, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%s lacks %q:\n%s", what, part, text)
		}
	}
}

func lacks(t *testing.T, what, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if strings.Contains(text, part) {
			t.Errorf("%s has %q:\n%s", what, part, text)
		}
	}
}

func TestHelp(t *testing.T) {
	r := try(t, "get", "--help").want(t, 0)
	contains(t, "help", r.out, "Examples:", "--upload-file", "Exit status", " 28  a time-out", "130")
	_, flags, _ := strings.Cut(r.out, "\nWhere bodies go:\n")
	contains(t, "the flags", flags, "\nWhat is sent:\n", "\nNetwork:\n", "--retry NUMBER", "--allow-insecure-http HOST")
	if _, rest, _ := strings.Cut(flags, "\nHelp:\n"); strings.Count(rest, "--") != 1 {
		t.Errorf("flags of no group: %s", rest)
	}
	contains(t, "help", try(t, "explain", "--help").want(t, 0).out, "Examples:", "120")
	contains(t, "help", try(t).want(t, 0).out, "explain", "get", "version", "completion")
	contains(t, "the version", try(t, "version").want(t, 0).out, "urlkit ", "go1.")
	contains(t, "the completion", try(t, "completion", "bash").want(t, 0).out, "__start_urlkit")
}

func TestUsage(t *testing.T) {
	dir := t.TempDir()
	for _, args := range [][]string{
		{"get"},
		{"get", "--nonsense", "data:,x"},
		{"get", "--har", "-", "data:,x"},
		{"get", "--http3", "--no-http3", "data:,x"},
		{"frobnicate"},
		{"https://example.com/"},
		{"get", "--max-time", "soon", "data:,x"},
		{"get", "--max-time", "-1", "data:,x"},
		{"get", "-u", "nobody", "data:,x"},
		{"get", "-d", "x", "-T", "x", "data:,x"},
		{"get", "-T", "a", "-T", "b", "data:,x"},
		{"get", "-d", "@-", "-d", "@-", "data:,x"},
		{"get", "-I", "-O", "data:,x"},
		{"get", "-o", "a", "-o", "b", "data:,x"},
		{"get", "-o", "", "data:,x"},
		{"get", "-o", dir + "/a", "-o", dir + "/a", "data:,x", "data:,y"},
		{"get", "--json", "-o", "-", "data:,x"},
		{"get", "--http1.1", "--http2", "data:,x"},
		{"get", "--http2", "--http3", "data:,x"},
		{"get", "--no-http3", "--http3", "data:,x"},
		{"get", "--key", "k", "data:,x"},
		{"get", "-H", "no colon", "data:,x"},
		{"get", "--allow-insecure-http", "not a host", "data:,x"},
		{"explain"},
		{"explain", "data:,a", "data:,b"},
		{"explain", "-H", "no colon", "data:,a"},
	} {
		r := try(t, args...).want(t, exitUsage)
		if hint := strings.Contains(r.err, "urlkit get URL"); hint != (args[0] == "https://example.com/") {
			t.Errorf("%q: %s", args, r.err)
		}
		if r.out != "" || !strings.HasPrefix(r.err, "urlkit: ") {
			t.Errorf("%q: out %q, err %q", args, r.out, r.err)
		}
	}
	if names := files(t, dir); len(names) > 0 {
		t.Errorf("wrong usage made %v", names)
	}
}
