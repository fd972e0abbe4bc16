package http

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/protocols"
)

func isCode(err error, code protocols.Code) bool { return errors.Is(err, code) }

func TestMalformedResponses(t *testing.T) {
	leak.Check(t)
	long := strings.Repeat("x", 2<<10)
	tests := []struct {
		name, answer string
		head         bool // the load fails, and not its body
		code         protocols.Code
	}{
		{"nothing", "", true, protocols.NetworkConnectionLost},
		{"half a head", "HTTP/1.1 200 OK\r\nA: b\r\n", true, protocols.NetworkConnectionLost},
		{"0.9", "<html>hello</html>\r\n\r\n", true, protocols.CannotParseResponse},
		{"not a version", "HTTP/x.y 200 OK\r\n\r\n", true, protocols.CannotParseResponse},
		{"version 2", "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n", true, protocols.BadServerResponse},
		{"two digits", "HTTP/1.1 20 OK\r\n\r\n", true, protocols.CannotParseResponse},
		{"four digits", "HTTP/1.1 2000 OK\r\n\r\n", true, protocols.CannotParseResponse},
		{"status 099", "HTTP/1.1 099 OK\r\n\r\n", true, protocols.BadServerResponse},
		{"letters", "HTTP/1.1 abc OK\r\n\r\n", true, protocols.CannotParseResponse},
		{"field without colon", "HTTP/1.1 200 OK\r\nfield\r\n\r\n", true, protocols.CannotParseResponse},
		{"long head", "HTTP/1.1 200 OK\r\nX: " + long + "\r\n\r\n", true, protocols.CannotParseResponse},
		{"interim without end", strings.Repeat("HTTP/1.1 102 Processing\r\nA: b\r\n\r\n", 1000), true, protocols.CannotParseResponse},
		{"bad length", "HTTP/1.1 200 OK\r\nContent-Length: ten\r\n\r\n", true, protocols.CannotParseResponse},
		{"negative length", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", true, protocols.CannotParseResponse},
		{"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", true, protocols.CannotParseResponse},
		{"unknown coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: zip\r\n\r\n", true, protocols.CannotParseResponse},
		{"unasked switch", "HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", true, protocols.BadServerResponse},
		{"garbage chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nxyz\r\n", false, protocols.CannotParseResponse},
		{"long chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\n0\r\n\r\n", false, protocols.CannotParseResponse},
		{"huge chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + strings.Repeat("f", 20) + "\r\n", false, protocols.CannotParseResponse},
	}
	for _, test := range tests {
		url := serveRaw(t, answer(test.answer))
		l := loaderFor(t, &testClient{}, Config{MaximumHeaderBytes: 1 << 10}, false)
		req := newRequest(t, "GET", url, nil)
		req.Header.Set("X-Then", "close")
		resp, err := l.Load(t.Context(), req)
		if test.head != (err != nil) {
			t.Errorf("%s: Load gave %v", test.name, err)
		}
		if err == nil {
			_, err = io.ReadAll(resp.Body)
			_ = resp.Body.Close()
		}
		if !isCode(err, test.code) {
			t.Errorf("%s: %v, want %v", test.name, err, test.code)
		}
		if err != nil && len(err.Error()) > 2*maxText {
			t.Errorf("%s: %d bytes of error text", test.name, len(err.Error()))
		}
	}
}

func TestOddButGood(t *testing.T) {
	leak.Check(t)
	tests := []struct{ name, answer, body, proto string }{
		{"status 999", "HTTP/1.1 999 What\r\nContent-Length: 1\r\n\r\na", "a", "http/1.1"},
		{"no reason", "HTTP/1.1 200\r\nContent-Length: 1\r\n\r\na", "a", "http/1.1"},
		{"1.0 until the end", "HTTP/1.0 200 OK\r\n\r\nabc", "abc", "http/1.0"},
		{"interim", "HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na", "a", "http/1.1"},
		{"equal lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na", "a", "http/1.1"},
		{"204 with a body", "HTTP/1.1 204 No\r\nContent-Length: 3\r\n\r\nabc", "", "http/1.1"},
		{"304 in chunks", "HTTP/1.1 304 No\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", "", "http/1.1"},
	}
	for _, test := range tests {
		url := serveRaw(t, answer(test.answer))
		l := loaderFor(t, &testClient{}, Config{}, false)
		for range 1 + strings.Count(test.name, "04") { // nothing is kept after a stray body
			req := newRequest(t, "GET", url, nil)
			req.Header.Set("X-Then", map[bool]string{true: "close"}[strings.HasPrefix(test.name, "1.0")])
			resp, body, err := fetch(t.Context(), l, req)
			if err != nil || body != test.body || resp.Proto != test.proto || resp.Reused {
				t.Errorf("%s: %v %q %+v", test.name, err, body, resp)
			}
		}
	}
}

// A response that is cut anywhere is an error, never a shorter success.
func TestCutAnywhere(t *testing.T) {
	leak.Check(t)
	const body = "hello, world"
	answers := map[string]string{
		"length":  "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n" + body,
		"chunked": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n7\r\n, world\r\n0\r\nX: y\r\n\r\n",
	}
	for name, full := range answers {
		for cut := range len(full) + 1 {
			url := serveRaw(t, answer(full[:cut]))
			l := loaderFor(t, &testClient{}, Config{}, false)
			req := newRequest(t, "GET", url, nil)
			req.Header.Set("X-Then", "close")
			resp, err := l.Load(t.Context(), req)
			if err != nil {
				if cut > strings.Index(full, "\r\n\r\n")+3 || !isCode(err, protocols.NetworkConnectionLost) {
					t.Errorf("%s cut at %d: Load gave %v", name, cut, err)
				}

				continue
			}
			got, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if err == nil && (string(got) != body || cut != len(full)) || err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%s cut at %d: %q, %v", name, cut, got, err)
			}
		}
	}
}

// What the session may send again, for connections that end at different times.
func TestSendAgain(t *testing.T) {
	tests := []struct {
		name   string
		second func(c net.Conn, r *bufio.Reader) // what meets the second request
		reused bool
		want   error
	}{
		{"closed after the request", func(_ net.Conn, r *bufio.Reader) { _, _ = r.ReadString('\n') }, true, protocols.ErrStaleConnection},
		{"reset after the request", func(c net.Conn, r *bufio.Reader) {
			_, _ = r.ReadString('\n')
			_ = c.(*net.TCPConn).SetLinger(0)
		}, true, protocols.ErrStaleConnection},
		{"a byte, then closed", func(c net.Conn, r *bufio.Reader) {
			_, _ = r.ReadString('\n')
			_, _ = c.Write([]byte("H"))
		}, true, protocols.NetworkConnectionLost},
		{"closed after the first request", func(_ net.Conn, r *bufio.Reader) { _, _ = r.ReadString('\n') }, false, protocols.NetworkConnectionLost},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			leak.Check(t)
			url := serveRaw(t, func(c net.Conn, r *bufio.Reader) {
				if test.reused {
					for line := ""; line != "\r\n"; line, _ = r.ReadString('\n') {
						if _, err := r.Peek(1); err != nil {
							return
						}
					}
					_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
				}
				test.second(c, r)
			})
			l := loaderFor(t, &testClient{}, Config{}, false)
			if test.reused {
				get(t, l, url)
			}
			_, _, err := fetch(t.Context(), l, newRequest(t, "POST", url, protocols.StringBody("x")))
			if !errors.Is(err, test.want) {
				t.Errorf("%v, want %v", err, test.want)
			}
			if stale := errors.Is(err, protocols.ErrStaleConnection); stale != errors.Is(test.want, protocols.ErrStaleConnection) {
				t.Errorf("stale is %v: %v", stale, err)
			}
			if errors.Is(err, protocols.ErrNotSent) {
				t.Errorf("sent, and yet: %v", err)
			}
		})
	}
}

