//go:build !urlkit_nohttp3

package http

import (
	"context"
	"errors"
	"io"
	nethttp "net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/protocols"
)

// Bodies that nobody reads do not stall the one that somebody does.
func TestUnreadBodies3(t *testing.T) {
	big := strings.Repeat("x", 8<<20)
	l, _, server := start3(t, "", Config{}, func(w nethttp.ResponseWriter, _ *nethttp.Request) { _, _ = io.WriteString(w, big) })
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for range 40 {
		req := request3(t, "GET", server.URL, nil)
		req.AssumesHTTP3Capable = true
		resp, err := l.Load(ctx, req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
	}
	req := request3(t, "GET", server.URL, nil)
	if _, body, err := fetch(ctx, l, req); err != nil || len(body) != len(big) {
		t.Errorf("%d bytes, %v", len(body), err)
	}
}

// A server that says goodbye gets no more requests; what it has begun with ends well.
func TestGoAway3(t *testing.T) {
	begun, finish := make(chan struct{}, 1), make(chan struct{})
	ending := sync.OnceFunc(func() { close(finish) })
	defer ending()
	l, _, server := start3(t, "h2", Config{}, func(w nethttp.ResponseWriter, r *nethttp.Request) {
		if r.URL.Path == "/slow" {
			begun <- struct{}{}
			<-finish
		}
		_, _ = io.WriteString(w, r.Proto)
	})
	slow := make(chan string)
	go func() {
		proto, _ := get3(t, l, server.URL+"/slow", true)
		slow <- proto
	}()
	<-begun
	down := make(chan struct{})
	go func() {
		defer close(down)
		_ = server.Shutdown(t.Context())
	}()
	eventually(t, "a request by TCP", func() bool {
		req := request3(t, "POST", server.URL, &protocols.Body{Bytes: []byte("x"), Length: 1})
		resp, _, err := fetch(t.Context(), l, req)
		if err != nil && !errors.Is(err, protocols.ErrNotSent) {
			t.Error(err)
		}

		return err == nil && resp.Proto == "h2"
	})
	ending()
	if proto := <-slow; proto != "h3" {
		t.Errorf("the request that was begun with came by %s", proto)
	}
	<-down
	if len(l.pool.breakdowns) > 0 {
		t.Error("a goodbye counts as a breakdown")
	}
}

// Close ends idle connections and attempts, with their sockets.
func TestClose3(t *testing.T) {
	leak.CheckFiles(t)
	l, client, server := start3(t, "h2", Config{}, hello)
	get3(t, l, server.URL, true)
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if n := len(l.pool.idle); n > 0 {
		t.Errorf("%d idle connections", n)
	}
	get3(t, l, server.URL, true) // a load may come after it, and leaves nothing behind
	hole := blackHole(t)
	client.packet.Store(&hole)
	other := loaderFor(t, client, Config{HTTP3HeadStart: time.Millisecond}, true)
	get3(t, other, server.URL, true) // by TCP, the attempt goes on
	if err := other.Close(); err != nil {
		t.Error(err)
	}
	eventually(t, "the attempt ends", func() bool {
		other.pool.mu.Lock()
		defer other.pool.mu.Unlock()
		for _, h := range other.pool.hosts {
			if h.attempt != nil {
				return false
			}
		}

		return true
	})
	if len(other.pool.breakdowns) > 0 {
		t.Error("an attempt that was given up counts as a breakdown")
	}
}

// A request body that fails ends its request, whatever the server does.
func TestBodyFails3(t *testing.T) {
	l, _, server := start3(t, "", Config{}, func(nethttp.ResponseWriter, *nethttp.Request) { <-t.Context().Done() })
	failing := &protocols.Body{Length: -1, Open: func(int64) (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(strings.NewReader("some"), failure{})), nil
	}}
	req := request3(t, "POST", server.URL, failing)
	req.AssumesHTTP3Capable = true
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, _, err := fetch(ctx, l, req); err != errBody {
		t.Errorf("%v", err)
	}
}

type failure struct{}

var errBody = io.ErrNoProgress

func (failure) Read([]byte) (int, error) { return 0, errBody }

// A request that has no answer in time says nothing of its connection: the server has
// acknowledged it.
func TestSlowAnswer3(t *testing.T) {
	l, _, server := start3(t, "", Config{}, func(_ nethttp.ResponseWriter, r *nethttp.Request) {
		if r.URL.Path == "/slow" {
			<-r.Context().Done()
		}
	})
	get3(t, l, server.URL, true)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, _, err := fetch(ctx, l, request3(t, "GET", server.URL+"/slow", nil)); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	resp, _, err := fetch(t.Context(), l, request3(t, "GET", server.URL, nil))
	if err != nil || !resp.Reused {
		t.Errorf("the next: %v, %+v", err, resp)
	}
}

// An answer that is closed ends the upload that its server does not take.
func TestUploadEnds3(t *testing.T) {
	l, _, server := start3(t, "", Config{}, func(w nethttp.ResponseWriter, _ *nethttp.Request) {
		_ = nethttp.NewResponseController(w).Flush()
		<-t.Context().Done()
	})
	req := request3(t, "POST", server.URL, protocols.BytesBody(make([]byte, 16<<20)))
	req.AssumesHTTP3Capable = true
	resp, err := l.Load(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	blocked := func() bool {
		stacks := make([]byte, 1<<20)
		for stack := range strings.SplitSeq(string(stacks[:runtime.Stack(stacks, true)]), "\n\n") {
			if strings.Contains(stack, ").sendRequestBody") && strings.Contains(stack, " [chan receive") {
				return true
			}
		}

		return false
	}
	still := 0
	eventually(t, "the window is full", func() bool {
		if still++; !blocked() {
			still = 0
		}

		return still == 100
	})
	if err := resp.Body.Close(); err != nil {
		t.Error(err)
	}
	eventually(t, "the upload ends", func() bool { return !blocked() })
}
