package main

import (
	"net/http"
	"path/filepath"
	"sync/atomic"
	"testing"
)

// What one command stores, another finds, and explain tells.
func TestCacheFlag(t *testing.T) {
	var asked atomic.Int32
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.Header().Set("Cache-Control", "max-age=1000")
		_, _ = w.Write([]byte("body"))
	})
	dir := filepath.Join(t.TempDir(), "cache")
	r := try(t, "explain", "--cache", dir, s.URL).want(t, 0)
	contains(t, "the first explanation", r.out, "nothing is stored")
	r = try(t, "get", "-v", "--cache", dir, s.URL).want(t, 0)
	contains(t, "the first report", r.err, "* from: the network\n", "* cache: miss", "stored")
	r = try(t, "get", "-v", "--cache", dir, s.URL).want(t, 0)
	contains(t, "the second report", r.err, "* from: the cache\n", "* cache: hit: fresh")
	if n := asked.Load(); r.out != "body" || n != 1 {
		t.Errorf("the second body is %q after %d requests", r.out, n)
	}
	r = try(t, "explain", "--cache", dir, s.URL).want(t, 0)
	contains(t, "the explanation", r.out, "cache     serve: fresh")
	r = try(t, "explain", s.URL).want(t, 0)
	contains(t, "the explanation without a folder", r.out, "nothing is stored")
	file := write(t, filepath.Join(t.TempDir(), "file"), "")
	r = try(t, "get", "-v", "--cache", file, s.URL).want(t, 0)
	contains(t, "the report with a folder that is none", r.err, "* from: the network\n", "* cache: ", "not stored")
	out := filepath.Join(t.TempDir(), "out")
	r = try(t, "get", "-v", "--cache", dir, "-o", out, s.URL).want(t, 0)
	contains(t, "the report of a file", r.err, "* cache: hit: fresh")
	if got := content(t, out); got != "body" {
		t.Errorf("the file is %q", got)
	}
}
