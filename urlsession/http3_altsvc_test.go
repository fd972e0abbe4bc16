//go:build !urlkit_nohttp3

package urlsession_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/urlkit/urlkit/internal/http3server"
	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/path"
	"github.com/urlkit/urlkit/storage/altsvc"
	"github.com/urlkit/urlkit/urlsession"
)

// asked answers with loopback, and knows for which names.
type asked struct {
	mu    sync.Mutex
	names []string
}

func (a *asked) LookupNetIP(_ context.Context, _, name string) ([]netip.Addr, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.names = append(a.names, name)

	return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
}

// An origin may name another host, which answers for it with the origin's certificate
// and is told the origin's name.
func TestAltSvcOfAnotherHost(t *testing.T) {
	leak.Check(t)
	other := started3(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, strings.Join([]string{"other", r.Proto, r.Host, r.Header.Get("Alt-Used")}, " "))
	})
	_, otherPort, _ := net.SplitHostPort(other.Addr)
	alternative := "alternative.test:" + otherPort // no name of the certificate's
	origin := started3(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Alt-Svc", `h3="`+alternative+`"; ma=60`)
	})
	_, port, _ := net.SplitHostPort(origin.Addr)
	var resolver asked
	s := delegated(t, nil, func(c *urlsession.Configuration) {
		c.RootCAs, c.Resolver = other.RootCAs, &resolver
	})
	url := "https://example.com:" + port // httptest's certificate means it
	if data, resp := load(t, s, get(t, url)); data != "" || resp.Proto != "h2" {
		t.Errorf("the first: %q by %s", data, resp.Proto)
	}
	want := "other HTTP/3.0 example.com:" + port + " " + alternative
	var resp *urlsession.Response
	for got, deadline := "", time.Now().Add(10*time.Second); got != want; {
		if got, resp = load(t, s, get(t, url)); got != want && (got != "" || time.Now().After(deadline)) {
			t.Fatalf("%q, want %q", got, want)
		}
	}
	if resp.URL.String() != url || resp.Proto != "h3" {
		t.Errorf("%s by %s", resp.URL, resp.Proto)
	}
	resolver.mu.Lock()
	defer resolver.mu.Unlock()
	if !slices.Contains(resolver.names, "alternative.test") {
		t.Errorf("asked for %v", resolver.names)
	}
}

// told is a store that tells when it was told of another network.
type told struct {
	*altsvc.Store

	changed chan struct{}
}

func (s told) PathChanged() {
	s.Store.PathChanged()
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// In another network counts what an origin said that it should persist, and nothing
// else (RFC 7838 §3.1).
func TestAltSvcPersists(t *testing.T) {
	leak.Check(t)
	var silent atomic.Bool
	announcing := func(parameter string) *http3server.Server {
		return started3(t, func(w http.ResponseWriter, r *http.Request) {
			if _, port, _ := net.SplitHostPort(r.Host); !silent.Load() {
				w.Header().Set("Alt-Svc", `h3=":`+port+`"; ma=60`+parameter)
			}
			_, _ = io.WriteString(w, r.Proto)
		})
	}
	lasting, passing := announcing("; persist=1"), announcing("")
	monitor := path.NewScripted(path.Path{Satisfied: true, ID: 1})
	store := told{altsvc.NewStore(), make(chan struct{}, 1)}
	s := delegated(t, nil, func(c *urlsession.Configuration) {
		c.RootCAs, c.PathMonitor, c.AlternativeServices = lasting.RootCAs, monitor, store
	})
	for _, server := range []*http3server.Server{lasting, passing} {
		load(t, s, get(t, server.URL))
		for deadline := time.Now().Add(10 * time.Second); ; { // the watching begins with the first attempt
			if got, _ := load(t, s, get(t, server.URL)); got == "HTTP/3.0" {
				break
			} else if time.Now().After(deadline) {
				t.Fatal(got)
			}
		}
	}
	silent.Store(true)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for id := uint64(2); len(store.changed) == 0; id++ { // again and again: the watching may begin late
		if id > 200 {
			t.Fatal("the store is not told of another network")
		}
		monitor.Set(path.Path{Satisfied: true, ID: id})
		<-tick.C
	}
	if err := s.Flush(t.Context()); err != nil { // no connection is left
		t.Error(err)
	}
	if got, _ := load(t, s, get(t, lasting.URL)); got != "HTTP/3.0" {
		t.Errorf("what persists is forgotten: by %s", got)
	}
	if got, _ := load(t, s, get(t, passing.URL)); got == "HTTP/3.0" {
		t.Error("HTTP/3 all the same")
	}
}
