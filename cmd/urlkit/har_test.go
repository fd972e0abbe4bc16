package main

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/urlkit/urlkit/har"
)

func TestHAR(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/from" {
			http.Redirect(w, r, "/to", http.StatusFound)

			return
		}
		_, _ = io.WriteString(w, "the body")
	})
	folder := t.TempDir()
	file := filepath.Join(folder, "session.har")
	try(t, "get", "--har", file, "--har-bodies", "3", "-L", "-H", "Authorization: Bearer SECRET", s.URL+"/from?token=SECRET",
		"-o", filepath.Join(folder, "saved"), "nothing:x").want(t, exitScheme)
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	log, err := har.Read(f, har.Limits{})
	if err != nil || len(log.Entries) != 3 {
		t.Fatalf("%+v, %v", log, err)
	}
	texts := ""
	for _, e := range log.Entries {
		texts += e.Response.Content.Text
	}
	lacks(t, "the log", content(t, file), "SECRET")
	if texts != "the" {
		t.Errorf("bodies are %q", texts)
	}
	try(t, "get", "--har", filepath.Join(folder, "no", "x.har"), "data:,x").want(t, exitWrite)
	try(t, "get", "--har", file, "-o", file, "data:,x").want(t, exitUsage)
	try(t, "get", "--har-bodies", "3", "data:,x").want(t, exitUsage)
	if entries, err := os.ReadDir(folder); err != nil || len(entries) != 2 {
		t.Errorf("%v are left, %v", entries, err)
	}
}

// All of a transaction is in the report.
func TestVerboseCounts(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "ok")
	})
	r := try(t, "get", "-v", "-d", strings.Repeat("a", 5000), s.URL+"/?password=SECRET").want(t, 0)
	contains(t, "the report", r.err, "* from: the network\n", "> User-Agent: urlkit/", " head sent, 4.9 KiB body sent, of 4.9 KiB, ", " head received\n", "?password=REDACTED")
	lacks(t, "the report", r.err, "SECRET")
	r = try(t, "get", "-v", "data:,x").want(t, 0)
	contains(t, "the report", r.err, "* from: the protocol itself\n")
}
