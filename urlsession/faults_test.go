package urlsession_test

import (
	"bytes"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/urlkit/urlkit/internal/fault"
	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/urlsession"
)

// faulty starts a server that answers with reply and has a fault.
func faulty(t *testing.T, reply string, f fault.Fault) (base string, stop func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- fault.Serve(l, []byte(reply), f) }()

	return "http://" + l.Addr().String(), func() {
		_ = l.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// Wherever a connection ends, a task completes once, with an error, and a download
// leaves nothing.
func TestConnectionsThatEnd(t *testing.T) {
	const counted = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789"
	const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n"
	for _, reply := range []string{counted, chunked} {
		for _, kind := range []fault.Kind{fault.Cut, fault.Reset} {
			leak.Check(t)
			leak.CheckFiles(t)
			t.Setenv("TMPDIR", t.TempDir())
			folder := t.TempDir()
			for _, f := range fault.EachByte(fault.Fault{Kind: kind, Direction: fault.Writing}, len(reply)) {
				if f.At%3 != 0 && f.At < int64(strings.Index(reply, "\r\n\r\n")) {
					continue // the head is the protocol's business
				}
				base, stop := faulty(t, reply, f)
				var words recorder
				s := delegated(t, words.delegate(), nil)
				data, download := s.DataTask(get(t, base)), s.DownloadTask(get(t, base))
				download.SaveTo = filepath.Join(folder, "file")
				for _, task := range []urlsession.Task{data, download} {
					task.Resume()
					if err := wait(t, task); err == nil {
						t.Errorf("%v of %q: no error of task %d", f, reply, task.Identifier())
					}
				}
				if err := s.Close(); err != nil {
					t.Error(err)
				}
				stop()
				if got := words.String(); strings.Count(got, "complete(") != 2 || strings.Contains(got, "complete(nil)") {
					t.Errorf("%v: %s", f, got)
				}
			}
			nothingLeft(t, folder)
		}
	}
}

// A server that stops in the middle costs the RequestTimeout.
func TestConnectionsThatStall(t *testing.T) {
	leak.Check(t)
	leak.CheckFiles(t)
	t.Setenv("TMPDIR", t.TempDir())
	const reply = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789"
	base, stop := faulty(t, reply, fault.Fault{Kind: fault.Stall, Direction: fault.Writing, At: int64(len(reply) - 5)})
	defer stop()
	var words recorder
	s := delegated(t, words.delegate(), func(c *urlsession.Configuration) { c.RequestTimeout = 50 * time.Millisecond })
	for _, task := range []urlsession.Task{s.DataTask(get(t, base)), s.DownloadTask(get(t, base))} {
		task.Resume()
		wantCode(t, wait(t, task), urlsession.TimedOut)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	nothingLeft(t)
}

// Single bytes arrive as they are.
func TestSlowConnections(t *testing.T) {
	leak.Check(t)
	body := bytes.Repeat([]byte("0123456789"), 50)
	base, stop := faulty(t, "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"+string(body), fault.Fault{Kind: fault.Split, Direction: fault.Writing, Size: 1})
	defer stop()
	var words recorder
	s := delegated(t, words.delegate(), nil)
	task := s.DataTask(get(t, base))
	task.Resume()
	if err := wait(t, task); err != nil || words.data.String() != string(body) {
		t.Errorf("%d bytes, %v", words.data.Len(), err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
