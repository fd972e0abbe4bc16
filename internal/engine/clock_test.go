package engine_test

import (
	"context"
	"errors"
	"io"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/urlkit/urlkit/internal/engine"
	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/protocols"
)

// slow is a body that gives a byte each interval, n of them, and then stalls
// until it is closed or its load ends.
type slow struct {
	ctx      context.Context
	interval time.Duration
	n        int
	closed   chan struct{}
}

func newSlow(ctx context.Context, interval time.Duration, n int) *slow {
	return &slow{ctx, interval, n, make(chan struct{})}
}

func (s *slow) Read(p []byte) (int, error) {
	var ready <-chan time.Time
	if s.n > 0 {
		ready = time.After(s.interval)
	}
	select {
	case <-ready:
		s.n--
		p[0] = 'x'

		return 1, nil
	case <-s.ctx.Done():
		return 0, s.ctx.Err()
	case <-s.closed:
		return 0, os.ErrClosed
	}
}

func (s *slow) Close() error {
	select {
	case <-s.closed:
	default:
		close(s.closed)
	}

	return nil
}

func stalls(ctx context.Context, _ protocols.Client, _ *protocols.Request) (*protocols.Response, error) {
	<-ctx.Done()

	return nil, ctx.Err()
}

func trickles(interval time.Duration, n int) loading {
	return func(ctx context.Context, _ protocols.Client, _ *protocols.Request) (*protocols.Response, error) {
		return &protocols.Response{StatusCode: 200, ContentLength: -1, Body: newSlow(ctx, interval, n)}, nil
	}
}

// bubble runs a test in fake time, with a check for goroutines around it.
func bubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	leak.Check(t)
	synctest.Test(t, test)
}

func TestTimeouts(t *testing.T) {
	tests := []struct {
		name   string
		config engine.Config
		own    time.Duration
		load   loading
		after  time.Duration
		text   string
	}{
		{"head, the session's", engine.Config{RequestTimeout: 5 * time.Second}, 0, stalls, 5 * time.Second, "no byte moved for 5s"},
		{"head, the default", engine.Config{}, 0, stalls, time.Minute, "no byte moved for 1m0s"},
		{"head, the request's own", engine.Config{RequestTimeout: 5 * time.Second}, 90 * time.Second, stalls, 90 * time.Second, "for 1m30s"},
		{"body at once", engine.Config{}, 3 * time.Second, trickles(0, 0), 3 * time.Second, "no byte moved"},
		{"body after it moved", engine.Config{}, 3 * time.Second, trickles(2*time.Second, 10), 23 * time.Second, "no byte moved"},
		{"resource, head", engine.Config{ResourceTimeout: 7 * time.Second}, 0, stalls, 7 * time.Second, "not complete for 7s"},
		{"resource, though bytes move", engine.Config{ResourceTimeout: 7 * time.Second}, 3 * time.Second, trickles(time.Second, 1e6), 7 * time.Second, "not complete"},
		{"no idle clock", engine.Config{RequestTimeout: -1, ResourceTimeout: time.Hour}, 0, stalls, time.Hour, "not complete"},
		{"no resource clock", engine.Config{ResourceTimeout: -1}, time.Hour, trickles(time.Minute, 2000), 2000*time.Minute + time.Hour, "no byte"},
		{"the default resource clock", engine.Config{}, -1, stalls, 7 * 24 * time.Hour, "not complete"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				e := open(t, tt.config, scheme("https", protocols.Encrypted, tt.load))
				req := request(t, "GET", "https://a.example/")
				req.Timeout = tt.own
				began := time.Now()
				_, _, err := fetch(e, req, nil)
				got := failure(t, err, protocols.TimedOut)
				if took := time.Since(began); took != tt.after {
					t.Errorf("failed after %v, want %v", took, tt.after)
				}
				if !contains(got.Error(), tt.text) || !errors.Is(err, os.ErrDeadlineExceeded) || !got.Timeout() {
					t.Errorf("error %q", got)
				}
			})
		})
	}
}

