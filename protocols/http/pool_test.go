package http

import (
	"context"
	"errors"
	"io"
	"net"
	nethttp "net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/urlkit/urlkit/protocols"
)

func echo(w nethttp.ResponseWriter, r *nethttp.Request) { _, _ = io.Copy(w, r.Body) }

// Six connections to an HTTP/1.1 host, one to an HTTP/2 host, however many ask.
func TestConnectionLimit(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			var now, most atomic.Int32
			l, client, server := start(t, kind, Config{}, func(_ nethttp.ResponseWriter, r *nethttp.Request) {
				n := now.Add(1)
				for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
				}
				time.AfterFunc(5*time.Millisecond, func() {}) // lets the others in
				_, _ = io.Copy(io.Discard, r.Body)
				now.Add(-1)
			})
			var all sync.WaitGroup
			for range 60 {
				all.Go(func() { get(t, l, server.URL) })
			}
			all.Wait()
			limit := int32(6)
			if kind == "h2" {
				limit = 1
			}
			if n := client.dials.Load(); n > limit {
				t.Errorf("%d connections", n)
			}
			if n := most.Load(); kind != "h2" && n > limit {
				t.Errorf("%d requests at once", n)
			}
		})
	}
}

// A change of the priority moves a load that waits, and the head tells it.
func TestOrderChanges(t *testing.T) {
	release := make(chan struct{})
	var mu sync.Mutex
	var order []string
	l, _, server := start(t, "http", Config{MaximumConnectionsPerHost: 1}, func(_ nethttp.ResponseWriter, r *nethttp.Request) {
		if r.URL.Path == "/first" {
			<-release
		}
		mu.Lock()
		order = append(order, r.URL.Path+" "+r.Header.Get("Priority"))
		mu.Unlock()
	})
	var all sync.WaitGroup
	all.Go(func() { get(t, l, server.URL+"/first") })
	eventually(t, "the first has the connection", func() bool { open, idle, waiting, _ := l.pool.counts(); return open == 1 && idle+waiting == 0 })
	changes := make([]protocols.Reprioritization, 5)
	for i := range changes {
		all.Go(func() {
			req := newRequest(t, "GET", server.URL+"/"+strconv.Itoa(i), nil)
			req.Reprioritization = &changes[i]
			if req.Nested = i == 4; req.Nested {
				req.Priority = 0.1
			}
			if _, _, err := fetch(t.Context(), l, req); err != nil {
				t.Error(err)
			}
		})
		if i < 4 { // the nested one gets a connection of its own
			eventually(t, "it waits", func() bool { _, _, waiting, _ := l.pool.counts(); return waiting == i+1 })
		}
	}
	changes[3].SetPriority(1)
	changes[0].SetPriority(0.25)
	changes[2].SetPriority(1)
	changes[1].SetPriority(0.1)
	changes[1].SetPriority(0.25) // behind 0, which came before
	close(release)
	all.Wait()
	order = slices.DeleteFunc(order, func(s string) bool { return strings.HasPrefix(s, "/4") })
	if want := []string{"/first ", "/2 u=0", "/3 u=0", "/0 u=5", "/1 u=5"}; !slices.Equal(order, want) {
		t.Errorf("served %q, want %q", order, want)
	}
	for i := range changes {
		if changes[i].Observed() {
			t.Errorf("%d is observed after its end", i)
		}
	}
}

