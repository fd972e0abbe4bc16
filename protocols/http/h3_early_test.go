//go:build !urlkit_nohttp3

package http

import (
	"context"
	"io"
	nethttp "net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/urlkit/urlkit/protocols"
)

// withoutRaces skips a test of early data under the race detector.
func withoutRaces(t *testing.T) {
	t.Helper()
	if raceEnabled() {
		t.Skip("quic-go opens streams for early data while its handshake writes what they are made with, without a lock")
	}
}

// says tells how a request came: "early" before the handshake was complete.
func says(w nethttp.ResponseWriter, r *nethttp.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	if r.TLS == nil || r.TLS.HandshakeComplete {
		_, _ = io.WriteString(w, "late")
	} else {
		_, _ = io.WriteString(w, "early")
	}
}

// connectAnew loads once, and drops the connection: its ticket and token stay.
func connectAnew(t *testing.T, l *loader, url string) {
	t.Helper()
	get3(t, l, url, true)
	eventually(t, "a ticket", func() bool { // it comes after the answer
		forgetAll(l)
		get3(t, l, url, true)
		l.pool.mu.Lock()
		defer l.pool.mu.Unlock()
		for _, h := range l.pool.hosts {
			return h.shared != nil && h.shared.wire.(*codec3).quic.ConnectionState().TLS.DidResume
		}

		return false
	})
	forgetAll(l)
}

// Early data is for those who allow it, and for safe requests.
func TestEarlyData(t *testing.T) {
	for _, tt := range []struct {
		method string
		body   string
		allows bool
		early  bool
	}{
		{"GET", "", true, true},
		{"HEAD", "", true, true},
		{"GET", "", false, false},
		{"GET", "body", true, false},
		{"POST", "", true, false},
		{"DELETE", "", true, false},
	} {
		t.Run(tt.method+tt.body, func(t *testing.T) {
			if tt.allows {
				withoutRaces(t)
			}
			l, _, server := start3(t, "", Config{EnablesEarlyData: tt.allows}, says)
			connectAnew(t, l, server.URL)
			var body *protocols.Body
			if tt.body != "" {
				body = &protocols.Body{Bytes: []byte(tt.body), Length: int64(len(tt.body))}
			}
			req := request3(t, tt.method, server.URL, body)
			req.AssumesHTTP3Capable = true
			if _, _, err := fetch(t.Context(), l, req); err != nil {
				t.Fatal(err)
			}
			for _, h := range l.pool.hosts {
				if got := h.shared.wire.(*codec3).quic.ConnectionState().Used0RTT; got != tt.early {
					t.Errorf("sent early: %v", got)
				}
			}
		})
	}
}

// A server that finds a request too early gets it once more.
func TestTooEarly(t *testing.T) {
	withoutRaces(t)
	var refused atomic.Int32
	l, _, server := start3(t, "", Config{EnablesEarlyData: true}, func(w nethttp.ResponseWriter, r *nethttp.Request) {
		if r.URL.Path == "/never" || r.URL.Path == "/" && refused.Add(1) == 1 {
			w.WriteHeader(nethttp.StatusTooEarly)
		}
	})
	status := func(path string) int {
		refused.Store(1)
		connectAnew(t, l, server.URL+"/other")
		refused.Store(0)
		req := request3(t, "GET", server.URL+path, nil)
		req.AssumesHTTP3Capable = true
		resp, _, err := fetch(t.Context(), l, req)
		if err != nil {
			t.Fatal(path, err)
		}
		forgetAll(l)

		return resp.StatusCode
	}
	early := false
	for n := 0; n < 50 && !early; n++ { // a handshake that is done in time leaves nothing to be early
		early = status("/") == nethttp.StatusOK
	}
	if !early {
		t.Error("what was too early was not sent again")
	}
	if got := status("/never"); got != nethttp.StatusTooEarly {
		t.Errorf("a server that always refuses: %d", got)
	}
}

// A server that takes no early data any more, and a path that swallows it, cost a
// request nothing but time.
func TestEarlyDataLost(t *testing.T) {
	withoutRaces(t)
	l, client, server := start3(t, "h2", Config{EnablesEarlyData: true, HTTP3HeadStart: 300 * time.Millisecond}, says)
	connectAnew(t, l, server.URL)
	hole := blackHole(t)
	client.packet.Store(&hole)
	for _, method := range []string{"GET", "POST"} { // the first finds out, the second goes over TCP at once
		req := request3(t, method, server.URL, nil)
		req.AssumesHTTP3Capable = true
		began := time.Now()
		resp, _, err := fetch(t.Context(), l, req)
		if err != nil || resp.Proto != "h2" || time.Since(began) > 3*time.Second {
			t.Errorf("%s: %v after %v", method, err, time.Since(began))
		}
		forgetAll(l)
	}

	client.packet.Store(nil)
	strict := serve3(t, client, "h2", &quic.Config{}, nethttp.HandlerFunc(says))
	at := strings.TrimPrefix(strict.URL, "https://")
	client.packet.Store(&at)
	l.pool.pathChanged() // what was broken is forgotten
	req := request3(t, "GET", server.URL, nil)
	req.AssumesHTTP3Capable = true
	if _, _, err := fetch(t.Context(), l, req); err != nil {
		t.Errorf("to a server that takes no early data: %v", err)
	}
}

// A body that fails ends its request too where the handshake was not complete when it
// began.
func TestBodyFailsEarly3(t *testing.T) {
	withoutRaces(t)
	begun := make(chan struct{})
	l, client, server := start3(t, "", Config{EnablesEarlyData: true, HTTP3HeadStart: attemptPatience}, func(_ nethttp.ResponseWriter, r *nethttp.Request) {
		if r.Method == nethttp.MethodPost {
			close(begun)
			<-t.Context().Done()
		}
	})
	connectAnew(t, l, server.URL)
	relay := newRelay3(t, strings.TrimPrefix(server.URL, "https://"), nil)
	relay.Die()
	client.packet.Store(&relay.Addr)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	outcomes := map[string]chan error{"GET": make(chan error, 1), "POST": make(chan error, 1)}
	for i, method := range []string{"GET", "POST"} {
		var body *protocols.Body
		if method == "POST" {
			body = &protocols.Body{Length: -1, Open: func(int64) (io.ReadCloser, error) {
				return io.NopCloser(io.MultiReader(strings.NewReader("some"), failsAfter(begun))), nil
			}}
		}
		req := request3(t, method, server.URL, body)
		req.AssumesHTTP3Capable = true
		go func() {
			_, _, err := fetch(ctx, l, req)
			outcomes[method] <- err
		}()
		eventually(t, method+" has the connection", func() bool {
			l.pool.mu.Lock()
			defer l.pool.mu.Unlock()
			for _, h := range l.pool.hosts {
				return h.shared != nil && h.shared.wire.(*codec3).running.Load() == int32(i+1)
			}

			return false
		})
	}
	relay.Revive()
	if err := <-outcomes["GET"]; err != nil {
		t.Error(err)
	}
	if err := <-outcomes["POST"]; err != errBody {
		t.Error(err)
	}
}

// failsAfter is a body that fails once something has happened.
type failsAfter chan struct{}

func (f failsAfter) Read([]byte) (int, error) {
	<-f

	return 0, errBody
}
