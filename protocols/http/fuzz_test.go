package http

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	nethttp "net/http"
	"testing"
	"time"

	"github.com/urlkit/urlkit/protocols"
)

// FuzzResponse answers with arbitrary bytes: the load ends, with a whole answer
// or an error, and nothing panics.
func FuzzResponse(f *testing.F) {
	for _, seed := range []string{
		"", "H", "HTTP/1.1 200 OK\r\n\r\nrest", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", "HTTP/1.0 200\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nA: b\r\n\r\n",
		"HTTP/1.1 100 C\r\n\r\nHTTP/1.1 204 No\r\n\r\n", "HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nabc",
		"HTTP/1.1 304 N\r\nContent-Length: 10\r\n\r\nabc", "HTTP/1.1 099 N\r\n\r\n", "HTTP/9.9 200 OK\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Type: ;=\r\n\r\n",
	} {
		f.Add(seed, false)
		f.Add(seed, true)
	}
	f.Fuzz(func(t *testing.T, text string, upgrade bool) {
		client := &testClient{dial: func(context.Context, string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			go func() {
				defer theirs.Close()
				if _, err := nethttp.ReadRequest(bufio.NewReader(theirs)); err == nil {
					_, _ = io.WriteString(theirs, text)
				}
			}()

			return ours, nil
		}}
		l := loaderFor(t, client, Config{}, false)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		req := newRequest(t, "GET", "http://fuzz.example/", nil)
		req.Trace = new(protocols.Trace)
		if upgrade {
			req.Header.Set("Connection", "Upgrade")
			req.Header.Set("Upgrade", "x")
		}
		resp, err := l.Load(ctx, req)
		if errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("hangs on %q", text)
		}
		if (resp == nil) == (err == nil) {
			t.Fatalf("both or neither: %v %v", resp, err)
		}
		if err != nil {
			return
		}
		if resp.Body == nil || resp.StatusCode < 100 || resp.StatusCode > 999 {
			t.Fatalf("%+v", resp)
		}
		if resp.Upgraded != nil {
			_ = resp.Upgraded.Close()
		}
		n, err := io.Copy(io.Discard, resp.Body)
		if err == nil && resp.KnownLength() >= 0 && n != resp.KnownLength() {
			t.Fatalf("%d bytes of %d without an error", n, resp.KnownLength())
		}
		_ = resp.Body.Close()
	})
}
