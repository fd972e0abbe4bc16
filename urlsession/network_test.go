package urlsession_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/path"
	"github.com/urlkit/urlkit/urlsession"
)

// A session refuses kinds of paths, and says which.
func TestRefusedPath(t *testing.T) {
	leak.Check(t)
	const cellular, expensive, constrained = urlsession.UnavailableCellular, urlsession.UnavailableExpensive, urlsession.UnavailableConstrained
	tests := []struct {
		change func(*urlsession.Configuration)
		reason urlsession.NetworkUnavailableReason
		code   urlsession.Code
	}{
		{func(c *urlsession.Configuration) { c.RefusesCellular = true }, cellular, urlsession.DataNotAllowed},
		{func(c *urlsession.Configuration) { c.RefusesExpensiveNetwork = true }, expensive, urlsession.NotConnectedToInternet},
		{func(c *urlsession.Configuration) { c.RefusesConstrainedNetwork = true }, constrained, urlsession.NotConnectedToInternet},
	}
	for i, tt := range tests {
		s := session(t, func(c *urlsession.Configuration) {
			c.PathMonitor = path.NewScripted(path.Path{Satisfied: true, Cellular: true, Expensive: true, Constrained: true})
			tt.change(c)
		})
		task := s.DataTask(get(t, "https://a.example/"))
		task.Resume()
		err := wait(t, task)
		wantCode(t, err, tt.code)
		var e *urlsession.Error
		if !errors.As(err, &e) || e.NetworkUnavailableReason != tt.reason || tt.reason.Raw() != i {
			t.Errorf("%v has the reason %q", err, e.NetworkUnavailableReason)
		}
	}
}

// The metrics tell what kind of path it was; loopback is always allowed.
func TestPathIsMeasured(t *testing.T) {
	leak.Check(t)
	base := serve(t, "http/1.1", http.HandlerFunc(hello))
	for _, p := range []path.Path{{}, {Cellular: true, Expensive: true}, {Constrained: true}} {
		s := session(t, func(c *urlsession.Configuration) {
			c.PathMonitor = path.NewScripted(p)
			c.RefusesCellular, c.RefusesConstrainedNetwork = true, true
		})
		var m urlsession.TaskMetrics
		if _, _, err := s.Data(urlsession.WithMetrics(t.Context(), &m), get(t, base)); err != nil || len(m.Transactions) != 1 {
			t.Fatalf("%d transactions, %v", len(m.Transactions), err)
		}
		if got := m.Transactions[0]; got.Cellular != p.Cellular || got.Expensive != p.Expensive || got.Constrained != p.Constrained {
			t.Errorf("%+v: cellular %v, expensive %v, constrained %v", p, got.Cellular, got.Expensive, got.Constrained)
		}
	}
}

// offline is a resolver of a machine that has no path until the monitor says so.
type offline struct{ monitor *path.Scripted }

func (o offline) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	if !o.monitor.Current().Satisfied {
		return nil, &net.DNSError{Err: "server misbehaving", Name: host, IsTemporary: true}
	}

	return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})}, nil
}

// A task of a machine that is offline waits for the path, tells its delegate once, and
// goes on as soon as it is there.
func TestTaskWaitsForThePath(t *testing.T) {
	leak.Check(t)
	monitor := &path.Scripted{}
	var words recorder
	delegate := words.delegate()
	waits := make(chan struct{})
	delegate.TaskIsWaitingForConnectivity = func(urlsession.Task) {
		words.say("waits")
		close(waits)
	}
	s := delegated(t, delegate, func(c *urlsession.Configuration) {
		c.PathMonitor, c.Resolver, c.WaitsForConnectivity = monitor, offline{monitor}, true
	})
	task := s.DataTask(get(t, named(serve(t, "https http/1.1", http.HandlerFunc(hello)))))
	task.Resume()
	<-waits
	began := time.Now()
	monitor.Set(path.Path{Satisfied: true})
	if err := wait(t, task); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 5*time.Second { // the next attempt without a monitor
		t.Errorf("it went on after %v", took)
	}
	if got, want := words.String(), "created waits response(200) data* caches(200) metrics(2) complete(nil)"; got != want {
		t.Errorf("it was told %s, want %s", got, want)
	}
}
