package engine_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/urlkit/urlkit/internal/engine"
	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/registry"
)

// Loads of every kind race with Close: each ends in its result or in the
// invalidation, and nothing is left.
func TestCloseRacesWithLoads(t *testing.T) {
	leak.Check(t)
	for range 50 {
		var opened atomic.Int32
		load := func(ctx context.Context, c protocols.Client, req *protocols.Request) (*protocols.Response, error) {
			switch req.URL.Path {
			case "/stall":
				return stalls(ctx, c, req)
			case "/redirect":
				return reply(302, "", "Location", "/body"), nil
			case "/challenge":
				return reply(401, "no", "Www-Authenticate", `Basic realm="r"`), nil
			default:
				return reply(200, zipped("body"), "Content-Encoding", "gzip"), nil
			}
		}
		e, err := engine.New(engine.Config{
			Registry: registry.New(scheme("https", protocols.Encrypted, load)), Decoders: decoders(&opened),
		})
		if err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		start := make(chan struct{})
		for _, path := range []string{"stall", "redirect", "challenge", "body", "body", "body"} {
			req := request(t, "GET", "https://u:p@a.example/"+path)
			all.Go(func() {
				<-start
				_, _, err := fetch(e, req, &engine.Task{Collect: func(*engine.Transaction) {}})
				if err != nil && !errors.Is(err, engine.ErrInvalidated) {
					t.Errorf("%s: %v", path, err)
				}
				if err == nil && path == "stall" {
					t.Error("a stalled load has a result")
				}
			})
		}
		close(start)
		if err := e.Close(); err != nil {
			t.Error(err)
		}
		all.Wait()
		if opened.Load() != 0 {
			t.Errorf("%d decoders are open", opened.Load())
		}
	}
}

// The trailer comes with the end of the body.
func TestTrailer(t *testing.T) {
	var head *protocols.Response
	e := open(t, engine.Config{}, answers(func(context.Context) *protocols.Response {
		head = &protocols.Response{StatusCode: 200, ContentLength: -1}
		head.Body = &content{Reader: io.MultiReader(strings.NewReader("text"), atEnd(func() {
			head.Trailer = http.Header{"Digest": {"x"}}
		}))}

		return head
	}))
	resp, err := e.Load(t.Context(), request(t, "GET", "https://a.example/"), nil)
	if err != nil || resp.Trailer != nil {
		t.Fatalf("%v, %v", err, resp)
	}
	if _, err := io.ReadAll(resp.Body); err != nil || resp.Trailer.Get("Digest") != "x" {
		t.Errorf("%v, trailer %v", err, resp.Trailer)
	}
}

// atEnd is an empty reader that calls a function.
type atEnd func()

func (f atEnd) Read([]byte) (int, error) {
	f()

	return 0, io.EOF
}

// An interim response is a movement of bytes, and the app is told.
func TestInform(t *testing.T) {
	told := 0
	e := open(t, engine.Config{}, scheme("https", protocols.Encrypted,
		func(ctx context.Context, c protocols.Client, req *protocols.Request) (*protocols.Response, error) {
			if req.Trace == nil {
				t.Error("there is no trace though the task collects")
			}
			c.Inform(ctx, reply(103, ""))

			return reply(200, ""), nil
		}))
	_, _, err := fetch(e, request(t, "GET", "https://a.example/"), &engine.Task{
		Collect: func(*engine.Transaction) {},
		Inform:  func(_ context.Context, r *protocols.Response) { told += r.StatusCode },
	})
	if err != nil || told != 103 {
		t.Errorf("%v, told of %d", err, told)
	}
}
