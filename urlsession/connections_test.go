package urlsession_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/urlsession"
)

// A connection of a certain age takes no new request.
func TestMaximumConnectionAge(t *testing.T) {
	leak.Check(t)
	onEachWire(t, http.HandlerFunc(hello), func(t *testing.T, base string) {
		for age, reused := range map[time.Duration]bool{0: true, -1: true, time.Hour: true, 1: false} {
			s := session(t, func(c *urlsession.Configuration) { c.MaximumConnectionAge = age })
			load(t, s, get(t, base))
			if x := measured(t, s, get(t, base)).Transactions[0]; x.Err != nil || x.ReusedConnection != reused {
				t.Errorf("%v: the second request reuses a connection: %v, %v", age, x.ReusedConnection, x.Err)
			}
		}
	})
}

// A connection without a request is closed after a time.
func TestConnectionIdleTimeout(t *testing.T) {
	leak.Check(t)
	closed := make(chan struct{}, 1)
	server := httptest.NewUnstartedServer(http.HandlerFunc(hello))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			closed <- struct{}{}
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	s := session(t, func(c *urlsession.Configuration) { c.ConnectionIdleTimeout = time.Millisecond })
	load(t, s, get(t, server.URL))
	select {
	case <-closed:
	case <-time.After(10 * time.Second):
		t.Error("the connection is kept")
	}
	kept := session(t, func(c *urlsession.Configuration) { c.ConnectionIdleTimeout = -1 })
	load(t, kept, get(t, server.URL))
	if x := measured(t, kept, get(t, server.URL)).Transactions[0]; !x.ReusedConnection {
		t.Error("without a limit the connection is not kept")
	}
}
