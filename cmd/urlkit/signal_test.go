package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// process is the command as a process of its own, in a folder.
func process(t *testing.T, dir string, args ...string) *exec.Cmd {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("no signals to send")
	}
	c := exec.CommandContext(t.Context(), os.Args[0], args...)
	c.Env = append(os.Environ(), asCommand+"=1")
	c.Dir = dir

	return c
}

// half serves half of what it announces, and then waits until the client is gone.
func half(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Length", "2000000")
	_, _ = w.Write(bytes.Repeat([]byte("x"), 1000000))
	_ = http.NewResponseController(w).Flush()
	<-r.Context().Done()
}

// await waits until something is so.
func await(t *testing.T, what string, so func() bool) {
	t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(20 * time.Second)
	for !so() {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Errorf("%s did not come", what)

			return
		}
	}
}

// holds tells whether a folder holds a file of at least n bytes.
func holds(dir string, n int64) bool {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Size() >= n {
			return true
		}
	}

	return false
}

// A signal half-way leaves neither the file nor any other.
func TestInterruption(t *testing.T) {
	s := serve(t, half)
	for _, test := range []struct {
		signal syscall.Signal
		status int
	}{{syscall.SIGINT, 130}, {syscall.SIGTERM, 143}, {syscall.SIGHUP, 129}} {
		if test.signal == syscall.SIGHUP && signal.Ignored(syscall.SIGHUP) {
			continue // these tests run under nohup, and so does the command
		}
		dir := t.TempDir()
		c := process(t, dir, "get", "-o", "out", "-O", s.URL+"/a", s.URL+"/b")
		var stderr bytes.Buffer
		c.Stderr = &stderr
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		await(t, "half of the file", func() bool { return holds(dir, 1000000) })
		if err := c.Process.Signal(test.signal); err != nil {
			t.Fatal(err)
		}
		_ = c.Wait()
		if got := c.ProcessState.ExitCode(); got != test.status {
			t.Errorf("%v: exit status %d, want %d\n%s", test.signal, got, test.status, &stderr)
		}
		if left := files(t, dir); len(left) > 0 {
			t.Errorf("%v left %q", test.signal, left)
		}
		contains(t, "the message", stderr.String(), "urlkit: "+test.signal.String())
	}
}

// The second signal ends even a command that waits for something else, and one that
// a shell began with SIGINT ignored, as it does its background jobs.
func TestSecondSignal(t *testing.T) {
	for _, ignored := range []bool{false, true} {
		c := process(t, t.TempDir(), "get", "--cacert", "/dev/stdin", "https://127.0.0.1:1/") // which looks at no signal
		if ignored {
			c = ignoring(t, c)
		}
		var stderr bytes.Buffer
		c.Stderr = &stderr
		startReading(t, c)
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = c.Wait()
		}()
		await(t, "the end", func() bool {
			_ = c.Process.Signal(syscall.SIGINT)
			select {
			case <-done:
				return true
			default:
				return false
			}
		})
		if got := c.ProcessState.ExitCode(); got != 130 {
			t.Errorf("ignored %v: %v, want exit status 130", ignored, c.ProcessState)
		}
		lacks(t, "what a killed command says", stderr.String(), "cancelled")
	}
}

// startReading starts a process, and returns when it reads standard input, which
// does not end.
func startReading(t *testing.T, c *exec.Cmd) {
	t.Helper()
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := in.Write(bytes.Repeat([]byte("x"), 1<<20)); err != nil { // more than a pipe holds
		t.Fatal(err)
	}
}

// ignoring is a process that begins with SIGINT ignored.
func ignoring(t *testing.T, c *exec.Cmd) *exec.Cmd {
	t.Helper()
	shell := exec.CommandContext(t.Context(), "/bin/sh", append([]string{"-c", `trap "" INT; exec "$0" "$@"`}, c.Args...)...)
	shell.Env, shell.Dir = c.Env, c.Dir

	return shell
}

