package http

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net"
	nethttp "net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/protocols"
)

// Bytes that nobody asked for must not answer the next request, whether they come
// with an answer or later.
func TestSurplusBytes(t *testing.T) {
	leak.Check(t)
	var logged bytes.Buffer
	before := log.Writer()
	log.SetOutput(&logged)
	defer log.SetOutput(before)
	const fine, surplus = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
	for _, late := range []bool{false, true} {
		sent := make(chan struct{}, 2)
		more := make(chan struct{}, 2)
		url := serveRaw(t, func(c net.Conn, r *bufio.Reader) {
			if _, err := nethttp.ReadRequest(r); err != nil {
				return
			}
			if !late {
				_, _ = io.WriteString(c, fine+surplus)
			} else {
				_, _ = io.WriteString(c, fine)
				<-more
				_, _ = io.WriteString(c, surplus)
			}
			sent <- struct{}{}
			_, _ = r.ReadByte()
		})
		client := &testClient{looks: true}
		l := loaderFor(t, client, Config{}, false)
		for range 2 {
			if resp, body := get(t, l, url); body != "ok" || resp.Reused {
				t.Fatalf("late %v: %q, reused %v", late, body, resp.Reused)
			}
			more <- struct{}{}
			<-sent
			<-time.After(4 * freshness)
		}
		if n := client.dials.Load(); n != 2 {
			t.Errorf("late %v: %d connections", late, n)
		}
	}
	if logged.Len() > 0 {
		t.Errorf("logged %q", logged.String())
	}
}

// An idle connection has no goroutine: the client's are those of the test.
func TestNoGoroutineWhileIdle(t *testing.T) {
	const n = 5
	for _, kind := range []string{"http", "tls"} {
		var ready sync.WaitGroup
		ready.Add(n)
		l, client, server := start(t, kind, Config{}, func(nethttp.ResponseWriter, *nethttp.Request) {
			ready.Done()
			ready.Wait()
		})
		var all sync.WaitGroup
		for range n {
			all.Go(func() { get(t, l, server.URL) })
		}
		all.Wait()
		if _, idle, _, _ := l.pool.counts(); idle != n || client.dials.Load() != n {
			t.Fatalf("%s: %d idle", kind, idle)
		}
		eventually(t, kind+": no goroutine of a connection", func() bool { // those of the dials are about to end
			stacks := make([]byte, 1<<20)
			stacks = stacks[:runtime.Stack(stacks, true)]
			for _, stack := range strings.Split(string(stacks), "\n\n")[1:] { // the first is this one
				if strings.Contains(stack, "protocols/http.(*") || strings.Contains(stack, "persistConn") {
					return false
				}
			}

			return true
		})
	}
}

// A connection that the peer closed while it was idle is not used, so that a
// request that must not be sent twice does not fail. A glance may miss the end, but
// rarely, and then the session hears how.
func TestClosedWhileIdle(t *testing.T) {
	for i, kind := range []string{"http", "tls", "http", "tls"} {
		l, client, server := start(t, kind, Config{}, echo)
		missed, bound := 0, 2
		if i >= 2 { // as those of a session, which need no glance
			client.looks, bound = true, 0
		}
		for i := range 20 {
			_, body, err := fetch(t.Context(), l, newRequest(t, "POST", server.URL, protocols.StringBody("x")))
			switch {
			case errors.Is(err, protocols.ErrStaleConnection), errors.Is(err, protocols.ErrNotSent):
				missed++
			case err != nil || body != "x":
				t.Errorf("%s %d: %q, %v", kind, i, body, err)
			}
			server.CloseClientConnections()
			<-time.After(20 * freshness)
		}
		if n := client.dials.Load(); missed > bound || int(n) != 20-missed {
			t.Errorf("%s, looks %v: %d connections, %d missed", kind, client.looks, n, missed)
		}
	}
}

