package engine_test

import (
	"context"
	"errors"
	"io"
	"math"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/urlkit/urlkit/internal/engine"
	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/protocols"
)

// answer makes a scheme of one response.
func answers(respond func(ctx context.Context) *protocols.Response) protocols.Scheme {
	return scheme("https", protocols.Encrypted, func(ctx context.Context, _ protocols.Client, _ *protocols.Request) (*protocols.Response, error) {
		return respond(ctx), nil
	})
}

func TestBodyLength(t *testing.T) {
	tests := []struct {
		name   string
		length int64
		body   string
		code   protocols.Code
	}{
		{"exact", 4, "text", 0},
		{"unknown", -1, "text", 0},
		{"zero with a body is unknown", 0, "text", 0},
		{"empty and unknown", -1, "", 0},
		{"short", 5, "text", protocols.NetworkConnectionLost},
		{"empty", 5, "", protocols.NetworkConnectionLost},
		{"long", 3, "text", protocols.BadServerResponse},
		{"the longest there is", math.MaxInt64, "text", protocols.NetworkConnectionLost},
		{"below -1", math.MinInt64, "text", 0},
	}
	for _, tt := range tests {
		for piece := range 2 {
			body := &content{Reader: strings.NewReader(tt.body)}
			if piece == 1 {
				body.Reader = oneByte{body.Reader}
			}
			var collected []*engine.Transaction
			e := open(t, engine.Config{}, answers(func(context.Context) *protocols.Response {
				return &protocols.Response{StatusCode: 200, ContentLength: tt.length, Body: body}
			}))
			got, _, err := fetch(e, request(t, "GET", "https://a.example/?secret"), &engine.Task{
				Collect: func(tr *engine.Transaction) { collected = append(collected, tr) },
			})
			switch {
			case tt.code == 0 && (err != nil || got != tt.body):
				t.Errorf("%s: %q, %v", tt.name, got, err)
			case tt.code != 0:
				failure(t, err, tt.code)
				if short := tt.code == protocols.NetworkConnectionLost; errors.Is(err, io.ErrUnexpectedEOF) != short {
					t.Errorf("%s: %v", tt.name, err)
				}
			}
			if body.closes() != 1 || len(collected) != 1 || (collected[0].Err != nil) != (tt.code != 0) {
				t.Errorf("%s: closed %d times, %d transactions", tt.name, body.closes(), len(collected))
			}
		}
	}
}

// oneByte reads a byte at a time, and gives the end with the last one.
type oneByte struct{ io.Reader }

func (o oneByte) Read(p []byte) (int, error) { return o.Reader.Read(p[:min(len(p), 1)]) }

func TestReadAll(t *testing.T) {
	for _, size := range []int{1, 4095, 4096, 4097, 1 << 20, 1<<20 + 1, 3<<20 + 7} {
		for _, known := range []bool{true, false} {
			text := strings.Repeat("x", size)
			for _, limit := range []int64{-1, int64(size), int64(size) - 1, 0} {
				body := &content{Reader: strings.NewReader(text)}
				e := open(t, engine.Config{}, answers(func(context.Context) *protocols.Response {
					r := &protocols.Response{StatusCode: 200, ContentLength: -1, Body: body}
					if known {
						r.ContentLength = int64(size)
					}

					return r
				}))
				resp, err := e.Load(t.Context(), request(t, "GET", "https://a.example/"), nil)
				if err != nil {
					t.Fatal(err)
				}
				data, err := engine.ReadAll(resp, limit)
				if limit >= 0 && limit < int64(size) {
					if failure(t, err, protocols.DataLengthExceedsMaximum); data != nil {
						t.Error("data and an error")
					}
				} else if err != nil || string(data) != text || known && cap(data) != size {
					t.Errorf("size %d, known %v: %d bytes of %d, %v", size, known, len(data), cap(data), err)
				}
				if body.closes() != 1 {
					t.Errorf("size %d: closed %d times", size, body.closes())
				}
			}
		}
	}
}

// A peer's word is no reason to allocate.
func TestReadAllTrustsNoLength(t *testing.T) {
	e := open(t, engine.Config{}, answers(func(context.Context) *protocols.Response {
		return &protocols.Response{StatusCode: 200, ContentLength: 1 << 50, Body: &content{Reader: strings.NewReader("x")}}
	}))
	resp, err := e.Load(t.Context(), request(t, "GET", "https://a.example/"), nil)
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err = engine.ReadAll(resp, -1)
	runtime.ReadMemStats(&after)
	failure(t, err, protocols.NetworkConnectionLost)
	if n := after.TotalAlloc - before.TotalAlloc; n > 4<<20 {
		t.Errorf("%d bytes were allocated for one", n)
	}
}

