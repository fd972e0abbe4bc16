//go:build unix

package main

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/urlkit/urlkit/bench/internal/child"
)

func TestMain(m *testing.M) {
	child.Main(roles)
	os.Exit(m.Run())
}

// A short run: the figures are printed and not judged.
func TestRun(t *testing.T) {
	var table strings.Builder
	if err := run(t.Context(), &table, 1, time.Millisecond, 1<<20+1); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(table.String(), "\n"); n != 7 {
		t.Errorf("%d lines", n)
	}
	t.Logf("\n%s", table.String())
}
