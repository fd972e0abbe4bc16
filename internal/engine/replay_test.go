package engine_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/urlkit/urlkit/internal/engine"
	"github.com/urlkit/urlkit/protocols"
)

func TestReplay(t *testing.T) {
	stale := fmt.Errorf("connection 3: %w", protocols.ErrStaleConnection)
	unsent := fmt.Errorf("connection 3: %w", protocols.ErrNotSent)
	bytes := protocols.StringBody("x")
	once := func() *protocols.Body { return protocols.ReaderBody(io.MultiReader(strings.NewReader("x"))) }
	tests := []struct {
		name   string
		method string
		body   *protocols.Body
		err    error
		loads  int
	}{
		{"not sent", "POST", bytes, unsent, 3},
		{"not sent, no body", "POST", nil, unsent, 3},
		{"not sent, one-shot body", "POST", once(), unsent, 1},
		{"stale, GET", "GET", nil, stale, 3},
		{"stale, put in lower case", "put", bytes, stale, 3},
		{"stale, DELETE", "DELETE", nil, stale, 3},
		{"stale, POST", "POST", bytes, stale, 1},
		{"stale, PATCH", "PATCH", bytes, stale, 1},
		{"stale, one-shot body", "PUT", once(), stale, 1},
		{"another error", "GET", nil, io.ErrUnexpectedEOF, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			loads := 0
			e := open(t, engine.Config{}, scheme("https", protocols.Encrypted,
				func(_ context.Context, _ protocols.Client, req *protocols.Request) (*protocols.Response, error) {
					loads++

					return nil, tt.err
				}))
			req := request(t, tt.method, "https://a.example/")
			req.Body = tt.body
			_, _, err := fetch(e, req, nil)
			if failure(t, err, protocols.NetworkConnectionLost); loads != tt.loads {
				t.Errorf("%d loads, want %d", loads, tt.loads)
			}
		})
	}
}

func TestReplaySendsTheBodyAgain(t *testing.T) {
	var log []seen
	e := open(t, engine.Config{}, scheme("https", protocols.Encrypted,
		func(_ context.Context, _ protocols.Client, req *protocols.Request) (*protocols.Response, error) {
			if log = append(log, see(t, req)); len(log) == 1 {
				return nil, protocols.ErrNotSent
			}

			return reply(200, "done"), nil
		}))
	req := request(t, "POST", "https://a.example/")
	long := strings.Repeat("payload", 20000)
	req.Body = protocols.StringBody(long)
	body, _, err := fetch(e, req, nil)
	if err != nil || body != "done" || len(log) != 2 || log[1].body != long {
		t.Errorf("%q, %v, %d loads", body, err, len(log))
	}
}

func TestNoReplayAfterTheEnd(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	loads := 0
	e := open(t, engine.Config{}, scheme("https", protocols.Encrypted,
		func(context.Context, protocols.Client, *protocols.Request) (*protocols.Response, error) {
			loads++
			cancel()

			return nil, protocols.ErrNotSent
		}))
	_, err := e.Load(ctx, request(t, "GET", "https://a.example/"), nil)
	if failure(t, err, protocols.Cancelled); loads != 1 {
		t.Errorf("%d loads", loads)
	}
}

// A composed scheme that passes on the second inner load's ErrNotSent has sent
// the first: that is not sent twice.
func TestNoReplayOfSeveralInnerLoads(t *testing.T) {
	sent := 0
	inner := scheme("https", protocols.Encrypted, func(_ context.Context, _ protocols.Client, req *protocols.Request) (*protocols.Response, error) {
		if req.URL.Path == "/second" {
			return nil, protocols.ErrNotSent
		}
		sent++

		return reply(200, ""), nil
	})
	composed := scheme("two", protocols.Local, func(ctx context.Context, c protocols.Client, _ *protocols.Request) (*protocols.Response, error) {
		if _, err := c.Load(ctx, request(t, "POST", "https://a.example/first")); err != nil {
			return nil, err
		}

		return c.Load(ctx, request(t, "POST", "https://a.example/second"))
	})
	_, _, err := fetch(open(t, engine.Config{}, inner, composed), request(t, "POST", "two:x"), nil)
	if failure(t, err, protocols.NetworkConnectionLost); sent != 1 {
		t.Errorf("the first was sent %d times", sent)
	}
}
