package http

import (
	"context"
	"errors"
	"io"
	"net"
	nethttp "net/http"
	"sync"
	"sync/atomic"
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
		ended := begin(t, l, server.URL, 50*time.Millisecond)
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

// mutable is a connection that gives nothing more once it is muted.
type mutable struct {
	net.Conn

	muted  atomic.Bool
	once   sync.Once
	closed chan struct{}
}

func (c *mutable) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.muted.Load() {
		<-c.closed

		return 0, net.ErrClosed
	}

	return n, err
}

func (c *mutable) Close() error {
	c.once.Do(func() { close(c.closed) })

	return c.Conn.Close()
}

// A connection that says nothing for as long as a load's clock allows gets no new
// one; one that serves others keeps on.
func TestSilentConnectionIsLeft(t *testing.T) {
	for _, silent := range []bool{true, false} {
		l, client, server := start(t, "h2", Config{}, func(w nethttp.ResponseWriter, r *nethttp.Request) {
			if r.URL.Path == "/hang" {
				<-r.Context().Done()
			}
		})
		var first *mutable
		client.dial = func(ctx context.Context, addr string) (net.Conn, error) {
			c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
			if err == nil && first == nil {
				first = &mutable{Conn: c, closed: make(chan struct{})}
				c = first
			}

			return c, err
		}
		get(t, l, server.URL)
		first.muted.Store(silent)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		ended := make(chan error, 1)
		go func() {
			_, _, err := fetch(ctx, l, newRequest(t, "GET", server.URL+"/hang", nil))
			ended <- err
		}()
		for !silent && ctx.Err() == nil {
			get(t, l, server.URL)
		}
		if err := <-ended; !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		cancel()
		get(t, l, server.URL)
		if n := client.dials.Load(); n != map[bool]int32{true: 2, false: 1}[silent] {
			t.Errorf("silent %v: %d connections", silent, n)
		}
		if silent {
			_ = first.Close()
		}
	}
}

// The same where the peer falls silent in the middle of a body.
func TestSilentBodyIsLeft(t *testing.T) {
	l, client, server := start(t, "h2", Config{}, func(w nethttp.ResponseWriter, r *nethttp.Request) {
		if r.URL.Path == "/half" {
			_ = nethttp.NewResponseController(w).Flush()
			<-r.Context().Done()
		}
	})
	var first *mutable
	client.dial = func(ctx context.Context, addr string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
		if err == nil && first == nil {
			first = &mutable{Conn: c, closed: make(chan struct{})}
			c = first
		}

		return c, err
	}
	get(t, l, server.URL)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	resp, err := l.Load(ctx, newRequest(t, "GET", server.URL+"/half", nil))
	if err != nil {
		t.Fatal(err)
	}
	first.muted.Store(true)
	if _, err := io.ReadAll(resp.Body); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	_ = resp.Body.Close()
	get(t, l, server.URL)
	if n := client.dials.Load(); n != 2 {
		t.Errorf("%d connections, want 2", n)
	}
	_ = first.Close()
}

// An attempt that hangs, and that nobody owns any more, gives its place to another
// when it has taken longer than the clock of one who came later.
func TestForsakenAttempt(t *testing.T) {
	hold, holding := make(chan struct{}), make(chan struct{}, 2)
	l, client, server := start(t, "tls", Config{MaximumConnectionsPerHost: 2}, func(_ nethttp.ResponseWriter, r *nethttp.Request) {
		if r.URL.Path == "/hold" {
			holding <- struct{}{}
			<-hold
		}
	})
	var once sync.Once
	release := func() { once.Do(func() { close(hold) }) }
	defer release()
	dialling := make(chan struct{}, 3)
	client.dial = func(ctx context.Context, addr string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
		if err == nil && client.dials.Load() == 2 {
			c = fault.Conn(c, fault.Fault{Kind: fault.Stall, Direction: fault.Reading})
		}
		dialling <- struct{}{}

		return c, err
	}
	ask := func(path string, timeout time.Duration) chan error { return begin(t, l, server.URL+path, timeout) }
	get(t, l, server.URL) // speaks HTTP/1.1
	<-dialling
	first := ask("/hold", 20*time.Second)
	<-holding
	second := ask("/", 20*time.Second) // connects, in vain, and is served by the other connection
	<-dialling
	hold <- struct{}{}
	for _, ended := range []chan error{first, second} {
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	}
	first = ask("/hold", 20*time.Second)
	<-holding
	brief, patient := ask("/", 100*time.Millisecond), ask("/", 20*time.Second)
	if err := <-brief; !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the brief one: %v", err)
	}
	if err := <-patient; err != nil { // by a connection of its own
		t.Errorf("the patient one: %v", err)
	}
	release()
	if err := <-first; err != nil {
		t.Error(err)
	}
	if n := client.dials.Load(); n != 3 {
		t.Errorf("%d connections, want 3", n)
	}
}

// begin loads a URL on a goroutine of its own, within a time.
func begin(t *testing.T, l *loader, url string, timeout time.Duration) chan error {
	ended := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), timeout)
		defer cancel()
		_, _, err := fetch(ctx, l, newRequest(t, "GET", url, nil))
		ended <- err
	}()

	return ended
}
