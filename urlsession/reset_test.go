package urlsession_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
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
			DidReceiveChallenge: func(_ context.Context, _ urlsession.Task, c *urlsession.Challenge) (urlsession.Disposition, *urlsession.Credential) {
				if ofHandshake(c) {
					return urlsession.PerformDefaultHandling, nil
				}
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
			{"after Flush", func() error { return s.Flush(t.Context()) }, "kept=1", 1, true},
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
		if err := s.Flush(t.Context()); !errors.Is(err, urlsession.ErrSessionInvalidated) {
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

// Flush writes what is kept in a file, and a session that begins then has it; Reset
// deletes the file. Both drop the connections.
func TestResetAndFlushOnDisk(t *testing.T) {
	leak.Check(t)
	base := serve(t, "http/1.1", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Cookie") == "" {
			http.SetCookie(w, &http.Cookie{Name: "kept", Value: "1", MaxAge: 1000})
		}
		_, _ = io.WriteString(w, r.Header.Get("Cookie")+"|"+r.RemoteAddr)
	}))
	name := filepath.Join(t.TempDir(), "cookies")
	opened := func() *urlsession.Session {
		file, err := cookie.Open(t.Context(), name, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := file.Close(); err != nil {
				t.Error(err)
			}
		})

		return delegated(t, nil, func(c *urlsession.Configuration) { c.Cookies = file })
	}
	s := opened()
	first, _ := load(t, s, get(t, base))
	if _, err := os.Stat(name); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a load waited for the disk: %v", err)
	}
	if err := s.Flush(t.Context()); err != nil {
		t.Error(err)
	}
	if content, err := os.ReadFile(name); err != nil || !bytes.Contains(content, []byte("127.0.0.1")) {
		t.Errorf("after Flush the file holds %q, %v", content, err)
	}
	second, _ := load(t, s, get(t, base))
	if _, connection, _ := strings.Cut(first, "|"); second == "kept=1|"+connection || !strings.HasPrefix(second, "kept=1|") {
		t.Errorf("after Flush: %s, and %s before", second, first)
	}
	other := opened()
	if got, _ := load(t, other, get(t, base)); !strings.HasPrefix(got, "kept=1|") {
		t.Errorf("another session: %s", got)
	}
	if err := s.Reset(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(name); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after Reset there is a file: %v", err)
	}
	third, _ := load(t, s, get(t, base))
	if third == strings.TrimPrefix(second, "kept=1") || !strings.HasPrefix(third, "|") {
		t.Errorf("after Reset: %s, and %s before", third, second)
	}
}

// stubborn is a store that cannot be emptied.
type stubborn struct{ cookie.Store }

func (*stubborn) RemoveAll(context.Context) error { return errOfTheApp }
func (*stubborn) Flush(context.Context) error     { return errOfTheApp }

// A store that cannot be emptied, or written, is an error, and the rest is done all
// the same.
func TestResetThatFails(t *testing.T) {
	leak.Check(t)
	base := serve(t, "http/1.1", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.RemoteAddr) }))
	s := delegated(t, nil, func(c *urlsession.Configuration) { c.Cookies = &stubborn{} })
	first, _ := load(t, s, get(t, base))
	if err := s.Reset(t.Context()); !errors.Is(err, errOfTheApp) {
		t.Errorf("Reset: %v", err)
	}
	second, _ := load(t, s, get(t, base))
	if err := s.Flush(t.Context()); !errors.Is(err, errOfTheApp) {
		t.Errorf("Flush: %v", err)
	}
	if third, _ := load(t, s, get(t, base)); second == first || third == second {
		t.Error("the connection was kept")
	}
}
