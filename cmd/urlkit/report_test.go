package main

import (
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

func TestVerbose(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/from" {
			http.Redirect(w, r, "/to", http.StatusFound)

			return
		}
		w.Header().Set("X-Answer", "42")
		_, _ = io.WriteString(w, "body")
	})
	r := try(t, "get", "-v", "-L", "-H", "X-Ask: 1", s.URL+"/from").want(t, 0)
	if r.out != "body" {
		t.Errorf("out is %q", r.out)
	}
	contains(t, "the report", r.err,
		`* request 1: http.loader takes "http"`, "* policy: 127.0.0.1: clear text allowed by local networking",
		"no TLS, http/1.1", "> GET "+s.URL+"/from\n", "> X-Ask: 1\n", "< HTTP/1.1 302 Found\n", "< Location: /to\n",
		"* request 2: ", "used before", "< X-Answer: 42\n", "* body: 4 B received, 4 B decoded\n", "* time: ",
		"2 requests, 1 redirect\n", "* total: ")
	r = try(t, "get", "-v", "http://example.com/").want(t, exitPolicy)
	contains(t, "the report of a refusal", r.err, "* error: ", "AllowsInsecureHTTPLoads")
}

func TestRecords(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/from":
			http.Redirect(w, r, "/to", http.StatusFound)
		case "/missing":
			http.NotFound(w, r)
		default:
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			_, _ = io.WriteString(w, "body")
		}
	})
	file := filepath.Join(t.TempDir(), "file")
	r := try(t, "get", "--json", "-f", "-L", "-o", file, s.URL+"/from?q=<&>", s.URL+"/missing", "http://example.com/", "http://[").want(t, exitStatus)
	var records []record
	for line := range strings.Lines(r.out) {
		var one record
		decoder := json.NewDecoder(strings.NewReader(line))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&one); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		records = append(records, one)
	}
	if len(records) != 4 {
		t.Fatalf("%d records:\n%s", len(records), r.out)
	}
	whole := records[0]
	if whole.URL != s.URL+"/from?q=<&>" || whole.FinalURL != s.URL+"/to" || whole.Status != 200 || whole.Protocol != "http/1.1" ||
		whole.Bytes != 4 || whole.File != file || whole.Type != "text/plain" || whole.Redirects != 1 || whole.Error != nil ||
		whole.Header["Content-Length"][0] != "4" || whole.Timing == nil || whole.Timing.Total <= 0 {
		t.Errorf("the record of a file is %+v", whole)
	}
	if n := len(whole.Transactions); n != 2 {
		t.Fatalf("%d transactions", n)
	}
	if first := whole.Transactions[0]; first.Status != 302 || first.Method != "GET" || first.Policy == "" || first.Remote == "" || first.Timing.Total <= 0 {
		t.Errorf("the first transaction is %+v", first)
	}
	// Whether its connection had served the first is for the other URLs to decide, which
	// want one too.
	if second := whole.Transactions[1]; second.Decoded != 4 || second.URL != s.URL+"/to" {
		t.Errorf("the second transaction is %+v", second)
	}
	if e := records[1].Error; e == nil || e.Exit != 22 || e.Code != 0 || records[1].Status != 404 {
		t.Errorf("the record of a 404 is %+v, %+v", records[1], e)
	}
	if e := records[2].Error; e == nil || e.Exit != exitPolicy || e.Code != -1022 || e.Name != "appTransportSecurityRequiresSecureConnection" || e.Message == "" {
		t.Errorf("the record of a refusal is %+v, %+v", records[2], e)
	}
	if e := records[3].Error; e == nil || e.Exit != exitURL || e.Code != -1000 || records[3].Transactions == nil {
		t.Errorf("the record of a bad URL is %+v, %+v", records[3], e)
	}
	if got := content(t, file); got != "body" {
		t.Errorf("the file is %q", got)
	}
}

// A URL alone keeps its connection for the next hop.
func TestRecordOfAReusedConnection(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/from" {
			http.Redirect(w, r, "/to", http.StatusFound)
		}
	})
	alone := try(t, "get", "--json", "-L", s.URL+"/from").want(t, 0)
	var one record
	if err := json.Unmarshal([]byte(alone.out), &one); err != nil || len(one.Transactions) != 2 || !one.Transactions[1].Reused {
		t.Errorf("the second transaction of a URL alone has another connection: %v, %s", err, alone.out)
	}
}

func TestExplain(t *testing.T) {
	r := try(t, "explain", "https://example.com/a?secret=1").want(t, 0)
	contains(t, "the explanation", r.out, "GET https://example.com/a?...\n", "lookup", "gate", "redirect", "decode")
	r = try(t, "explain", "http://example.com/").want(t, exitPolicy)
	contains(t, "the refusal", r.out, "AllowsInsecureHTTPLoads")
	if r.err != "" {
		t.Errorf("the refusal stands twice: %q", r.err)
	}
	try(t, "explain", "--allow-insecure-http", "example.com", "http://example.com/").want(t, 0)
	try(t, "explain", "gopher://example.com/").want(t, exitScheme)
	try(t, "explain", "http://[").want(t, exitURL)
	r = try(t, "explain", "-X", "POST", "https://example.com/").want(t, 0)
	contains(t, "the explanation", r.out, "POST https://example.com/")

	var e explanation
	r = try(t, "explain", "--json", "http://example.com/").want(t, exitPolicy)
	if err := json.Unmarshal([]byte(r.out), &e); err != nil {
		t.Fatalf("%v: %s", err, r.out)
	}
	if !e.Refused || e.Error == nil || e.Error.Code != -1022 || len(e.Steps) != 2 || e.Steps[1].Stage != "gate" {
		t.Errorf("the record of a refusal is %+v", e)
	}
	r = try(t, "explain", "--json", "https://example.com/").want(t, 0)
	e = explanation{}
	if err := json.Unmarshal([]byte(r.out), &e); err != nil || e.Refused || e.Error != nil || len(e.Steps) < 5 {
		t.Errorf("the record is %+v, %v", e, err)
	}
}
