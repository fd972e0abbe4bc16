package http

import (
	"context"
	"io"
	nethttp "net/http"
	"net/url"
	"testing"

	"github.com/urlkit/urlkit/protocols"
)

// A load made inside a callback gets a connection though the limit is reached, which
// does not stay beyond it; any other waits.
func TestNestedGoesBeyondTheLimit(t *testing.T) {
	l, _, server := start(t, "http", Config{MaximumConnectionsPerHost: 1}, func(w nethttp.ResponseWriter, _ *nethttp.Request) {
		_, _ = io.WriteString(w, "hello")
	})
	u, err := url.Parse(server.URL + "/")
	if err != nil {
		t.Fatal(err)
	}
	load := func(nested bool) *protocols.Response {
		resp, err := l.Load(t.Context(), &protocols.Request{Method: "GET", URL: u, Nested: nested})
		if err != nil {
			t.Fatal(err)
		}

		return resp
	}
	first := load(false)
	second := load(true)
	if second.Reused {
		t.Error("both have one connection")
	}
	waiting, cancel := context.WithCancel(t.Context())
	others := make(chan error)
	go func() {
		_, err := l.Load(waiting, &protocols.Request{Method: "GET", URL: u})
		others <- err
	}()
	if _, err := io.Copy(io.Discard, second.Body); err != nil {
		t.Fatal(err)
	}
	open := func() int {
		l.pool.mu.Lock()
		defer l.pool.mu.Unlock()
		n := 0
		for _, h := range l.pool.hosts {
			n += h.open
		}

		return n
	}
	if n := open(); n != 1 {
		t.Errorf("%d connections are open, want the first only", n)
	}
	cancel()
	if err := <-others; err == nil {
		t.Error("a load went beyond the limit that is not nested")
	}
	_ = first.Body.Close()
	_ = second.Body.Close()
}
