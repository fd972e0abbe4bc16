package urlsession_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/urlsession"
)

// looksUp finds every host on loopback, and counts.
type looksUp struct{ asked atomic.Int32 }

func (l *looksUp) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	l.asked.Add(1)

	return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
}

// nosy is a server whose page counts the loads and tells what the client knew, and
// whose other page asks for a login.
func nosy() http.Handler {
	served := 0

	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/page" {
			if _, _, known := r.BasicAuth(); !known {
				w.Header().Set("WWW-Authenticate", `Basic realm="r"`)
				w.WriteHeader(http.StatusUnauthorized)
			}

			return
		}
		served++
		w.Header().Set("Cache-Control", "max-age=1000")
		http.SetCookie(w, &http.Cookie{Name: "kept", Value: "1", MaxAge: 1000})
		fmt.Fprintf(w, "load %d, cookie %q, TLS session resumed: %v", served, r.Header.Get("Cookie"), r.TLS.DidResume)
	})
}

// opened makes a session that looks names up by names, logs in, and counts that.
func opened(t *testing.T, c urlsession.Configuration, names *looksUp, asked *int) *urlsession.Session {
	t.Helper()
	c.RootCAs, c.Resolver, c.Logger = roots(), names, slog.New(slog.DiscardHandler)
	s, err := urlsession.New(c, &urlsession.Delegate{
		DidReceiveChallenge: func(_ context.Context, _ urlsession.Task, c *urlsession.Challenge) (urlsession.Disposition, *urlsession.Credential) {
			if ofHandshake(c) {
				return urlsession.PerformDefaultHandling, nil
			}
			*asked++

			return urlsession.UseCredential, &urlsession.Credential{User: "u", Password: "p", Persistence: urlsession.PersistencePermanent}
		},
	})
	if err != nil {
		t.Fatal(err)
	}

	return s
}

// What an ephemeral session keeps is for itself: no other session has its cookies,
// credentials, responses, TLS sessions and names, and nothing is on a disk.
func TestEphemeralSessionsArePrivate(t *testing.T) {
	leak.Check(t)
	folder := t.TempDir()
	for _, name := range []string{"HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"} {
		t.Setenv(name, folder)
	}
	t.Chdir(folder)
	base := serve(t, "h2", nosy())
	_, port, err := net.SplitHostPort(strings.TrimPrefix(serve(t, "http/1.1", http.HandlerFunc(hello)), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	names, asked := &looksUp{}, 0
	for i, c := range []urlsession.Configuration{
		urlsession.EphemeralConfiguration(), urlsession.EphemeralConfiguration(), urlsession.DefaultConfiguration(),
	} {
		s := opened(t, c, names, &asked)
		for again := range 2 { // the second time is from what the session itself keeps
			want := fmt.Sprintf("load %d, cookie %q, TLS session resumed: false", i+1, "")
			if got, _ := load(t, s, get(t, base+"/page")); got != want {
				t.Errorf("session %d: %q, not %q", i, got, want)
			}
			load(t, s, get(t, base+"/private/login"))
			load(t, s, get(t, "http://host.local:"+port))
			if asked != i+1 || int(names.asked.Load()) != i+1 {
				t.Errorf("session %d, time %d: asked for %d logins and %d names", i, again, asked, names.asked.Load())
			}
		}
		end := s.Flush
		if i == 2 {
			end = s.Reset // other tests share its stores
		}
		if err := errors.Join(end(t.Context()), s.Close()); err != nil {
			t.Error(err)
		}
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) != 0 {
		t.Errorf("on the disk: %v, %v", left, err)
	}
}