func TestReadAfterTheEnd(t *testing.T) {
	e := open(t, engine.Config{}, answers(func(context.Context) *protocols.Response { return reply(200, "text") }))
	load := func() io.ReadCloser {
		resp, err := e.Load(t.Context(), request(t, "GET", "https://a.example/?secret"), nil)
		if err != nil {
			t.Fatal(err)
		}

		return resp.Body
	}
	read := load()
	if _, err := io.ReadAll(read); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if n, err := read.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("after the end: %d, %v", n, err)
		}
		if err := read.Close(); err != nil {
			t.Error(err)
		}
	}
	closed := load()
	for range 2 {
		if err := closed.Close(); err != nil {
			t.Error(err)
		}
		_, err := closed.Read(make([]byte, 1))
		if got := failure(t, err, protocols.Cancelled); got.Phase != "body" || contains(got.Error(), "secret") {
			t.Error(got)
		}
	}
}

func TestCloseDuringRead(t *testing.T) {
	leak.Check(t)
	for _, collects := range []bool{false, true} {
		body := make(chan *slow, 1)
		e := open(t, engine.Config{}, answers(func(ctx context.Context) *protocols.Response {
			s := newSlow(ctx, 0, 1)
			body <- s

			return &protocols.Response{StatusCode: 200, ContentLength: -1, Body: &safe{slow: s}}
		}))
		task := &engine.Task{}
		collected := 0
		if collects {
			task.Collect = func(tr *engine.Transaction) {
				if collected++; tr.Response.Trailer != nil {
					t.Error("a body that was closed has a trailer")
				}
			}
		}
		resp, err := e.Load(t.Context(), request(t, "GET", "https://a.example/"), task)
		if err != nil {
			t.Fatal(err)
		}
		read := make(chan error)
		go func() {
			_, err := io.ReadAll(resp.Body)
			read <- err
		}()
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() { _ = resp.Body.Close() })
		}
		all.Wait()
		failure(t, <-read, protocols.Cancelled)
		<-(<-body).closed
		if collects && collected != 1 {
			t.Errorf("%d transactions", collected)
		}
	}
}

// safe makes the Close of a slow body safe for concurrent use.
type safe struct {
	*slow
	once sync.Once
}

func (s *safe) Close() error {
	s.once.Do(func() { _ = s.slow.Close() })

	return nil
}

func TestWrongReturns(t *testing.T) {
	both := &content{Reader: strings.NewReader("x")}
	tests := map[string]struct {
		load loading
		text string
	}{
		"neither": {func(context.Context, protocols.Client, *protocols.Request) (*protocols.Response, error) {
			return nil, nil
		}, "neither"},
		"both": {func(context.Context, protocols.Client, *protocols.Request) (*protocols.Response, error) {
			return &protocols.Response{Body: both}, errWhy
		}, errWhy.Error()},
		"a panic": {func(context.Context, protocols.Client, *protocols.Request) (*protocols.Response, error) {
			panic("oh")
		}, "panicked: oh"},
	}
	for name, tt := range tests {
		collected := 0
		_, _, err := fetch(open(t, engine.Config{}, scheme("https", protocols.Encrypted, tt.load)), request(t, "GET", "https://a.example/"),
			&engine.Task{Collect: func(*engine.Transaction) { collected++ }})
		if got := failure(t, err, protocols.Unknown); !contains(got.Error(), tt.text) || collected != 1 {
			t.Errorf("%s: %v, %d transactions", name, got, collected)
		}
	}
	if both.closes() != 1 {
		t.Errorf("the body beside an error was closed %d times", both.closes())
	}
	body, resp, err := fetch(open(t, engine.Config{}, answers(func(context.Context) *protocols.Response {
		return &protocols.Response{StatusCode: 204}
	})), request(t, "GET", "https://a.example/"), nil)
	if err != nil || body != "" || resp.Body != protocols.NoBody || resp.URL.Host != "a.example" {
		t.Errorf("no body: %q, %+v, %v", body, resp, err)
	}
	body, resp, err = fetch(open(t, engine.Config{}, answers(func(context.Context) *protocols.Response {
		return &protocols.Response{StatusCode: 200, ContentLength: 1234, Body: protocols.NoBody}
	})), request(t, "HEAD", "https://a.example/"), nil)
	if err != nil || body != "" || resp.ContentLength != 1234 {
		t.Errorf("HEAD: %q, %+v, %v", body, resp, err)
	}
}
