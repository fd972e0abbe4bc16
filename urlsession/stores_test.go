package urlsession_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/storage"
	"github.com/urlkit/urlkit/storage/cookie"
	"github.com/urlkit/urlkit/urlsession"
)

// A session's Configuration names the stores that it uses: an ephemeral one's are
// its own, and a session made from it shares them.
func TestConfigurationHasTheStores(t *testing.T) {
	leak.Check(t)
	base := serve(t, "http/1.1", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "visit", Value: "1"})
		fmt.Fprint(w, r.Header.Get("Cookie"))
	}))
	s, other := session(t, nil), session(t, nil)
	load(t, s, get(t, base))
	c := s.Configuration()
	query := func() string { return c.Cookies.CookieHeader(&storage.CookieQuery{URL: get(t, base).URL}) }
	if c.Cookies == nil || c.Cookies == cookie.Shared() || query() != "visit=1" {
		t.Fatalf("the store of an ephemeral session is %v", c.Cookies)
	}
	if c.Credentials == nil || other.Configuration().Cookies == c.Cookies || other.Configuration().Credentials == c.Credentials {
		t.Error("two ephemeral sessions share a store")
	}
	if data, _ := load(t, other, get(t, base)); data != "" {
		t.Errorf("another session sends %q", data)
	}
	if data, _ := load(t, session(t, func(to *urlsession.Configuration) { *to = c }), get(t, base)); data != "visit=1" {
		t.Errorf("a session made from the Configuration sends %q", data)
	}
	given := cookie.NewStore()
	with := session(t, func(c *urlsession.Configuration) { c.Cookies = given })
	if with.Configuration().Cookies != storage.CookieStore(given) {
		t.Error("the app's own store is replaced")
	}
}

// A session beneath another one leaves the measuring to that.
func TestMetricsOfNestedSessions(t *testing.T) {
	leak.Check(t)
	onEachWire(t, http.HandlerFunc(hello), func(t *testing.T, base string) {
		inner := session(t, nil)
		outer := session(t, func(c *urlsession.Configuration) {
			c.Protocols = []protocols.Scheme{{
				Name: "nested", Security: protocols.Local,
				New: func(protocols.Client) protocols.URLProtocol {
					return protocols.FromRoundTripper(trip(func(r *http.Request) (*http.Response, error) {
						to := r.Clone(r.Context())
						to.URL = get(t, base).URL

						return inner.RoundTripper().RoundTrip(to)
					}))
				},
			}}
		})
		var metrics urlsession.TaskMetrics
		ctx := urlsession.WithMetrics(t.Context(), &metrics)
		data, _, err := outer.Data(ctx, get(t, "nested://anything/"))
		if err != nil || len(metrics.Transactions) != 1 {
			t.Fatalf("%q, %v, %d transactions", data, err, len(metrics.Transactions))
		}
		if tr := metrics.Transactions[0]; tr.Request.URL.Scheme != "nested" || tr.Response == nil || tr.Response.StatusCode != 200 {
			t.Errorf("measured %v", tr.Request)
		}
		start := metrics.Start
		if _, _, err := outer.Data(ctx, get(t, "nested://anything/")); err != nil || metrics.Start != start || len(metrics.Transactions) != 1 {
			t.Errorf("a second load is measured too: %d transactions, %v", len(metrics.Transactions), err)
		}
	})
}

// A session whose delegate panicked closes.
func TestCloseAfterADelegatePanicked(t *testing.T) {
	leak.Check(t)
	base := serve(t, "http/1.1", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", `Basic realm="r"`)
		w.WriteHeader(http.StatusUnauthorized)
	}))
	cfg := urlsession.EphemeralConfiguration()
	s, err := urlsession.New(cfg, &urlsession.Delegate{
		DidReceiveChallenge: func(context.Context, urlsession.Task, *urlsession.Challenge) (urlsession.Disposition, *urlsession.Credential) {
			panic("the app's mistake")
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = s.Data(t.Context(), get(t, base))
	wantCode(t, err, urlsession.Unknown)
	if !strings.Contains(err.Error(), "the app's mistake") {
		t.Error(err)
	}
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	select {
	case err := <-closed:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("Close waits for a load that is gone")
	}
}

// Data comes back from a body that nobody ends, in each way that it can be ended.
func TestDataOfABodyThatNobodyEnds(t *testing.T) {
	leak.Check(t)
	s := mocked(t, func(*http.Request) (*http.Response, error) {
		body, _ := io.Pipe()

		return &http.Response{StatusCode: 200, ContentLength: -1, Body: body}, nil
	})
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("the window was closed")
	time.AfterFunc(10*time.Millisecond, func() { cancel(why) })
	_, _, err := s.Data(ctx, get(t, "https://mock.example/"))
	wantCode(t, err, urlsession.Cancelled, context.Canceled, why)
	late, stop := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer stop()
	_, _, err = s.Data(late, get(t, "https://mock.example/"))
	wantCode(t, err, urlsession.TimedOut, context.DeadlineExceeded)
	req := get(t, "https://mock.example/")
	req.Timeout = 10 * time.Millisecond
	_, _, err = s.Data(t.Context(), req)
	wantCode(t, err, urlsession.TimedOut)
}
