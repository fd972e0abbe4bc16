package engine_test

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/urlkit/urlkit/internal/engine"
	"github.com/urlkit/urlkit/path"
	"github.com/urlkit/urlkit/protocols"
)

var servfail = &net.DNSError{Err: "server misbehaving", Name: "a.example", IsTemporary: true}

// A load that waits goes on when the path is there: at once, and not when its pause
// would have ended.
func TestWaitsForThePath(t *testing.T) {
	tests := []struct {
		name  string
		err   error // of dials before; nil: there is no path
		ready time.Duration
		after time.Duration
		dials int
	}{
		{"no route", nil, 0, 7777 * time.Millisecond, 2},
		{"a resolver that has nobody to ask", servfail, 0, 7777 * time.Millisecond, 2},
		{"a resolver that is not ready at once", servfail, time.Second, 9277 * time.Millisecond, 4},
		{"a lookup that takes too long", &net.DNSError{Err: "timeout", IsTimeout: true}, 0, 7777 * time.Millisecond, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				const plugged = 7777 * time.Millisecond
				began, told := time.Now(), 0
				monitor := path.NewScripted(path.Path{})
				d := &unplugged{plugged: began.Add(plugged + tt.ready), err: tt.err}
				e := open(t, engine.Config{Dialer: d, WaitsForConnectivity: true, Path: monitor}, scheme("https", protocols.Encrypted, dialsThenAnswers))
				time.AfterFunc(plugged, func() { monitor.Set(path.Path{Satisfied: true}) })
				_, _, err := fetch(e, request(t, "GET", "https://a.example/"), &engine.Task{Waiting: func() { told++ }})
				if err != nil || told != 1 {
					t.Fatalf("%v, told %d times", err, told)
				}
				if took := time.Since(began); took != tt.after || d.dials != tt.dials {
					t.Errorf("took %v and %d dials, want %v and %d", took, d.dials, tt.after, tt.dials)
				}
			})
		})
	}
}

// What a resolver says is believed where there is a path, and where nothing is known
// of it; and a resolver that does not get ready is not waited for without end.
func TestResolverThatFails(t *testing.T) {
	for name, monitor := range map[string]path.Monitor{"a path": path.NewScripted(path.Path{Satisfied: true}), "no monitor": nil} {
		bubble(t, func(t *testing.T) {
			d := &unplugged{plugged: time.Now().Add(time.Hour), err: servfail}
			e := open(t, engine.Config{Dialer: d, WaitsForConnectivity: true, Path: monitor}, scheme("https", protocols.Encrypted, dialsThenAnswers))
			_, _, err := fetch(e, request(t, "GET", "https://a.example/"), &engine.Task{Waiting: func() { t.Errorf("%s: it waits", name) }})
			failure(t, err, protocols.DNSLookupFailed)
		})
	}
	bubble(t, func(t *testing.T) {
		monitor := path.NewScripted(path.Path{})
		d := &unplugged{plugged: time.Now().Add(time.Hour), err: servfail}
		e := open(t, engine.Config{Dialer: d, WaitsForConnectivity: true, Path: monitor}, scheme("https", protocols.Encrypted, dialsThenAnswers))
		time.AfterFunc(time.Second, func() { monitor.Set(path.Path{Satisfied: true}) })
		_, _, err := fetch(e, request(t, "GET", "https://a.example/"), nil)
		if failure(t, err, protocols.DNSLookupFailed); d.dials != 8 {
			t.Errorf("%d dials", d.dials)
		}
	})
}

// What ends the load ends its waiting for the path.
func TestWaitForThePathEnds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d := &unplugged{plugged: time.Now().Add(time.Hour)}
		e := open(t, engine.Config{Dialer: d, WaitsForConnectivity: true, Path: path.NewScripted(path.Path{})}, scheme("https", protocols.Encrypted, dialsThenAnswers))
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		time.AfterFunc(time.Millisecond, cancel)
		began := time.Now()
		_, err := e.Load(ctx, request(t, "GET", "https://a.example/"), nil)
		if failure(t, err, protocols.Cancelled); time.Since(began) != time.Millisecond {
			t.Errorf("ended after %v", time.Since(began))
		}
	})
}

