package urlsession_test

import (
	"net/http"
	"path"
	"strings"
	"sync"
	"testing"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/urlsession"
)

// Where a session knows what is wanted it does not wait to be asked; elsewhere it
// says nothing.
func TestUnaskedBasic(t *testing.T) {
	leak.Check(t)
	var mu sync.Mutex
	var last string
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		user, password, ok := r.BasicAuth()
		last = user
		open := !strings.HasPrefix(path.Clean(r.URL.Path), "/secret/") || strings.Contains(r.URL.Path, "/free/")
		if !open && (!ok || password != "right") {
			w.Header().Set("WWW-Authenticate", `Basic realm="r"`)
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	onEachWire(t, handler, func(t *testing.T, base string) {
		other := serve(t, "http/1.1", handler)
		a := knowing("u", "right", urlsession.PersistenceForSession)
		s := delegated(t, a.delegate(), nil)
		defer s.Close()
		withUser := func(info string) string { return strings.Replace(base, "://", "://"+info+"@", 1) }
		for _, row := range []struct {
			name, url string
			change    func(*urlsession.Request)
			want      string // what the last request said
			asked     int    // in all
		}{
			{"the first", base + "/secret/a/x", nil, "u", 1},
			{"beside it", base + "/secret/a/y?q", nil, "u", 1},
			{"below it", base + "/secret/a/b/c", nil, "u", 1},
			{"where nobody asks", base + "/secret/a/free/x", nil, "u", 1},
			{"above it", base + "/open", nil, "", 1},
			{"beside its folder", base + "/secrets", nil, "", 1},
			{"out of its folder", base + "/secret/a/../../open", nil, "", 1},
			{"above, and asked for", base + "/secret/x", nil, "u", 1}, // the store knows
			{"and from then on", base + "/secret/c/d", nil, "u", 1},
			{"another origin", other + "/secret/a/x", nil, "u", 2},
			{"another partition", base + "/secret/a/free/x", func(r *urlsession.Request) { r.CookiePartition = "p" }, "", 2},
			{"another user", withUser("v:wrong") + "/secret/a/x", nil, "u", 3},
			{"the same user", withUser("u") + "/secret/a/x", nil, "u", 3},
			{"the app's own", base + "/secret/a/x", func(r *urlsession.Request) { r.Header.Set("Authorization", "Own x") }, "u", 3},
			{"the app's own elsewhere", base + "/open", func(r *urlsession.Request) { r.Header.Set("Authorization", "Own x") }, "", 3},
		} {
			req := get(t, row.url)
			if row.change != nil {
				row.change(req)
			}
			load(t, s, req)
			if mu.Lock(); last != row.want {
				t.Errorf("%s: the last request said %q, want %q", row.name, last, row.want)
			}
			mu.Unlock()
			if got := len(strings.Fields(a.String())); got != row.asked {
				t.Errorf("%s: asked %d times: %s", row.name, got, a)
			}
		}
	})
}

// countingBasic serves Basic and counts the requests.
func countingBasic(requests *int, password *string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*requests++
		if _, got, _ := r.BasicAuth(); got != *password {
			w.Header().Set("WWW-Authenticate", `Basic realm="r"`)
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
}

func TestUnaskedIsForgotten(t *testing.T) {
	leak.Check(t)
	requests, password := 0, "right"
	base := serve(t, "http/1.1", countingBasic(&requests, &password))
	a := &asker{answer: func(*urlsession.Challenge) (urlsession.Disposition, *urlsession.Credential) {
		return urlsession.UseCredential, &urlsession.Credential{User: "u", Password: password, Persistence: urlsession.PersistenceForSession}
	}}
	s := delegated(t, a.delegate(), nil)
	defer s.Close()
	for _, row := range []struct {
		name   string
		before func() error
		costs  int
		asked  string
	}{
		{"the first", func() error { return nil }, 2, "HTTPBasic(0)"},
		{"the second", func() error { return nil }, 1, "HTTPBasic(0)"},
		{"after Flush", func() error { return s.Flush(t.Context()) }, 2, "HTTPBasic(0)"},
		{"after Reset", func() error { return s.Reset(t.Context()) }, 2, "HTTPBasic(0) HTTPBasic(0)"},
		{"the password has changed", func() error { password = "new"; return nil }, 2, "HTTPBasic(0) HTTPBasic(0) HTTPBasic(1)"},
		{"and is known", func() error { return nil }, 1, "HTTPBasic(0) HTTPBasic(0) HTTPBasic(1)"},
	} {
		if err := row.before(); err != nil {
			t.Error(err)
		}
		requests = 0
		if _, resp := load(t, s, get(t, base)); resp.StatusCode != 200 || requests != row.costs || a.String() != row.asked {
			t.Errorf("%s: status %d, %d requests, asked %s", row.name, resp.StatusCode, requests, a)
		}
	}
}

// What the store has in place of what was refused is tried before anybody is asked.
func TestUnaskedIsReplaced(t *testing.T) {
	leak.Check(t)
	requests, password := 0, "right"
	base := serve(t, "http/1.1", countingBasic(&requests, &password))
	a := knowing("u", "right", urlsession.PersistenceForSession)
	s := delegated(t, a.delegate(), nil)
	defer s.Close()
	load(t, s, get(t, base))
	password = "new"
	store := s.Configuration().Credentials
	space := a.asked[0].Space
	if err := store.Set(t.Context(), &urlsession.Credential{User: "u", Password: "new", Persistence: urlsession.PersistenceForSession}, space); err != nil {
		t.Fatal(err)
	}
	for _, costs := range []int{2, 1} {
		requests = 0
		if _, resp := load(t, s, get(t, base)); resp.StatusCode != 200 || requests != costs || len(a.asked) != 1 {
			t.Errorf("status %d, %d requests, asked %s", resp.StatusCode, requests, a)
		}
	}
}

// What was for one challenge only is not sent again; what the URL says is for it
// alone.
func TestUnaskedKeepsToItsPersistence(t *testing.T) {
	leak.Check(t)
	requests, password := 0, "right"
	base := serve(t, "http/1.1", countingBasic(&requests, &password))
	a := knowing("u", "right", urlsession.PersistenceNone)
	s := delegated(t, a.delegate(), nil)
	defer s.Close()
	withUser := strings.Replace(base, "://", "://u:right@", 1)
	for i, row := range []struct {
		url          string
		costs, asked int
	}{{base, 2, 1}, {base, 2, 2}, {withUser, 2, 2}, {withUser, 1, 2}, {base, 2, 3}} {
		requests = 0
		load(t, s, get(t, row.url))
		if requests != row.costs || len(a.asked) != row.asked {
			t.Errorf("load %d: %d requests, asked %d times", i, requests, len(a.asked))
		}
	}
}