// No clock at all: the load ends with its context only.
func TestNoClocks(t *testing.T) {
	bubble(t, func(t *testing.T) {
		e := open(t, engine.Config{RequestTimeout: -1, ResourceTimeout: -1}, scheme("https", protocols.Encrypted, stalls))
		ctx, cancel := context.WithTimeout(t.Context(), 10000*time.Hour)
		defer cancel()
		_, err := e.Load(ctx, request(t, "GET", "https://a.example/"), nil)
		if failure(t, err, protocols.TimedOut); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
}

func TestIdleClockStandsStillWhileNobodyReads(t *testing.T) {
	bubble(t, func(t *testing.T) {
		e := open(t, engine.Config{RequestTimeout: 10 * time.Second}, scheme("https", protocols.Encrypted, trickles(9*time.Second, 3)))
		resp, err := e.Load(t.Context(), request(t, "GET", "https://a.example/"), nil)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			<-time.After(time.Hour) // the app is busy elsewhere
			if _, err := resp.Body.Read(make([]byte, 8)); err != nil {
				t.Fatal(err)
			}
		}
		<-time.After(25 * time.Second)
		began := time.Now()
		_, err = resp.Body.Read(make([]byte, 8))
		failure(t, err, protocols.TimedOut)
		if took := time.Since(began); took != 10*time.Second {
			t.Errorf("the stalled read failed after %v", took)
		}
	})
}

func TestClocksStandStillDuringQuestions(t *testing.T) {
	bubble(t, func(t *testing.T) {
		hops := 0
		e := open(t, engine.Config{RequestTimeout: 5 * time.Second, ResourceTimeout: 10 * time.Second}, scheme("https", protocols.Encrypted,
			func(ctx context.Context, c protocols.Client, req *protocols.Request) (*protocols.Response, error) {
				switch hops++; hops {
				case 1:
					return reply(401, "", "Www-Authenticate", `Basic realm="r"`), nil
				case 2:
					return reply(302, "", "Location", "/next"), nil
				default:
					return stalls(ctx, c, req)
				}
			}))
		task := &engine.Task{
			Challenge: func(context.Context, *protocols.Challenge) (protocols.Disposition, *protocols.Credential) {
				<-time.After(time.Hour)

				return protocols.UseCredential, &protocols.Credential{User: "u"}
			},
			Redirect: func(_ context.Context, _ *protocols.Response, next *protocols.Request) (*protocols.Request, error) {
				<-time.After(24 * time.Hour)

				return next, nil
			},
		}
		began := time.Now()
		_, _, err := fetch(e, request(t, "GET", "https://a.example/"), task)
		failure(t, err, protocols.TimedOut)
		if took := time.Since(began); took != 25*time.Hour+5*time.Second || hops != 3 {
			t.Errorf("failed after %v and %d hops", took, hops)
		}
	})
}

// Two questions at once stop the resource clock once, not twice.
func TestOverlappingQuestions(t *testing.T) {
	bubble(t, func(t *testing.T) {
		e := open(t, engine.Config{RequestTimeout: -1, ResourceTimeout: 10 * time.Second}, scheme("ask", protocols.Cleartext,
			func(ctx context.Context, c protocols.Client, _ *protocols.Request) (*protocols.Response, error) {
				done := make(chan error)
				for _, realm := range []string{"one", "two"} {
					go func() {
						_, err := c.Authenticate(ctx, &protocols.Challenge{Space: protocols.ProtectionSpace{Realm: realm}})
						done <- err
					}()
				}
				if err := errors.Join(<-done, <-done); err != nil {
					return nil, err
				}
				<-ctx.Done()

				return nil, ctx.Err()
			}))
		began := time.Now()
		_, _, err := fetch(e, request(t, "GET", "ask://localhost/"), &engine.Task{
			Challenge: func(context.Context, *protocols.Challenge) (protocols.Disposition, *protocols.Credential) {
				<-time.After(time.Minute)

				return protocols.PerformDefaultHandling, nil
			},
		})
		failure(t, err, protocols.TimedOut)
		if took := time.Since(began); took != 70*time.Second {
			t.Errorf("failed after %v, want the minute and 10 s", took)
		}
	})
}

// Each movement of bytes restarts the idle clock: hops, the request's body, an
// inner load's body.
func TestMovements(t *testing.T) {
	hop := 0
	tests := map[string]loading{
		"hops": func(context.Context, protocols.Client, *protocols.Request) (*protocols.Response, error) {
			<-time.After(4 * time.Second)
			if hop++; hop < 5 {
				return reply(302, "", "Location", "/next"), nil
			}

			return reply(200, "done"), nil
		},
		"request body": func(_ context.Context, _ protocols.Client, req *protocols.Request) (*protocols.Response, error) {
			body, err := req.OpenBody()
			if err != nil {
				return nil, err
			}
			for range 5 {
				<-time.After(4 * time.Second)
				if _, err := io.ReadFull(body, make([]byte, 1)); err != nil {
					return nil, err
				}
			}

			return reply(200, "done"), body.Close()
		},
		"inner body": func(ctx context.Context, c protocols.Client, req *protocols.Request) (*protocols.Response, error) {
			inner := req.Clone()
			inner.URL.Scheme = "inner"
			resp, err := c.Load(ctx, inner)
			if err != nil {
				return nil, err
			}
			_, err = io.ReadFull(resp.Body, make([]byte, 5))

			return reply(200, "done"), errors.Join(err, resp.Body.Close())
		},
	}
	for name, load := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				e := open(t, engine.Config{RequestTimeout: 5 * time.Second},
					scheme("https", protocols.Encrypted, load), scheme("inner", protocols.Encrypted, trickles(4*time.Second, 5)))
				req := request(t, "POST", "https://a.example/")
				req.Body = protocols.FuncBody(-1, func(int64) (io.ReadCloser, error) { return io.NopCloser(endless{}), nil })
				began := time.Now()
				if body, _, err := fetch(e, req, nil); err != nil || body != "done" || time.Since(began) != 20*time.Second {
					t.Errorf("%q, %v after %v", body, err, time.Since(began))
				}
			})
		})
	}
}

// endless gives as many bytes as are asked for.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }
