package engine_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/urlkit/urlkit/internal/engine"
	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/proxy"
)

// unplugged dials like recorder once plugged has passed; before there is no path.
type unplugged struct {
	recorder
	plugged time.Time
	err     error // nil: there is no path
	works   int   // how many dials succeed all the same
	dials   int
}

func (d *unplugged) Dial(ctx context.Context, trace *protocols.Trace, p proxy.Parameters, network, addr string) (net.Conn, error) {
	d.dials++
	if time.Now().Before(d.plugged) && d.dials > d.works {
		if d.err != nil {
			return nil, d.err
		}

		return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ENETUNREACH}
	}

	return d.recorder.Dial(ctx, trace, p, network, addr)
}

// dialsThenAnswers dials, and gives the request's body back.
func dialsThenAnswers(ctx context.Context, c protocols.Client, req *protocols.Request) (*protocols.Response, error) {
	conn, err := c.Dial(ctx, "tcp", req.HostPort())
	if err != nil {
		return nil, err
	}
	sent, err := sentBody(req)

	return reply(200, sent), errors.Join(err, conn.Close())
}

func sentBody(req *protocols.Request) (string, error) {
	body, err := req.Body.OpenAt(0)
	if err != nil {
		return "", err
	}
	sent, err := io.ReadAll(body)

	return string(sent), errors.Join(err, body.Close())
}

func TestWaitsForConnectivity(t *testing.T) {
	tests := []struct {
		name    string
		plugged time.Duration
		after   time.Duration // of the attempt that succeeds
		dials   int
	}{
		{"at once", 0, 0, 1},
		{"a moment", 200 * time.Millisecond, 250 * time.Millisecond, 2},
		{"a while", 8 * time.Second, 15750 * time.Millisecond, 7},
		{"longer than the request's time-out", time.Hour, 15750*time.Millisecond + 359*10*time.Second, 366},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				began, told, collected := time.Now(), 0, 0
				d := &unplugged{plugged: began.Add(tt.plugged)}
				e := open(t, engine.Config{Dialer: d, WaitsForConnectivity: true, RequestTimeout: 5 * time.Second},
					scheme("https", protocols.Encrypted, dialsThenAnswers))
				req := request(t, "POST", "https://a.example/")
				req.Body = protocols.ReaderBody(io.MultiReader(strings.NewReader("sent once"))) // not opened before there is a connection
				body, _, err := fetch(e, req, &engine.Task{Waiting: func() { told++ }, Collect: func(*engine.Transaction) { collected++ }})
				if err != nil || body != "sent once" {
					t.Fatalf("%q, %v", body, err)
				}
				if took := time.Since(began); took != tt.after || d.dials != tt.dials {
					t.Errorf("took %v and %d dials, want %v and %d", took, d.dials, tt.after, tt.dials)
				}
				if want := min(tt.dials-1, 1); told != want || collected != want+1 {
					t.Errorf("told %d times, %d transactions", told, collected)
				}
			})
		})
	}
}

// failsWithConnectivity are loads that may not wait: there was a path, or something
// of them may have been carried out.
var failsWithConnectivity = []struct {
	name  string
	off   bool
	works int   // dials
	err   error // of the others; nil: there is no path
	load  loading
	once  bool
	code  protocols.Code
}{
	{"it is not configured", true, 0, nil, dialsThenAnswers, false, protocols.NotConnectedToInternet},
	{"refused", false, 0, syscall.ECONNREFUSED, dialsThenAnswers, false, protocols.CannotConnectToHost},
	{"no such host", false, 0, &net.DNSError{IsNotFound: true}, dialsThenAnswers, false, protocols.CannotFindHost},
	{"the protocol says so itself", false, 0, nil, func(context.Context, protocols.Client, *protocols.Request) (*protocols.Response, error) {
		return nil, protocols.NotConnectedToInternet
	}, false, protocols.NotConnectedToInternet},
	{"a connection that was made", false, 0, nil, func(ctx context.Context, c protocols.Client, req *protocols.Request) (*protocols.Response, error) {
		return nil, &net.OpError{Op: "read", Err: syscall.ENETUNREACH}
	}, false, protocols.NotConnectedToInternet},
	{"a second connection", false, 1, nil, func(ctx context.Context, c protocols.Client, req *protocols.Request) (*protocols.Response, error) {
		if _, err := c.Dial(ctx, "tcp", req.HostPort()); err != nil {
			return nil, err
		}
		_, err := c.Dial(ctx, "tcp", req.HostPort())

		return nil, err
	}, false, protocols.NotConnectedToInternet},
	{"a body that was opened", false, 0, nil, func(ctx context.Context, c protocols.Client, req *protocols.Request) (*protocols.Response, error) {
		if _, err := sentBody(req); err != nil {
			return nil, err
		}
		_, err := c.Dial(ctx, "tcp", req.HostPort())

		return nil, err
	}, true, protocols.NotConnectedToInternet},
	{"an inner load that was carried out", false, 0, nil, func(ctx context.Context, c protocols.Client, req *protocols.Request) (*protocols.Response, error) {
		inner, err := protocols.NewRequest("POST", "inner://a.example/", nil)
		if err != nil {
			return nil, err
		}
		if _, err = c.Load(ctx, inner); err != nil {
			return nil, err
		}
		_, err = c.Dial(ctx, "tcp", req.HostPort())

		return nil, err
	}, false, protocols.NotConnectedToInternet},
}

