package main

import (
	"bytes"
	"crypto/sha256"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/urlkit/urlkit/internal/peer"
)

const (
	gib     = 1 << 30
	mostRSS = 40 << 10 // KiB
)

// bigFile makes what nginx serves, and gives its hash.
func bigFile(t *testing.T, name string) []byte {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.CopyN(io.MultiWriter(f, sum), rand.NewChaCha8([32]byte{}), gib); err != nil {
		t.Fatal(err)
	}
	if err := f.Chmod(0o644); err != nil { // nginx is somebody else
		t.Fatal(err)
	}

	return sum.Sum(nil)
}

func hashOf(t *testing.T, name string) []byte {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		t.Fatal(err)
	}

	return sum.Sum(nil)
}

// peak is the most memory that a process has had, in KiB; 0: it has ended, or the
// system does not tell.
func peak(pid int) int {
	status, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	_, text, _ := strings.Cut(string(status), "VmHWM:")
	text, _, _ = strings.Cut(text, "kB")
	n, _ := strconv.Atoi(strings.TrimSpace(text))

	return n
}

// A large file from a real server arrives whole, in little memory; interrupted at
// half it leaves nothing.
func TestPeerLargeFile(t *testing.T) {
	p := peer.Start(t, "nginx.sh", peer.TCP, peer.TCP)
	want := bigFile(t, filepath.Join(p.Dir, "www", "1GiB"))
	url := "http://" + p.Addr(0) + "/1GiB"
	dir := t.TempDir()
	most := 0
	c := process(t, dir, "get", "-o", "out", url)
	var stderr bytes.Buffer
	c.Stderr = &stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- c.Wait() }()
	await(t, "the end", func() bool {
		most = max(most, peak(c.Process.Pid))
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("%v\n%s", err, &stderr)
			}

			return true
		default:
			return false
		}
	})
	if got := hashOf(t, filepath.Join(dir, "out")); !bytes.Equal(got, want) {
		t.Errorf("SHA-256 is %x, want %x", got, want)
	}
	lacks(t, "the lines", stderr.String(), "\x1b", "\r")
	contains(t, "the lines", stderr.String(), "out: from http://", "out: 1.0 GiB in ")
	t.Logf("VmHWM %d KiB", most)
	if most > mostRSS || most == 0 && runtime.GOOS == "linux" {
		t.Errorf("VmHWM is %d KiB, at most %d is allowed", most, mostRSS)
	}

	dir = t.TempDir()
	c = process(t, dir, "get", "-o", "out", url)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	await(t, "half of the file", func() bool { return holds(dir, gib/2) })
	_ = c.Process.Signal(syscall.SIGINT)
	_ = c.Wait()
	if got, left := c.ProcessState.ExitCode(), files(t, dir); got != 130 || len(left) > 0 {
		t.Errorf("interrupted: exit status %d, left %q", got, left)
	}
}