// Those who wait are served by priority, and in order.
func TestOrder(t *testing.T) {
	release := make(chan struct{})
	var mu sync.Mutex
	var order []string
	l, _, server := start(t, "http", Config{MaximumConnectionsPerHost: 1}, func(_ nethttp.ResponseWriter, r *nethttp.Request) {
		if r.URL.Path == "/first" {
			<-release
		}
		mu.Lock()
		order = append(order, r.URL.Path)
		mu.Unlock()
	})
	var all sync.WaitGroup
	all.Go(func() { get(t, l, server.URL+"/first") })
	eventually(t, "the first has the connection", func() bool { open, idle, waiting, _ := l.pool.counts(); return open == 1 && idle+waiting == 0 })
	for i, priority := range []float64{0, 0.5, 0.1, 1, 0, 1} {
		all.Go(func() {
			req := newRequest(t, "GET", server.URL+"/"+strconv.Itoa(i), nil)
			req.Priority = priority
			if _, _, err := fetch(t.Context(), l, req); err != nil {
				t.Error(err)
			}
		})
		eventually(t, "it waits", func() bool { _, _, waiting, _ := l.pool.counts(); return waiting == i+1 })
	}
	close(release)
	all.Wait()
	if want := []string{"/first", "/3", "/5", "/0", "/1", "/4", "/2"}; !slices.Equal(order, want) {
		t.Errorf("served %v, want %v", order, want)
	}
}

func TestBind(t *testing.T) {
	l, client, server := start(t, "h2", Config{}, func(w nethttp.ResponseWriter, r *nethttp.Request) { _, _ = io.WriteString(w, r.RemoteAddr) })
	_, shared := get(t, l, server.URL)
	seen := map[string]string{}
	for range 2 {
		for _, bind := range []string{"one", "two"} {
			req := newRequest(t, "GET", server.URL, nil)
			req.Bind = bind
			resp, addr, err := fetch(t.Context(), l, req)
			if err != nil || resp.Proto != "http/1.1" || addr == shared {
				t.Fatalf("%s: %v %s %s", bind, err, resp.Proto, addr)
			}
			if old := seen[bind]; old != "" && old != addr {
				t.Errorf("%s: another connection", bind)
			}
			seen[bind] = addr
		}
	}
	if seen["one"] == seen["two"] || client.dials.Load() != 3 {
		t.Errorf("%v, %d connections", seen, client.dials.Load())
	}
}

func TestKeysKeepApart(t *testing.T) {
	l, client, server := start(t, "http", Config{}, echo)
	for _, route := range []protocols.Route{{}, {ID: "a"}, {ID: "b", Proxied: true}, {ID: "a"}} {
		req := newRequest(t, "GET", server.URL, nil)
		req.Route = route
		if _, _, err := fetch(t.Context(), l, req); err != nil {
			t.Fatal(err)
		}
	}
	if n := client.dials.Load(); n != 3 {
		t.Errorf("%d connections for 3 routes", n)
	}
}

func TestIdle(t *testing.T) {
	for _, kind := range kinds {
		l, client, server := start(t, kind, Config{IdleTimeout: 20 * time.Millisecond}, echo)
		get(t, l, server.URL)
		eventually(t, "the idle connection is reaped", func() bool {
			open, idle, _, shared := l.pool.counts()

			return open == 0 && idle == 0 && !shared
		})
		get(t, l, server.URL)
		if n := client.dials.Load(); n != 2 {
			t.Errorf("%s: %d connections", kind, n)
		}
	}
}

func TestIdleLimit(t *testing.T) {
	l, _, server := start(t, "http", Config{MaximumIdleConnections: 2}, echo)
	for i := range 5 {
		req := newRequest(t, "GET", server.URL, nil)
		req.Route.ID = strconv.Itoa(i)
		if _, _, err := fetch(t.Context(), l, req); err != nil {
			t.Fatal(err)
		}
	}
	if open, idle, _, _ := l.pool.counts(); open != 2 || idle != 2 {
		t.Errorf("%d open, %d idle", open, idle)
	}
	for id, reused := range map[string]bool{"3": true, "4": true} {
		req := newRequest(t, "GET", server.URL, nil)
		req.Route.ID = id
		if resp, _, err := fetch(t.Context(), l, req); err != nil || resp.Reused != reused {
			t.Errorf("route %s: %v, reused %v: those used last are kept", id, err, resp.Reused)
		}
	}
}

