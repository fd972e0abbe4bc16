package http

import (
	"context"
	"errors"
	"net"
	nethttp "net/http"
	"testing"
	"time"

	"github.com/urlkit/urlkit/internal/fault"
)

// An attempt that hangs in its handshake holds up nobody for longer than the clock
// of the load that started it.
func TestHandshakeThatHangs(t *testing.T) {
	for _, kind := range []string{"tls", "h2"} {
		l, client, server := start(t, kind, Config{}, func(nethttp.ResponseWriter, *nethttp.Request) {})
		first := make(chan struct{})
		client.dial = func(ctx context.Context, addr string) (net.Conn, error) {
			c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
			if err == nil && client.dials.Load() == 1 {
				c = fault.Conn(c, fault.Fault{Kind: fault.Stall, Direction: fault.Reading})
				close(first)
			}

			return c, err
		}
		ended := make(chan error, 1)
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
			defer cancel()
			_, _, err := fetch(ctx, l, newRequest(t, "GET", server.URL, nil))
			ended <- err
		}()
		<-first
		get(t, l, server.URL) // waits for that attempt, and gets one of its own
		if err := <-ended; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", kind, err)
		}
		if n := client.dials.Load(); n != 2 {
			t.Errorf("%s: %d connections", kind, n)
		}
	}
}

// A connection that says nothing for as long as a load's clock allows gets no new
// one; one that serves others keeps on.
func TestSilentConnectionIsLeft(t *testing.T) {
	for _, busy := range []bool{false, true} {
		release := make(chan struct{})
		l, client, server := start(t, "h2", Config{}, func(w nethttp.ResponseWriter, r *nethttp.Request) {
			if r.URL.Path == "/hang" {
				select {
				case <-release:
				case <-r.Context().Done():
				}
			}
		})
		for range 5 { // the peer acknowledges settings in its own time
			get(t, l, server.URL)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		late := make(chan error, 1)
		go func() {
			_, _, err := fetch(ctx, l, newRequest(t, "GET", server.URL+"/hang", nil))
			late <- err
		}()
		for busy && ctx.Err() == nil {
			get(t, l, server.URL)
		}
		if err := <-late; !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		cancel()
		get(t, l, server.URL)
		close(release)
		if n := client.dials.Load(); n != map[bool]int32{true: 1, false: 2}[busy] {
			t.Errorf("busy %v: %d connections", busy, n)
		}
	}
}
