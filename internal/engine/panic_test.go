package engine_test

import (
	"context"
	"errors"
	"io"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/urlkit/urlkit/internal/engine"
	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/protocols"
)

// panicky is a protocol that panics when it is asked for a path.
func panicky(path string) protocols.Scheme {
	return protocols.Scheme{Security: protocols.Local, New: func(c protocols.Client) protocols.URLProtocol {
		return claiming{instance{c, stalls}, func(req *protocols.Request) bool {
			if req.URL.Path == path {
				panic("oh")
			}

			return false
		}}
	}}
}

// A panic in Claims is one error, whichever stage asks.
func TestPanicInClaims(t *testing.T) {
	leak.Check(t)
	targets := map[string]string{"https://a.example/panic": "", "https://a.example/start": "http://localhost/panic"}
	for url, location := range targets {
		load := func(context.Context, protocols.Client, *protocols.Request) (*protocols.Response, error) {
			return reply(302, "", "Location", location), nil
		}
		e := open(t, engine.Config{}, panicky("/panic"), scheme("https", protocols.Encrypted, load), scheme("http", protocols.Cleartext, load))
		_, _, err := fetch(e, request(t, "GET", url), nil)
		if got := failure(t, err, protocols.Unknown); !contains(got.Error(), "panicked in Claims: oh") {
			t.Errorf("%s: %v", url, got)
		}
		if url == "https://a.example/panic" {
			if _, err := e.Explain(t.Context(), request(t, "GET", url)); !errors.Is(err, protocols.Unknown) {
				t.Errorf("Explain: %v", err)
			}
		}
	}
}

// leaves runs a load on a goroutine that does not come back from it, and gives
// what it panicked with.
func leaves(e *engine.Engine, req *protocols.Request, task *engine.Task) any {
	result := make(chan any, 1)
	go func() {
		defer func() { result <- recover() }()
		_, _, _ = fetch(e, req, task)
		result <- "it came back"
	}()

	return <-result
}

// What leaves a load by a panic of the app's, or by runtime.Goexit, leaves nothing
// behind that Close would wait for.
func TestCloseAfterALoadWasLeft(t *testing.T) {
	goexit := func(context.Context, protocols.Client, *protocols.Request) (*protocols.Response, error) {
		runtime.Goexit()

		return nil, nil
	}
	answers := func(status int, header ...string) loading {
		return func(context.Context, protocols.Client, *protocols.Request) (*protocols.Response, error) {
			return reply(status, "x", header...), nil
		}
	}
	asked := errors.New("a function of the app's")
	tests := map[string]struct {
		load loading
		task *engine.Task
		want any
	}{
		"Goexit in Load": {goexit, nil, nil},
		"a panic in Redirect": {answers(302, "Location", "/next"), &engine.Task{
			Redirect: func(context.Context, *protocols.Response, *protocols.Request) (*protocols.Request, error) {
				panic(asked)
			},
		}, asked},
		"a panic in Challenge": {answers(401, "Www-Authenticate", `Basic realm="r"`), &engine.Task{
			Challenge: func(context.Context, *protocols.Challenge) (protocols.Disposition, *protocols.Credential) {
				panic(asked)
			},
		}, asked},
		"Goexit in Challenge": {answers(401, "Www-Authenticate", `Basic realm="r"`), &engine.Task{
			Challenge: func(context.Context, *protocols.Challenge) (protocols.Disposition, *protocols.Credential) {
				runtime.Goexit()

				return 0, nil
			},
		}, nil},
		"a panic in Collect": {failing(io.ErrUnexpectedEOF), &engine.Task{Collect: func(*engine.Transaction) { panic(asked) }}, asked},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) { // in which a Close that hangs is a deadlock
				e := open(t, engine.Config{ResourceTimeout: -1, RequestTimeout: -1}, scheme("https", protocols.Encrypted, tt.load))
				if got := leaves(e, request(t, "GET", "https://a.example/"), tt.task); got != tt.want {
					t.Errorf("the load left with %v, want %v", got, tt.want)
				}
				if err := e.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// panics is a body whose Read panics.
type panics struct{ content }

func (*panics) Read([]byte) (int, error) { panic("the disk is on fire") }

func TestPanicInTheBody(t *testing.T) {
	for name, header := range map[string][]string{"plain": nil, "decoded": {"Content-Encoding", "gzip"}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				body := &panics{}
				e := open(t, engine.Config{Decoders: decoders(new(atomic.Int32))}, scheme("https", protocols.Encrypted,
					func(context.Context, protocols.Client, *protocols.Request) (*protocols.Response, error) {
						r := reply(200, "x", header...)
						r.ContentLength, r.Body = -1, body

						return r, nil
					}))
				resp, err := e.Load(t.Context(), request(t, "GET", "https://a.example/"), nil)
				if err != nil {
					t.Fatal(err)
				}
				_, first := resp.Body.Read(make([]byte, 1))
				_, second := resp.Body.Read(make([]byte, 1))
				if got := failure(t, first, protocols.Unknown); !contains(got.Error(), "panicked: the disk is on fire") || second != first {
					t.Errorf("%v, then %v", first, second)
				}
				if body.closes() != 1 {
					t.Errorf("the body was closed %d times", body.closes())
				}
				if err := e.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}
