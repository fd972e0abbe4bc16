package engine_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/urlkit/urlkit/internal/engine"
	"github.com/urlkit/urlkit/protocols"
)

var errWhy = errors.New("the user went elsewhere")

func TestContextEnds(t *testing.T) {
	for name, load := range map[string]loading{"in the head": stalls, "in the body": trickles(time.Second, 3)} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				e := open(t, engine.Config{}, scheme("https", protocols.Encrypted, load))
				get := func(ctx context.Context) error {
					resp, err := e.Load(ctx, request(t, "GET", "https://a.example/?secret"), nil)
					if err == nil {
						_, err = engine.ReadAll(resp, -1)
					}

					return err
				}
				ctx, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(10*time.Second, func() { cancel(errWhy) })
				err := get(ctx)
				failure(t, err, protocols.Cancelled)
				if !errors.Is(err, context.Canceled) || !errors.Is(err, errWhy) {
					t.Errorf("cancelled: %v", err)
				}
				late, stop := context.WithTimeoutCause(t.Context(), 20*time.Second, errWhy)
				defer stop()
				err = get(late)
				failure(t, err, protocols.TimedOut)
				if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, errWhy) {
					t.Errorf("past its deadline: %v", err)
				}
				err = get(ctx)
				if failure(t, err, protocols.Cancelled); !errors.Is(err, errWhy) {
					t.Errorf("with an ended context: %v", err)
				}
			})
		})
	}
}

func TestCloseEndsLoads(t *testing.T) {
	bubble(t, func(t *testing.T) {
		e := open(t, engine.Config{RequestTimeout: -1, ResourceTimeout: -1},
			scheme("stall", protocols.Encrypted, stalls), scheme("body", protocols.Encrypted, trickles(time.Second, 1)))
		head := make(chan error, 1)
		go func() {
			_, err := e.Load(context.Background(), request(t, "GET", "stall://a.example/"), nil)
			head <- err
		}()
		reading := make(chan error, 1)
		go func() {
			_, _, err := fetch(e, request(t, "GET", "body://a.example/"), nil)
			reading <- err
		}()
		unread, err := e.Load(t.Context(), request(t, "GET", "body://a.example/"), nil)
		if err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Hour)
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		for what, err := range map[string]error{"head": <-head, "body": <-reading} {
			if failure(t, err, protocols.Cancelled); !errors.Is(err, engine.ErrInvalidated) {
				t.Errorf("%s: %v", what, err)
			}
		}
		_, err = unread.Body.Read(make([]byte, 1))
		if failure(t, err, protocols.Cancelled); !errors.Is(err, engine.ErrInvalidated) {
			t.Errorf("unread: %v", err)
		}
		_, err = e.Load(t.Context(), request(t, "GET", "body://a.example/"), nil)
		if failure(t, err, protocols.Cancelled); !errors.Is(err, engine.ErrInvalidated) {
			t.Errorf("after Close: %v", err)
		}
	})
}

// Close waits for the last load, and for the protocols' loads only.
func TestCloseWaits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		e := open(t, engine.Config{}, scheme("https", protocols.Encrypted,
			func(ctx context.Context, _ protocols.Client, _ *protocols.Request) (*protocols.Response, error) {
				<-ctx.Done()
				<-time.After(3 * time.Second) // putting things in order

				return nil, ctx.Err()
			}))
		go func() { _, _ = e.Load(context.Background(), request(t, "GET", "https://a.example/"), nil) }()
		synctest.Wait()
		began := time.Now()
		again := make(chan time.Duration)
		go func() {
			_ = e.Close()
			again <- time.Since(began)
		}()
		if err := e.Close(); err != nil || time.Since(began) != 3*time.Second {
			t.Errorf("Close returned after %v, %v", time.Since(began), err)
		}
		if d := <-again; d != 3*time.Second {
			t.Errorf("the other Close returned after %v", d)
		}
	})
}

// A connection that a load became has no clock, and ends with the session.
func TestCloseEndsUpgradedConnections(t *testing.T) {
	bubble(t, func(t *testing.T) {
		near, far := net.Pipe()
		e := open(t, engine.Config{ResourceTimeout: time.Minute}, scheme("https", protocols.Encrypted,
			func(context.Context, protocols.Client, *protocols.Request) (*protocols.Response, error) {
				return &protocols.Response{StatusCode: 101, Upgraded: near}, nil
			}))
		resp, err := e.Load(t.Context(), request(t, "GET", "https://a.example/"), nil)
		if err != nil {
			t.Fatal(err)
		}
		<-time.After(1000 * time.Hour)
		go func() { _, _ = far.Write([]byte("x")) }()
		if n, err := resp.Upgraded.Read(make([]byte, 1)); n != 1 || err != nil {
			t.Fatalf("after a thousand hours: %v", err)
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := far.Read(make([]byte, 1)); err == nil {
			t.Error("the connection is open after Close")
		}
	})
}

// A load that is abandoned before it has a body does not come to life with one.
func TestCloseBeforeABodyThatIgnoresIt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		deaf := newSlow(context.Background(), 0, 0)
		e := open(t, engine.Config{}, scheme("https", protocols.Encrypted,
			func(context.Context, protocols.Client, *protocols.Request) (*protocols.Response, error) {
				<-time.After(time.Second)

				return &protocols.Response{StatusCode: 200, ContentLength: -1, Body: deaf}, nil
			}))
		result := make(chan error, 1)
		go func() {
			_, err := e.Load(context.Background(), request(t, "GET", "https://a.example/"), nil)
			result <- err
		}()
		synctest.Wait()
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-result; !errors.Is(err, engine.ErrInvalidated) {
			t.Errorf("Load gave %v", err)
		}
		<-deaf.closed
	})
}

// The idle clock closes a body whose protocol does not look at its context.
func TestTimeoutReleasesADeafBody(t *testing.T) {
	bubble(t, func(t *testing.T) {
		e := open(t, engine.Config{}, scheme("https", protocols.Encrypted,
			func(context.Context, protocols.Client, *protocols.Request) (*protocols.Response, error) {
				return &protocols.Response{StatusCode: 200, ContentLength: -1, Body: newSlow(context.Background(), 0, 0)}, nil
			}))
		_, _, err := fetch(e, request(t, "GET", "https://a.example/"), nil)
		failure(t, err, protocols.TimedOut)
	})
}
