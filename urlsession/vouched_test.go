package urlsession_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/storage/cache"
	"github.com/urlkit/urlkit/urlsession"
)

// What comes from a server that one session's delegate accepted is not stored for the
// sessions that share its cache: they have accepted nothing. Nor does it refresh, or
// take away, what was stored by one that knows the server.
func TestAcceptedServerIsNotCached(t *testing.T) {
	leak.Check(t)
	onWires(t, []string{"https http/1.1", "h2"}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", r.URL.Query().Get("control"))
		w.Header().Set("ETag", `"1"`)
		if r.Header.Get("If-None-Match") != "" {
			w.WriteHeader(http.StatusNotModified)

			return
		}
		_, _ = io.WriteString(w, "body")
	}), func(t *testing.T, base string) {
		store := cache.New(cache.Config{MemoryCapacity: 1 << 20})
		trusting := func(c *urlsession.Configuration) { c.Cache = store }
		accepting := func(c *urlsession.Configuration) { c.Cache, c.RootCAs = store, nil }
		accepts := &urlsession.Delegate{
			DidReceiveChallenge: func(_ context.Context, _ urlsession.Task, c *urlsession.Challenge) (urlsession.Disposition, *urlsession.Credential) {
				return urlsession.UseCredential, vouch(c)
			},
		}
		one, other, knows := delegated(t, accepts, accepting), session(t, accepting), session(t, trusting)
		verdict := func(s *urlsession.Session, url string) (string, error) {
			var m urlsession.TaskMetrics
			data, _, err := s.Data(urlsession.WithMetrics(t.Context(), &m), get(t, url))
			if err != nil {
				return "", err
			}
			if string(data) != "body" {
				t.Errorf("%q", data)
			}

			return m.Transactions[len(m.Transactions)-1].Cache, nil
		}
		url := base + "/?control=max-age%3D600"
		for range 2 {
			if got, err := verdict(one, url); err != nil || !strings.Contains(got, "not stored: the app alone trusts its server") {
				t.Errorf("the session that accepts: %q, %v", got, err)
			}
		}
		if got, err := verdict(other, url); !errors.Is(err, urlsession.ServerCertificateUntrusted) {
			t.Errorf("the session that does not: %q, %v", got, err)
		}
		url = base + "/?control=no-cache"
		if got, err := verdict(knows, url); err != nil || !strings.Contains(got, "; stored") {
			t.Fatalf("the session that knows: %q, %v", got, err)
		}
		before, err := store.Lookup(t.Context(), urlsession.CacheKey(get(t, url).URL))
		if err != nil || len(before) != 1 {
			t.Fatal(before, err)
		}
		if got, err := verdict(one, url); err != nil || !strings.HasPrefix(got, "revalidated") {
			t.Errorf("the session that accepts, of what is stored: %q, %v", got, err)
		}
		if after, err := store.Lookup(t.Context(), before[0].Key); err != nil || len(after) != 1 || after[0].ResponseTime != before[0].ResponseTime {
			t.Errorf("it changed what is stored: %v, %v", after, err)
		}
	})
}
