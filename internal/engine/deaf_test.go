package engine_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/urlkit/urlkit/internal/engine"
	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/protocols"
)

// deaf answers with a body that gives a byte and then nothing, and does not look
// at its context.
func deaf(t testing.TB) loading {
	return func(context.Context, protocols.Client, *protocols.Request) (*protocols.Response, error) {
		r, w := io.Pipe()
		go func() {
			_, _ = w.Write([]byte("x"))
		}()
		t.Cleanup(func() { _ = w.Close() })

		return &protocols.Response{StatusCode: 200, ContentLength: -1, Body: r}, nil
	}
}

// Whatever ends a load ends the reading of a body that ignores it.
func TestBodyThatIgnoresItsContext(t *testing.T) {
	tests := map[string]struct {
		config  engine.Config
		timeout time.Duration
		ctx     func(ctx context.Context) (context.Context, context.CancelFunc)
		after   time.Duration
		code    protocols.Code
		is      error
	}{
		"cancelled": {ctx: func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			time.AfterFunc(5*time.Second, cancel)

			return ctx, cancel
		}, after: 5 * time.Second, code: protocols.Cancelled, is: context.Canceled},
		"a deadline": {ctx: func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 7*time.Second)
		}, after: 7 * time.Second, code: protocols.TimedOut, is: context.DeadlineExceeded},
		"the request's Timeout": {timeout: 3 * time.Second, after: 3 * time.Second, code: protocols.TimedOut},
		"the session's":         {config: engine.Config{ResourceTimeout: 4 * time.Second}, after: 4 * time.Second, code: protocols.TimedOut},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				e := open(t, tt.config, scheme("https", protocols.Encrypted, deaf(t)))
				ctx, cancel := context.WithCancel(context.Background())
				if tt.ctx != nil {
					ctx, cancel = tt.ctx(ctx)
				}
				defer cancel()
				req := request(t, "GET", "https://a.example/")
				req.Timeout = tt.timeout
				began := time.Now()
				resp, err := e.Load(ctx, req, nil)
				if err != nil {
					t.Fatal(err)
				}
				_, err = engine.ReadAll(resp, -1)
				if failure(t, err, tt.code); tt.is != nil && !errors.Is(err, tt.is) {
					t.Error(err)
				}
				if took := time.Since(began); took != tt.after {
					t.Errorf("it took %v, want %v", took, tt.after)
				}
				synctest.Wait()
			})
		})
	}
}

// A context that ends while the response is handed over closes the body all the
// same, and does so once.
func TestBodyOfALoadThatEndsAtItsHead(t *testing.T) {
	leak.Check(t)
	for i := range 200 {
		ctx, cancel := context.WithCancel(t.Context())
		body := &content{Reader: endless{}}
		e := open(t, engine.Config{}, scheme("https", protocols.Encrypted,
			func(context.Context, protocols.Client, *protocols.Request) (*protocols.Response, error) {
				if i%2 == 0 {
					cancel()
				} else {
					go cancel()
				}

				return &protocols.Response{StatusCode: 200, ContentLength: -1, Body: body}, nil
			}))
		resp, err := e.Load(ctx, request(t, "GET", "https://a.example/"), nil)
		for err == nil {
			_, err = resp.Body.Read(make([]byte, 1))
		}
		failure(t, err, protocols.Cancelled)
		if err := e.Close(); err != nil {
			t.Error(err)
		}
		if body.closes() != 1 {
			t.Fatalf("the body was closed %d times", body.closes())
		}
	}
}