// A connection that lives is used again after a rest.
func TestAliveAfterRest(t *testing.T) {
	for _, kind := range []string{"http", "tls"} {
		l, client, server := start(t, kind, Config{}, echo)
		for range 20 {
			get(t, l, server.URL)
			<-time.After(4 * freshness)
		}
		if n := client.dials.Load(); n != 1 {
			t.Errorf("%s: %d connections", kind, n)
		}
	}
}

// A connection that heeds no deadline costs a new one, and hangs nothing.
func TestDeafToDeadlines(t *testing.T) {
	l, client, server := start(t, "http", Config{}, echo)
	client.dial = func(ctx context.Context, addr string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)

		return timeless{c}, err
	}
	get(t, l, server.URL)
	<-time.After(4 * freshness)
	get(t, l, server.URL)
	if n := client.dials.Load(); n != 2 {
		t.Errorf("%d connections", n)
	}
}

type timeless struct{ net.Conn }

func (timeless) SetReadDeadline(time.Time) error { return nil }

// An answer may come before the request has ended, and be read while it goes on.
func TestAnswerWhileUploading(t *testing.T) {
	for _, kind := range []string{"http", "tls"} {
		l, _, server := start(t, kind, Config{}, func(w nethttp.ResponseWriter, r *nethttp.Request) {
			_ = nethttp.NewResponseController(w).EnableFullDuplex()
			_ = nethttp.NewResponseController(w).Flush()
			for lines := bufio.NewScanner(r.Body); lines.Scan(); {
				_, _ = io.WriteString(w, lines.Text()+"!\n")
				_ = nethttp.NewResponseController(w).Flush()
			}
		})
		for i := range 2 {
			pr, pw := io.Pipe()
			resp, err := l.Load(t.Context(), newRequest(t, "PUT", server.URL, protocols.ReaderBody(pr)))
			if err != nil {
				t.Fatalf("%s: %v", kind, err)
			}
			lines := bufio.NewReader(resp.Body)
			for n := range 3 {
				_, _ = io.WriteString(pw, strconv.Itoa(n)+"\n")
				if line, err := lines.ReadString('\n'); err != nil || line != strconv.Itoa(n)+"!\n" {
					t.Errorf("%s: %q, %v", kind, line, err)
				}
			}
			pw.Close()
			if rest, err := io.ReadAll(lines); err != nil || len(rest) > 0 {
				t.Errorf("%s: %q, %v", kind, rest, err)
			}
			_ = resp.Body.Close()
			if resp.Reused != (i > 0) {
				t.Errorf("%s, load %d: reused %v", kind, i, resp.Reused)
			}
		}
	}
}

// A server that says nothing of an expectation gets the body after a while.
func TestExpectationUnanswered(t *testing.T) {
	leak.Check(t)
	url := serveRaw(t, func(c net.Conn, r *bufio.Reader) {
		if req, err := nethttp.ReadRequest(r); err == nil {
			body, _ := io.ReadAll(req.Body)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"+string(body))
		}
	})
	l := loaderFor(t, &testClient{}, Config{ExpectContinueTimeout: time.Millisecond}, false)
	req := newRequest(t, "PUT", url, protocols.StringBody("data"))
	req.Header = nethttp.Header{"Expect": {"100-continue"}}
	if _, body, err := fetch(t.Context(), l, req); err != nil || body != "data" {
		t.Errorf("%q, %v", body, err)
	}
}

// What a server says before it breaks off an upload arrives.
func TestAnswerBeforeTheBreak(t *testing.T) {
	leak.Check(t)
	url := serveRaw(t, func(c net.Conn, r *bufio.Reader) {
		if _, err := nethttp.ReadRequest(r); err == nil {
			_, _ = io.WriteString(c, "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
			_ = c.(*net.TCPConn).CloseWrite()
			_, _ = r.ReadByte()
		}
	})
	l := loaderFor(t, &testClient{}, Config{}, false)
	b, length := endless()
	defer b.closing() // of one that the answer came too early to open
	resp, body, err := fetch(t.Context(), l, newRequest(t, "PUT", url, b.body(length)))
	if err != nil || resp.StatusCode != 413 || body != "no" {
		t.Errorf("%v %q", err, body)
	}
	b.check(t, "broken off", 1)
}