// A connection that is dead before anything is written.
func TestNothingWritten(t *testing.T) {
	leak.Check(t)
	url := serveRaw(t, answer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
	broken := errors.New("wire cut")
	client := &testClient{}
	client.dial = func(ctx context.Context, addr string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
		if client.dials.Load() == 1 && err == nil {
			c = &unwritable{Conn: c, err: broken}
		}

		return c, err
	}
	l := loaderFor(t, client, Config{}, false)
	_, _, err := fetch(t.Context(), l, newRequest(t, "POST", url, protocols.StringBody("x")))
	if !errors.Is(err, protocols.ErrNotSent) || !errors.Is(err, broken) {
		t.Errorf("write refused: %v", err)
	}
	get(t, l, url)
}

type unwritable struct {
	net.Conn
	err error
}

func (u *unwritable) Write([]byte) (int, error) { return 0, u.err }

// A kept connection that dies while idle costs nothing but a new one.
func TestDiesIdle(t *testing.T) {
	for _, kind := range kinds {
		l, client, server := start(t, kind, Config{}, echo)
		for i := range 3 {
			get(t, l, server.URL)
			server.CloseClientConnections()
			if _, body, err := fetch(t.Context(), l, newRequest(t, "POST", server.URL, protocols.StringBody("x"))); err != nil {
				// The end may cross the request: then the session must hear how.
				if !errors.Is(err, protocols.ErrNotSent) && !errors.Is(err, protocols.ErrStaleConnection) {
					t.Errorf("%s %d: %v", kind, i, err)
				}
			} else if body != "x" {
				t.Errorf("%s: %q", kind, body)
			}
		}
		if n := client.dials.Load(); n < 2 {
			t.Errorf("%s: %d connections", kind, n)
		}
	}
}

func TestDialFailures(t *testing.T) {
	leak.Check(t)
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	for _, secure := range []bool{false, true} {
		client := &testClient{}
		gate := make(chan struct{})
		client.dial = func(context.Context, string) (net.Conn, error) {
			<-gate

			return nil, fmt.Errorf("connecting: %w", refused)
		}
		l := loaderFor(t, client, Config{}, secure)
		errs := make(chan error)
		const n = 50
		for range n {
			go func() {
				ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
				defer cancel()
				_, err := l.Load(ctx, newRequest(t, "GET", map[bool]string{false: "http", true: "https"}[secure]+"://127.0.0.1:1/", nil))
				errs <- err
			}()
		}
		eventually(t, "all wait", func() bool { _, _, waiting, _ := l.pool.counts(); return waiting == n })
		close(gate)
		for range n {
			if err := <-errs; !errors.Is(err, syscall.ECONNREFUSED) {
				t.Errorf("%v", err)
			}
		}
		if dials := client.dials.Load(); dials > 6 || secure && dials != 1 {
			t.Errorf("%d attempts for %d loads", dials, n)
		}
	}
}
