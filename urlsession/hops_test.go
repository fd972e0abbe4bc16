package urlsession_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/storage/altsvc"
	"github.com/urlkit/urlkit/urlsession"
)

func TestRedirectsCarryCookiesAndBodies(t *testing.T) {
	leak.Check(t)
	mux := http.NewServeMux()
	mux.HandleFunc("/start", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Add("Set-Cookie", "hop=1; Path=/")
		w.Header().Set("Location", "end?x=1")
		w.WriteHeader(http.StatusTemporaryRedirect)
		_, _ = io.WriteString(w, "moved")
	})
	mux.HandleFunc("/end", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s %s", r.Method, r.URL, r.Header.Get("Cookie"), body)
	})
	onEachWire(t, mux, func(t *testing.T, base string) {
		s := session(t, nil)
		data, resp := load(t, s, request(t, http.MethodPost, base+"/start", urlsession.StringBody("payload")))
		if data != "POST /end?x=1 hop=1 payload" || resp.URL.Path != "/end" {
			t.Errorf("%q from %v", data, resp.URL)
		}
		var metrics urlsession.TaskMetrics
		if _, _, err := s.Data(urlsession.WithMetrics(t.Context(), &metrics), get(t, base+"/start")); err != nil {
			t.Fatal(err)
		}
		if len(metrics.Transactions) != 2 || metrics.RedirectCount != 1 || !metrics.Transactions[1].ReusedConnection {
			t.Errorf("metrics %+v", metrics)
		}
	})
}

func TestRedirectsThatAreRefused(t *testing.T) {
	leak.Check(t)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", r.URL.Query().Get("to"))
		w.WriteHeader(http.StatusFound)
	})
	onEachWire(t, handler, func(t *testing.T, base string) {
		s := session(t, nil)
		for to, code := range map[string]urlsession.Code{
			"file:///etc/passwd":  urlsession.UnsupportedURL,
			"data:,x":             urlsession.UnsupportedURL,
			"gopher://host/":      urlsession.UnsupportedURL,
			"http://example.com/": urlsession.AppTransportSecurityRequiresSecureConnection,
			"?to=":                0,
		} {
			_, resp, err := s.Data(t.Context(), get(t, base+"/?to="+to))
			if code == 0 {
				if err != nil || resp.StatusCode != http.StatusFound {
					t.Errorf("an empty Location gives %v, %v", resp, err)
				}

				continue
			}
			wantCode(t, err, code)
		}
	})
}

func TestBasicAuthentication(t *testing.T) {
	leak.Check(t)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, ok := r.BasicAuth(); !ok || user != "alice" || password != "s3cret" {
			w.Header().Set("WWW-Authenticate", `Unknown realm="x", nonce="y", Basic realm="the realm"`)
			w.WriteHeader(http.StatusUnauthorized)

			return
		}
		fmt.Fprint(w, "welcome")
	})
	onEachWire(t, handler, func(t *testing.T, base string) {
		var counts []int
		cfg := urlsession.EphemeralConfiguration()
		cfg.RootCAs, cfg.AlternativeServices = roots(), known{altsvc.NewStore()}
		s, err := urlsession.New(cfg, &urlsession.Delegate{
			DidReceiveChallenge: func(_ context.Context, _ urlsession.Task, c *urlsession.Challenge) (urlsession.Disposition, *urlsession.Credential) {
				if ofHandshake(c) {
					return urlsession.PerformDefaultHandling, nil
				}
				counts = append(counts, c.PreviousFailureCount)
				if c.Space.Realm != "the realm" || c.FailureResponse.StatusCode != 401 {
					t.Errorf("challenge %+v", c)
				}
				if c.PreviousFailureCount == 0 {
					return urlsession.UseCredential, &urlsession.Credential{User: "alice", Password: "wrong"}
				}

				return urlsession.UseCredential, &urlsession.Credential{
					User: "alice", Password: "s3cret", Persistence: urlsession.PersistenceForSession,
				}
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		for range 2 { // the second time the stored one is used, and nobody is asked
			if data, _ := load(t, s, request(t, http.MethodPost, base, urlsession.StringBody("x"))); data != "welcome" {
				t.Errorf("data %q", data)
			}
		}
		if fmt.Sprint(counts) != "[0 1]" {
			t.Errorf("asked with failure counts %v, want [0 1]", counts)
		}
		_, resp := load(t, session(t, nil), get(t, base))
		if resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("without a delegate the status is %d", resp.StatusCode)
		}
		if data, _ := load(t, session(t, nil), get(t, strings.Replace(base, "://", "://alice:s3cret@", 1))); data != "welcome" {
			t.Errorf("with user info in the URL: %q", data)
		}
	})
}
