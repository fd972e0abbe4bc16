package urlsession_test

import (
	"errors"
	"net/http"
	"testing"

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