// What is read before anything is sent does not hold up an interruption either.
func TestInterruptedReading(t *testing.T) {
	for _, args := range [][]string{
		{"get", "-d", "@-", "http://127.0.0.1:1/"},
		{"get", "-d", "@/dev/stdin", "http://127.0.0.1:1/"},
		{"get", "-H", "@/dev/stdin", "http://127.0.0.1:1/"},
		{"get", "-s", "-d", "@-", "http://127.0.0.1:1/"},
		{"explain", "-H", "@/dev/stdin", "http://127.0.0.1:1/"},
	} {
		for _, ignored := range []bool{false, true} {
			c := process(t, t.TempDir(), args...)
			if ignored {
				c = ignoring(t, c)
			}
			var stderr bytes.Buffer
			c.Stderr = &stderr
			startReading(t, c)
			late := time.AfterFunc(20*time.Second, func() { _ = c.Process.Kill() })
			_ = c.Process.Signal(syscall.SIGINT)
			_ = c.Wait()
			late.Stop()
			if got := c.ProcessState.ExitCode(); got != 130 {
				t.Errorf("%q: %v, want exit status 130", args, c.ProcessState)
			}
			want := "urlkit: interrupt: everything was cancelled\n"
			if args[1] == "-s" {
				want = ""
			}
			if got := stderr.String(); got != want {
				t.Errorf("%q says %q, want %q", args, got, want)
			}
		}
	}
}

// Standard input that says nothing does not hold up an interruption.
func TestInterruptedUpload(t *testing.T) {
	began := make(chan struct{})
	s := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		close(began)
		_, _ = io.Copy(io.Discard, r.Body)
	})
	c := process(t, t.TempDir(), "get", "-T", "-", s.URL)
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	<-began
	_ = c.Process.Signal(syscall.SIGINT)
	_ = c.Wait()
	if got := c.ProcessState.ExitCode(); got != 130 {
		t.Errorf("exit status %d", got)
	}
}

// A reader that goes away is a write error. It is no reason for files not to be
// written.
func TestBrokenPipe(t *testing.T) {
	s := serve(t, text(strings.Repeat("x", 1<<20)))
	dir := t.TempDir()
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	_ = reader.Close()
	c := process(t, dir, "get", "-o", "file", s.URL, s.URL, s.URL)
	c.Stdout = writer
	var stderr bytes.Buffer
	c.Stderr = &stderr
	_ = c.Run()
	if got := c.ProcessState.ExitCode(); got != exitWrite {
		t.Errorf("exit status %d (%v), want %d", got, c.ProcessState, exitWrite)
	}
	if n := strings.Count(stderr.String(), "urlkit: (23)"); n != 1 {
		t.Errorf("the error stands there %d times: %s", n, &stderr)
	}
	if info, err := os.Stat(dir + "/file"); err != nil || info.Size() != 1<<20 {
		t.Errorf("the file is %v, %v", info, err)
	}
}

// What is interrupted before it began makes no noise of its own.
func TestInterruptionOfMany(t *testing.T) {
	s := serve(t, half)
	ctx, cancel := context.WithCancelCause(t.Context())
	dir := t.TempDir()
	t.Chdir(dir)
	go func() {
		await(t, "half of a file", func() bool { return holds(dir, 1000000) })
		cancel(&interruption{syscall.SIGINT})
	}()
	args := []string{"get", "--json", "-O"}
	for _, name := range strings.Fields("a b c d e f g h i j k l") {
		args = append(args, s.URL+"/"+name)
	}
	r := tryWith(ctx, t, "", args...).want(t, 130)
	if n := strings.Count(r.err, "urlkit: "); n != 1 {
		t.Errorf("%d messages: %s", n, r.err)
	}
	if n := strings.Count(r.out, "\n"); n != 12 {
		t.Errorf("%d records: %s", n, r.out)
	}
	if left := files(t, dir); len(left) > 0 {
		t.Errorf("left %q", left)
	}
}
