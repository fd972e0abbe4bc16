package main

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
)

// Without a terminal there is a line at the start and one at the end of each, and
// no escape code.
func TestLines(t *testing.T) {
	s := serve(t, text("body"))
	t.Chdir(t.TempDir())
	r := try(t, "get", "-v", "-o", "x", "-O", s.URL+"/a", s.URL+"/b").want(t, 0)
	lacks(t, "the lines", r.err, "\x1b", "\r")
	lacks(t, "the lines of a query", try(t, "get", "-o", "y", s.URL+"/a?signature=1").want(t, 0).err, "signature")
	contains(t, "the lines", r.err, "x: from "+s.URL+"/a\n", "b: from "+s.URL+"/b\n", "x: 4 B in ", "b.txt: 4 B in ")
	if r := try(t, "get", s.URL).want(t, 0); r.err != "" {
		t.Errorf("a body on standard output has lines: %q", r.err)
	}
}

// steps serves a body of 100 KB in tenths: the next one when next says so.
func steps(next <-chan struct{}) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100000")
		tenth := bytes.Repeat([]byte("x"), 10000)
		for range 10 {
			select {
			case <-next:
			case <-r.Context().Done():
				return
			}
			_, _ = w.Write(tenth)
			_ = http.NewResponseController(w).Flush()
		}
	}
}

// A long transfer gets a line now and then.
func TestLinesOfALongTransfer(t *testing.T) {
	next := make(chan struct{})
	s := serve(t, steps(next))
	reader, writer := io.Pipe()
	args := []string{"get", "-o", filepath.Join(t.TempDir(), "file"), s.URL}
	go func() {
		status := run(t.Context(), args, streams{out: io.Discard, err: writer, interval: time.Millisecond})
		_ = writer.CloseWithError(&reported{status})
	}()
	seen := map[string]bool{}
	percent := regexp.MustCompile(`\((\d+) %\)`)
	go func() { next <- struct{}{} }()
	var last string
	for scanner := bufio.NewScanner(reader); scanner.Scan(); {
		last = scanner.Text()
		if m := percent.FindStringSubmatch(last); m != nil && !seen[m[1]] {
			seen[m[1]] = true
			go func() {
				select {
				case next <- struct{}{}:
				case <-t.Context().Done():
				}
			}()
		}
	}
	if len(seen) < 5 {
		t.Errorf("the lines show %d stages", len(seen))
	}
	contains(t, "the last line", last, "97.7 KiB in ")
}

// A terminal gets bars that move. This one is a real one, made by script(1).
func TestBarsOnATerminal(t *testing.T) {
	if _, err := exec.LookPath("script"); err != nil || runtime.GOOS != "linux" {
		t.Skip("needs script(1) of util-linux, to have a terminal")
	}
	next := make(chan struct{}, 20)
	s := serve(t, steps(next))
	dir := t.TempDir()
	quoted := "'" + strings.ReplaceAll(os.Args[0], "'", `'\''`) + "'"
	command := exec.Command("script", "-qec", quoted+" get -o "+filepath.Join(dir, "file")+" "+s.URL, os.DevNull)
	command.Env = append(os.Environ(), asCommand+"=1", "TERM=xterm")
	command.Stdin = nil
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	moves := followBars(t, out, next)
	if err := command.Wait(); err != nil {
		t.Fatal(err)
	}
	if moves < 5 {
		t.Errorf("the bar moved %d times", moves)
	}
	if got := files(t, dir); len(got) != 1 {
		t.Errorf("files are %q", got)
	}
}

// followBars reads what a terminal is sent, lets the server go on whenever the bar
// has moved, and counts how often it did.
func followBars(t *testing.T, out io.Reader, next chan<- struct{}) int {
	t.Helper()
	percent := regexp.MustCompile(`\((\d+) %\)`)
	seen := map[string]bool{}
	var all bytes.Buffer
	next <- struct{}{}
	next <- struct{}{}
	buffer := make([]byte, 4096)
	for {
		n, err := out.Read(buffer)
		all.Write(buffer[:n])
		for _, m := range percent.FindAllStringSubmatch(all.String(), -1) {
			if !seen[m[1]] {
				seen[m[1]] = true
				next <- struct{}{}
			}
		}
		if err != nil {
			break
		}
	}
	contains(t, "the terminal", all.String(), "\x1b[", "97.7 KiB in ")

	return len(seen)
}

// Bars say how each transfer ended, and messages go above them.
func TestBars(t *testing.T) {
	s := serve(t, misbehave)
	var out bytes.Buffer
	dir := t.TempDir()
	args := []string{"get", "-o", dir + "/a", "-o", dir + "/b", s.URL + "/whole", s.URL + "/cut"}
	status := run(t.Context(), args, streams{in: strings.NewReader(""), out: io.Discard, err: &out, terminal: true})
	if status != exitPartial {
		t.Errorf("exit status %d", status)
	}
	contains(t, "the terminal", out.String(), "a ", "5 B in ", "failed", "urlkit: (18) ")
	out.Reset()
	args = []string{"get", "-s", "-o", dir + "/a", s.URL + "/whole"}
	if status := run(t.Context(), args, streams{out: io.Discard, err: &out, terminal: true}); status != 0 || out.Len() > 0 {
		t.Errorf("-s: %d, %q", status, &out)
	}
}

func TestWordsOfProgress(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1 << 20: "1.0 MiB", 1<<20 - 1: "1.0 MiB", 3 << 30: "3.0 GiB", 1 << 60: "1.0 EiB",
	} {
		if got := size(n); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		-1: "", 0: "0 s", 1400 * time.Millisecond: "1 s", 61 * time.Second: "1:01 min", 2*time.Hour + 5*time.Minute: "2:05 h",
	} {
		if got := left(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
	c := &counter{start: time.Now().Add(-time.Second), total: -1}
	c.done.Store(10)
	if c.Remaining() != -1 || c.Rate() <= 0 {
		t.Errorf("of an unknown total %v remains, at %v", c.Remaining(), c.Rate())
	}
	c.total = 20
	if r := c.Remaining(); r < 500*time.Millisecond || r > 10*time.Second {
		t.Errorf("%v remains", r)
	}
}
