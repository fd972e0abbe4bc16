package engine_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/urlkit/urlkit/internal/engine"
	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/registry"
)

// generation is a protocol that knows which of its scheme's instances it is.
type generation struct {
	number int
	client protocols.Client
	load   func(g *generation, ctx context.Context, req *protocols.Request) (*protocols.Response, error)
	closed atomic.Int32
	err    error // of Close
}

func (g *generation) Load(ctx context.Context, req *protocols.Request) (*protocols.Response, error) {
	return g.load(g, ctx, req)
}

func (g *generation) Close() error {
	g.closed.Add(1)

	return g.err
}

// generations makes the instances, and keeps them.
type generations struct {
	mu   sync.Mutex
	list []*generation
}

func (a *generations) scheme(name string, load func(*generation, context.Context, *protocols.Request) (*protocols.Response, error)) protocols.Scheme {
	return protocols.Scheme{Name: name, Security: protocols.Encrypted, New: func(c protocols.Client) protocols.URLProtocol {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.list = append(a.list, &generation{number: len(a.list), client: c, load: load})

		return a.list[len(a.list)-1]
	}}
}

func answersByNumber(g *generation, _ context.Context, _ *protocols.Request) (*protocols.Response, error) {
	return reply(200, string(rune('a'+g.number))), nil
}

func TestFlush(t *testing.T) {
	var all generations
	e, err := engine.New(engine.Config{Registry: registry.New(all.scheme("https", answersByNumber))})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"a", "b", "c"} {
		if got, _, err := fetch(e, request(t, "GET", "https://a.example/"), nil); err != nil || got != want {
			t.Errorf("%q, %v, want %q", got, err, want)
		}
		if want == "c" {
			break
		}
		if err := e.Flush(); err != nil {
			t.Error(err)
		}
	}
	if err := errors.Join(e.Close(), e.Close()); err != nil {
		t.Error(err)
	}
	if err := e.Flush(); !errors.Is(err, engine.ErrInvalidated) {
		t.Errorf("a flush after Close gives %v", err)
	}
	if len(all.list) != 3 {
		t.Errorf("%d instances", len(all.list))
	}
	for _, g := range all.list {
		if n := g.closed.Load(); n != 1 {
			t.Errorf("instance %d was closed %d times", g.number, n)
		}
	}
}

// A load keeps to the instances that it began with, for its redirects and for the
// inner loads of an interceptor, which so runs once for each hop.
func TestFlushDuringALoad(t *testing.T) {
	var interceptors, ends generations
	began, flushed := make(chan struct{}), make(chan struct{})
	intercepting := interceptors.scheme("https", func(g *generation, ctx context.Context, req *protocols.Request) (*protocols.Response, error) {
		if req.URL.Path == "/first" {
			close(began)
			<-flushed
		}
		resp, err := g.client.Load(ctx, req)
		if err == nil {
			resp.Header.Add("Interceptor", string(rune('a'+g.number)))
		}

		return resp, err
	})
	end := ends.scheme("https", func(g *generation, ctx context.Context, req *protocols.Request) (*protocols.Response, error) {
		if req.URL.Path == "/first" {
			return reply(302, "", "Location", "/second"), nil
		}

		return answersByNumber(g, ctx, req)
	})
	e := open(t, engine.Config{}, intercepting, end)
	done := make(chan struct{})
	go func() {
		defer close(done)
		body, resp, err := fetch(e, request(t, "GET", "https://a.example/first"), nil)
		if err != nil || body != "a" || len(resp.Header["Interceptor"]) != 1 || resp.Header.Get("Interceptor") != "a" {
			t.Errorf("%q, %v, %v", body, err, resp)
		}
	}()
	<-began
	if err := e.Flush(); err != nil {
		t.Error(err)
	}
	body, resp, err := fetch(e, request(t, "GET", "https://a.example/"), nil)
	if err != nil || body != "b" || resp.Header.Get("Interceptor") != "b" {
		t.Errorf("a load after the flush: %q, %v", body, err)
	}
	close(flushed)
	<-done
}

func TestFlushErrors(t *testing.T) {
	var all generations
	fails := false
	failing := protocols.Scheme{Name: "failing", New: func(c protocols.Client) protocols.URLProtocol {
		if fails {
			return nil
		}

		return instance{c, stalls}
	}}
	e := open(t, engine.Config{}, all.scheme("https", answersByNumber), failing)
	fails = true
	if err := e.Flush(); err == nil || !contains(err.Error(), "returned nil") {
		t.Errorf("a constructor that fails: %v", err)
	}
	if got, _, err := fetch(e, request(t, "GET", "https://a.example/"), nil); err != nil || got != "a" || all.list[0].closed.Load() != 0 {
		t.Errorf("after a flush that failed: %q, %v", got, err)
	}
	fails = false
	all.list[0].err = errWhy
	if err := e.Flush(); !errors.Is(err, errWhy) {
		t.Errorf("a Close that fails: %v", err)
	}
	if got, _, err := fetch(e, request(t, "GET", "https://a.example/"), nil); err != nil || got != "c" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestFlushDropsTLSSessions(t *testing.T) {
	leak.Check(t)
	ca := newAuthority(t, "root")
	server := &tls.Config{Certificates: []tls.Certificate{ca.leaf(t, nil, "public.example")}}
	peer := serve(t, func(conn net.Conn) { echoes(tls.Server(conn, server)) })
	var resumed bool
	e := open(t, engine.Config{Dialer: &to{addr: peer.addr}, TLS: &tls.Config{RootCAs: ca.pool()}},
		scheme("custom", protocols.Encrypted, dialling(func(ctx context.Context, c protocols.Client, conn net.Conn) (string, error) {
			secure := tls.Client(conn, c.TLSConfig(ctx, "public.example"))
			heard, err := say(secure, "x")
			resumed = secure.ConnectionState().DidResume

			return heard, err
		})))
	for i, want := range []bool{false, true, false, true} {
		if i == 2 {
			if err := e.Flush(); err != nil {
				t.Fatal(err)
			}
		}
		if _, _, err := fetch(e, request(t, "GET", "custom://public.example:1/"), nil); err != nil || resumed != want {
			t.Errorf("connection %d: resumed: %v, %v", i, resumed, err)
		}
	}
}

// Flushes race with loads and with Close: every instance is closed once.
func TestFlushRaces(t *testing.T) {
	leak.Check(t)
	for range 50 {
		var all generations
		e, err := engine.New(engine.Config{Registry: registry.New(all.scheme("https", answersByNumber))})
		if err != nil {
			t.Fatal(err)
		}
		var running sync.WaitGroup
		for range 4 {
			req := request(t, "GET", "https://a.example/")
			running.Go(func() {
				if _, _, err := fetch(e, req, nil); err != nil && !errors.Is(err, engine.ErrInvalidated) {
					t.Error(err)
				}
			})
			running.Go(func() {
				if err := e.Flush(); err != nil && !errors.Is(err, engine.ErrInvalidated) {
					t.Error(err)
				}
				e.Local(req)
			})
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
		running.Wait()
		for _, g := range all.list {
			if n := g.closed.Load(); n != 1 {
				t.Fatalf("instance %d of %d was closed %d times", g.number, len(all.list), n)
			}
		}
	}
}
