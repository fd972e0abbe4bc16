//go:build !race

package main

import (
	"os"
	"runtime"
	"testing"

	"github.com/urlkit/urlkit/bench/internal/child"
)

func TestMain(m *testing.M) {
	child.Main(roles)
	os.Exit(m.Run())
}

// The race detector needs memory of its own, so that this is not for its runs.
func TestMemoryInFlight(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("resident memory is read from /proc, which is Linux's")
	}
	const requests, most = 10000, 20 << 10
	r, err := measure(requests)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(r)
	if r.Requests != requests || r.Connections != 1 {
		t.Errorf("%d requests over %d connections, want %d over one", r.Requests, r.Connections, requests)
	}
	if each := r.each(); each <= 0 || each > most {
		t.Errorf("%d bytes of resident memory for each request in flight, want at most %d", each, most)
	}
}
