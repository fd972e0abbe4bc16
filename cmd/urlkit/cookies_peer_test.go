package main

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/urlkit/urlkit/internal/peer"
)

// What curl writes is read, and the other way round.
func TestPeerCurlCookies(t *testing.T) {
	p := peer.Start(t, "nginx.sh", peer.TCP, peer.TCP)
	url := "http://" + p.Addr(0)
	dir := t.TempDir()
	curl := func(args ...string) string {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), "curl", append([]string{"-s"}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("curl %q: %v\n%s", args, err, out)
		}

		return string(out)
	}
	theirs, ours := filepath.Join(dir, "theirs"), filepath.Join(dir, "ours")
	curl("-c", theirs, url+"/cookie")
	try(t, "get", "-s", "-b", theirs, "-c", ours, url+"/cookie").want(t, 0)
	r := try(t, "get", "-s", "-b", theirs, url+"/echo").want(t, 0)
	contains(t, "with curl's file", r.out, "Cookie: ", "a=1", "b=2")
	contains(t, "curl with ours", curl("-b", ours, url+"/echo"), "Cookie: ", "a=1")
	again := filepath.Join(dir, "again")
	curl("-b", ours, "-c", again, url+"/echo")
	contains(t, "what curl writes of ours", content(t, again), "127.0.0.1\tFALSE\t/\tFALSE\t0\ta\t1")
}