// Paths are refused by the request or the session, where the monitor tells their kind.
func TestRefusedPaths(t *testing.T) {
	cellular := path.Path{Satisfied: true, Cellular: true, Expensive: true}
	expensive := path.Path{Satisfied: true, Expensive: true}
	constrained := path.Path{Satisfied: true, Constrained: true}
	var session, own, none [3]bool // cellular, expensive, constrained
	tests := []struct {
		name         string
		path         path.Path
		session, own [3]bool
		url          string
		code         protocols.Code // 0: loaded
		reason       protocols.NetworkUnavailableReason
	}{
		{"nothing is refused", cellular, none, none, "https://a.example/", 0, 0},
		{"cellular by the session", cellular, [3]bool{0: true}, own, "https://a.example/", protocols.DataNotAllowed, protocols.UnavailableCellular},
		{"cellular by the request", cellular, session, [3]bool{0: true}, "https://a.example/", protocols.DataNotAllowed, protocols.UnavailableCellular},
		{"expensive", expensive, [3]bool{1: true}, own, "https://a.example/", protocols.NotConnectedToInternet, protocols.UnavailableExpensive},
		{"expensive by the request", cellular, session, [3]bool{1: true}, "https://a.example/", protocols.NotConnectedToInternet, protocols.UnavailableExpensive},
		{"constrained", constrained, [3]bool{2: true}, own, "https://a.example/", protocols.NotConnectedToInternet, protocols.UnavailableConstrained},
		{"constrained by the request", constrained, session, [3]bool{2: true}, "https://a.example/", protocols.NotConnectedToInternet, protocols.UnavailableConstrained},
		{"another kind", expensive, [3]bool{0: true, 2: true}, own, "https://a.example/", 0, 0},
		{"loopback", cellular, [3]bool{0: true}, own, "https://127.0.0.1/", 0, 0},
		{"loopback by name", cellular, [3]bool{0: true}, own, "https://localhost./", 0, 0},
		{"a local scheme", cellular, [3]bool{0: true}, own, "local:x", 0, 0},
	}
	for _, tt := range tests {
		answers := func(context.Context, protocols.Client, *protocols.Request) (*protocols.Response, error) {
			return reply(200, "loaded"), nil
		}
		e := open(t, engine.Config{
			Path: path.NewScripted(tt.path), RefusesCellular: tt.session[0], RefusesExpensiveNetwork: tt.session[1], RefusesConstrainedNetwork: tt.session[2],
		}, scheme("https", protocols.Encrypted, answers), scheme("local", protocols.Local, answers))
		req := request(t, "GET", tt.url)
		req.RefusesCellular, req.RefusesExpensiveNetwork, req.RefusesConstrainedNetwork = tt.own[0], tt.own[1], tt.own[2]
		body, _, err := fetch(e, req, nil)
		if tt.code == 0 {
			if err != nil || body != "loaded" {
				t.Errorf("%s: %q, %v", tt.name, body, err)
			}

			continue
		}
		if got := failure(t, err, tt.code); got.NetworkUnavailableReason != tt.reason || got.Phase != "connect" {
			t.Errorf("%s: %v, reason %q in phase %q", tt.name, err, got.NetworkUnavailableReason, got.Phase)
		}
	}
}

// A load that may wait waits for a path that it may use.
func TestWaitsForAPathThatIsAllowed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		monitor := path.NewScripted(path.Path{Satisfied: true, Cellular: true})
		e := open(t, engine.Config{Path: monitor, WaitsForConnectivity: true, RefusesCellular: true}, scheme("https", protocols.Encrypted,
			func(context.Context, protocols.Client, *protocols.Request) (*protocols.Response, error) {
				return reply(200, "loaded"), nil
			}))
		ended := make(chan string)
		go func() {
			body, _, err := fetch(e, request(t, "GET", "https://a.example/"), nil)
			if err != nil {
				body = err.Error()
			}
			ended <- body
		}()
		synctest.Wait()
		began := time.Now()
		time.AfterFunc(100*time.Millisecond, func() { monitor.Set(path.Path{Satisfied: true}) })
		if body := <-ended; body != "loaded" || time.Since(began) != 100*time.Millisecond {
			t.Errorf("%q after %v", body, time.Since(began))
		}
	})
}