// Close ends what is idle, and what runs when it is done.
func TestClose(t *testing.T) {
	for _, kind := range kinds {
		gate := make(chan struct{})
		l, _, server := start(t, kind, Config{}, func(w nethttp.ResponseWriter, r *nethttp.Request) {
			w.WriteHeader(200)
			w.(nethttp.Flusher).Flush()
			if r.URL.Path == "/slow" {
				<-gate
			}
			_, _ = io.WriteString(w, "done")
		})
		get(t, l, server.URL)
		resp, err := l.Load(t.Context(), newRequest(t, "GET", server.URL+"/slow", nil))
		if err != nil {
			t.Fatal(err)
		}
		_ = l.Close()
		close(gate)
		if data, err := io.ReadAll(resp.Body); err != nil || string(data) != "done" {
			t.Errorf("%s: a running load ended with %q, %v", kind, data, err)
		}
		_ = resp.Body.Close()
		if open, idle, _, shared := l.pool.counts(); open != 0 || idle != 0 || shared {
			t.Errorf("%s: %d open, %d idle, shared %v", kind, open, idle, shared)
		}
		get(t, l, server.URL) // a closed instance still loads
	}
}

// The first handshake is shared, and when it gives HTTP/2, so is the connection.
func TestCoalescing(t *testing.T) {
	for _, kind := range []string{"h2", "tls"} {
		l, client, server := start(t, kind, Config{}, func(_ nethttp.ResponseWriter, r *nethttp.Request) { _, _ = io.Copy(io.Discard, r.Body) })
		for round := range 2 {
			var all sync.WaitGroup
			for range 30 {
				all.Go(func() { get(t, l, server.URL) })
			}
			all.Wait()
			if n := client.dials.Load(); kind == "h2" && n != int32(round+1) || n > int32(6*(round+1)) {
				t.Errorf("%s: %d connections after burst %d", kind, n, round)
			}
			if kind == "h2" {
				server.CloseClientConnections()
				eventually(t, "it is known that it ended", func() bool { _, _, _, shared := l.pool.counts(); return !shared })
			}
		}
		l.pool.mu.Lock()
		spoken := l.pool.hosts[keyOf(newRequest(t, "GET", server.URL, nil), true)].version
		l.pool.mu.Unlock()
		if spoken != map[string]version{"h2": spokeHTTP2, "tls": spokeHTTP1}[kind] {
			t.Errorf("%s: not remembered", kind)
		}
	}
}

func TestOmitsHTTP2(t *testing.T) {
	l, _, server := start(t, "h2", Config{OmitsHTTP2: true}, echo)
	if resp, _ := get(t, l, server.URL); resp.Proto != "http/1.1" {
		t.Errorf("spoke %s", resp.Proto)
	}
}

// An attempt outlives the task that began it while others wait, and ends with
// the last of them.
func TestAttemptChangesHands(t *testing.T) {
	l, client, server := start(t, "h2", Config{}, echo)
	gate, dialling := make(chan struct{}), make(chan context.Context, 2)
	client.dial = func(ctx context.Context, addr string) (net.Conn, error) {
		dialling <- ctx
		select {
		case <-gate:
		case <-ctx.Done():
			return nil, ctx.Err()
		}

		return new(net.Dialer).DialContext(ctx, "tcp", addr)
	}
	load := func(ctx context.Context) chan error {
		done := make(chan error, 1)
		before := waitingOf(l)
		go func() {
			_, _, err := fetch(ctx, l, newRequest(t, "GET", server.URL, nil))
			done <- err
		}()
		eventually(t, "it waits", func() bool { return waitingOf(l) > before })

		return done
	}
	first, cancelFirst := context.WithCancel(t.Context())
	one, two := load(first), load(t.Context())
	<-dialling
	cancelFirst()
	if err := <-one; !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	close(gate)
	if err := <-two; err != nil || client.dials.Load() != 1 {
		t.Errorf("the other: %v after %d attempts", err, client.dials.Load())
	}

	gate = make(chan struct{})
	server.CloseClientConnections()
	eventually(t, "it ended", func() bool { _, _, _, shared := l.pool.counts(); return !shared })
	third, cancelThird := context.WithCancel(t.Context())
	three := load(third)
	ctx := <-dialling
	cancelThird()
	<-three
	<-ctx.Done()
}

func waitingOf(l *loader) int {
	_, _, waiting, _ := l.pool.counts()

	return waiting
}
