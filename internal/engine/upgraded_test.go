package engine_test

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/urlkit/urlkit/internal/engine"
	"github.com/urlkit/urlkit/protocols"
)

// chat is a message connection that is silent.
type chat struct {
	mu     sync.Mutex
	codes  []int
	closed chan struct{}
}

func (c *chat) Receive(ctx context.Context) (bool, io.Reader, error) {
	select {
	case <-c.closed:
		return false, nil, net.ErrClosed
	case <-ctx.Done():
		return false, nil, ctx.Err()
	}
}

func (c *chat) Send(context.Context, bool, []byte) error { return nil }
func (c *chat) Ping(context.Context) error               { return nil }

func (c *chat) Close(code int, _ string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.codes = append(c.codes, code); len(c.codes) == 1 {
		close(c.closed)
	}

	return nil
}

func TestMessagesEnd(t *testing.T) {
	ends := map[string]struct {
		end  func(cancel func(), e *engine.Engine, m protocols.Messages)
		code int
	}{
		"by the context": {func(cancel func(), _ *engine.Engine, _ protocols.Messages) { cancel() }, 1001},
		"by the session": {func(_ func(), e *engine.Engine, _ protocols.Messages) { _ = e.Close() }, 1001},
		"by the app": {func(_ func(), _ *engine.Engine, m protocols.Messages) {
			_ = m.Close(1000, "bye")
			_ = m.Close(1002, "again")
		}, 1000},
	}
	for name, tt := range ends {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := &chat{closed: make(chan struct{})}
				e := open(t, engine.Config{RequestTimeout: time.Second, ResourceTimeout: time.Minute}, scheme("wss", protocols.Encrypted,
					func(context.Context, protocols.Client, *protocols.Request) (*protocols.Response, error) {
						return &protocols.Response{StatusCode: 101, Messages: c}, nil
					}))
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				resp, err := e.Load(ctx, request(t, "GET", "wss://a.example/"), nil)
				if err != nil {
					t.Fatal(err)
				}
				<-time.After(24 * time.Hour)
				synctest.Wait()
				if len(c.codes) != 0 {
					t.Fatalf("closed with %v by a clock", c.codes)
				}
				go tt.end(cancel, e, resp.Messages)
				if _, _, err := resp.Messages.Receive(context.Background()); err == nil {
					t.Error("a message came")
				}
				synctest.Wait()
				if len(c.codes) != 1 || c.codes[0] != tt.code {
					t.Errorf("closed with %v, want %d once", c.codes, tt.code)
				}
				if data, err := engine.ReadAll(resp, -1); len(data) != 0 || err != nil || engine.Decoded(resp) {
					t.Errorf("its body gives %q, %v", data, err)
				}
			})
		})
	}
}

// A failed redirect or challenge of a response that is a connection closes it.
func TestRefusedConnectionsAreClosed(t *testing.T) {
	c := &chat{closed: make(chan struct{})}
	near, far := net.Pipe()
	e := open(t, engine.Config{}, scheme("wss", protocols.Encrypted,
		func(context.Context, protocols.Client, *protocols.Request) (*protocols.Response, error) {
			return &protocols.Response{Upgraded: near, Messages: c, Challenges: []*protocols.Challenge{{}}}, nil
		}))
	_, err := e.Load(t.Context(), request(t, "GET", "wss://a.example/"), &engine.Task{
		Challenge: func(context.Context, *protocols.Challenge) (protocols.Disposition, *protocols.Credential) {
			return protocols.CancelAuthenticationChallenge, nil
		},
	})
	failure(t, err, protocols.Cancelled)
	<-c.closed
	if _, err := far.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the connection: %v", err)
	}
}
