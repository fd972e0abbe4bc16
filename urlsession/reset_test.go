package urlsession_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/storage/cookie"
	"github.com/urlkit/urlkit/urlsession"
)

// remembering is a server that sets a cookie, asks for a password, and says which
// cookie came over which connection.
func remembering() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, password, _ := r.BasicAuth(); password != "right" {
			w.Header().Set("WWW-Authenticate", `Basic realm="r"`)
			w.WriteHeader(http.StatusUnauthorized)

			return
		}
		http.SetCookie(w, &http.Cookie{Name: "kept", Value: "1", Path: "/"})
		_, _ = io.WriteString(w, r.Header.Get("Cookie")+"|"+r.RemoteAddr)
	})
}

// Reset forgets cookies, credentials and connections; Flush connections only.
func TestResetAndFlush(t *testing.T) {
	onEachWire(t, remembering(), func(t *testing.T, base string) {
		leak.Check(t)
		asked := 0
		s := delegated(t, &urlsession.Delegate{
			DidReceiveChallenge: func(context.Context, urlsession.Task, *urlsession.Challenge) (urlsession.Disposition, *urlsession.Credential) {
				asked++

				return urlsession.UseCredential, &urlsession.Credential{User: "u", Password: "right", Persistence: urlsession.PersistenceForSession}
			},
		}, nil)
		seen := make(map[string]bool)
		for _, row := range []struct {
			name   string
			before func() error
			cookie string
			asked  int
			fresh  bool
		}{
			{"the first", func() error { return nil }, "", 1, true},
			{"the second", func() error { return nil }, "kept=1", 1, false},
			{"after Flush", s.Flush, "kept=1", 1, true},
			{"after Reset", func() error { return s.Reset(t.Context()) }, "", 2, true},
		} {
			if err := row.before(); err != nil {
				t.Errorf("%s: %v", row.name, err)
			}
			data, _ := load(t, s, get(t, base))
			cookie, connection, _ := strings.Cut(data, "|")
			if cookie != row.cookie || asked != row.asked || seen[connection] == row.fresh {
				t.Errorf("%s: cookie %q, asked %d times, connection seen before: %v", row.name, cookie, asked, seen[connection])
			}
			seen[connection] = true
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := s.Flush(); !errors.Is(err, urlsession.ErrSessionInvalidated) {
			t.Errorf("Flush of a closed session: %v", err)
		}
	})
}

// Running loads go on over the connections that they have.
func TestResetDuringALoad(t *testing.T) {
	leak.Check(t)
	server := newHeld(t, "h2")
	s := delegated(t, nil, nil)
	task := s.DataTask(get(t, server.base+"/body"))
	task.Resume()
	<-server.arrived
	if err := s.Reset(t.Context()); err != nil {
		t.Error(err)
	}
	server.answer <- struct{}{}
	if err := wait(t, task); err != nil || task.CountOfBytesReceived() != 10 {
		t.Errorf("%d bytes, %v", task.CountOfBytesReceived(), err)
	}
}

// stubborn is a store that cannot be emptied.
type stubborn struct{ cookie.Store }

func (*stubborn) RemoveAll(context.Context) error { return errOfTheApp }

// A store that cannot be emptied is an error, and the rest is done all the same.
func TestResetThatFails(t *testing.T) {
	leak.Check(t)
	base := serve(t, "http/1.1", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.RemoteAddr) }))
	s := delegated(t, nil, func(c *urlsession.Configuration) { c.Cookies = &stubborn{} })
	first, _ := load(t, s, get(t, base))
	if err := s.Reset(t.Context()); !errors.Is(err, errOfTheApp) {
		t.Errorf("Reset: %v", err)
	}
	if second, _ := load(t, s, get(t, base)); second == first {
		t.Error("the connection was kept")
	}
}