// A load that is made for another leaves the waiting to that.
func TestBriefLoads(t *testing.T) {
	bubble(t, func(t *testing.T) {
		began := time.Now()
		e := open(t, engine.Config{
			Dialer: &unplugged{plugged: began.Add(time.Second)}, WaitsForConnectivity: true,
			Retry: engine.Retry{Attempts: 9, Continuations: 9},
		}, scheme("https", protocols.Encrypted, dialsThenAnswers))
		_, _, err := fetch(e, request(t, "GET", "https://a.example/"), &engine.Task{Brief: true})
		if failure(t, err, protocols.NotConnectedToInternet); time.Since(began) != 0 {
			t.Errorf("failed after %v", time.Since(began))
		}
		origin := brittle{content: alphabet, header: tagged, cuts: []int{5}}
		e = open(t, engine.Config{Retry: engine.Retry{Continuations: 9}}, scheme("https", protocols.Encrypted, origin.load))
		_, _, err = fetch(e, request(t, "GET", "https://a.example/"), &engine.Task{Brief: true})
		failure(t, err, protocols.NetworkConnectionLost)
	})
}

func TestFailsWithConnectivity(t *testing.T) {
	for _, tt := range failsWithConnectivity {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				d := &unplugged{plugged: time.Now().Add(time.Hour), err: tt.err, works: tt.works}
				inner := scheme("inner", protocols.Encrypted, func(context.Context, protocols.Client, *protocols.Request) (*protocols.Response, error) {
					return reply(200, ""), nil
				})
				e := open(t, engine.Config{Dialer: d, WaitsForConnectivity: !tt.off}, scheme("https", protocols.Encrypted, tt.load), inner)
				req := request(t, "POST", "https://a.example/")
				if tt.once {
					req.Body = protocols.ReaderBody(io.MultiReader(strings.NewReader("once")))
				}
				began := time.Now()
				_, _, err := fetch(e, req, &engine.Task{Waiting: func() { t.Error("it waits") }})
				if failure(t, err, tt.code); time.Since(began) != 0 || d.dials > tt.works+1 {
					t.Errorf("after %v and %d dials", time.Since(began), d.dials)
				}
			})
		})
	}
}

// A composed scheme waits as one whose inner load has no path.
func TestInnerLoadWaitsForConnectivity(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d := &unplugged{plugged: time.Now().Add(time.Minute)}
		collected := 0
		e := open(t, engine.Config{Dialer: d, WaitsForConnectivity: true}, scheme("https", protocols.Encrypted, dialsThenAnswers),
			scheme("custom", protocols.Local, func(ctx context.Context, c protocols.Client, _ *protocols.Request) (*protocols.Response, error) {
				return c.Load(ctx, request(t, "GET", "https://a.example/"))
			}))
		_, _, err := fetch(e, request(t, "GET", "custom:x"), &engine.Task{Collect: func(*engine.Transaction) { collected++ }})
		if err != nil || collected != 4 {
			t.Errorf("%v, %d transactions: of two loads the first attempt and the last", err, collected)
		}
	})
}

// A wait ends at once with its load.
func TestWaitEndsWithItsLoad(t *testing.T) {
	const after = 100*time.Second + time.Millisecond // in the middle of a pause
	tests := []struct {
		name     string
		resource time.Duration
		end      func(cancel context.CancelFunc, e *engine.Engine)
		code     protocols.Code
	}{
		{"cancelled", 0, func(cancel context.CancelFunc, _ *engine.Engine) { cancel() }, protocols.Cancelled},
		{"closed", 0, func(_ context.CancelFunc, e *engine.Engine) { _ = e.Close() }, protocols.Cancelled},
		{"out of time", after, nil, protocols.TimedOut},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				d := &unplugged{plugged: time.Now().Add(time.Hour)}
				e := open(t, engine.Config{Dialer: d, WaitsForConnectivity: true, ResourceTimeout: tt.resource}, scheme("https", protocols.Encrypted, dialsThenAnswers))
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if tt.end != nil {
					time.AfterFunc(after, func() { tt.end(cancel, e) })
				}
				began := time.Now()
				_, err := e.Load(ctx, request(t, "GET", "https://a.example/"), nil)
				if failure(t, err, tt.code); time.Since(began) != after {
					t.Errorf("ended after %v", time.Since(began))
				}
			})
		})
	}
}

// A session that finishes loads what its running loads need, and no more after a Cancel.
func TestBriefLoadsOfASessionThatFinishes(t *testing.T) {
	for _, cancels := range []bool{false, true} {
		bubble(t, func(t *testing.T) {
			gate := make(chan struct{})
			var e *engine.Engine
			e = open(t, engine.Config{}, scheme("https", protocols.Encrypted,
				func(_ context.Context, _ protocols.Client, req *protocols.Request) (*protocols.Response, error) {
					if req.URL.Host == "inner.example" {
						return reply(200, "inner"), nil
					}
					<-gate
					answer, _, err := fetch(e, request(t, "GET", "https://inner.example/"), &engine.Task{Brief: true})

					return reply(200, answer), err
				}))
			answered := make(chan error, 1)
			go func() {
				answer, _, err := fetch(e, request(t, "GET", "https://a.example/"), nil)
				if err == nil && answer != "inner" {
					t.Errorf("answered %q", answer)
				}
				answered <- err
			}()
			synctest.Wait()
			finished := make(chan error, 1)
			go func() { finished <- e.Finish() }()
			synctest.Wait()
			if _, _, err := fetch(e, request(t, "GET", "https://inner.example/"), nil); err == nil {
				t.Error("a load that nobody waits for has begun")
			}
			if cancels {
				e.Cancel()
			}
			close(gate)
			if err := <-answered; (err != nil) != cancels {
				t.Errorf("cancelled %v: %v", cancels, err)
			}
			if err := <-finished; err != nil {
				t.Error(err)
			}
			if _, _, err := fetch(e, request(t, "GET", "https://inner.example/"), &engine.Task{Brief: true}); err == nil {
				t.Error("a load has begun after the end")
			}
		})
	}
}
