package urlsession_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/internal/peer"
	"github.com/urlkit/urlkit/urlsession"
)

// whoAmI answers with the user, the connection and the body.
var whoAmI = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	fmt.Fprintf(w, "%s|%s|%s", r.Header.Get("X-User"), r.RemoteAddr, body)
})

// ntlmServers are one in clear text and one over TLS that would speak HTTP/2.
func ntlmServers(t *testing.T) map[string]*peer.NTLM {
	t.Helper()
	c := certificate()

	return map[string]*peer.NTLM{"http": peer.StartNTLM(t, nil, whoAmI), "https": peer.StartNTLM(t, &c, whoAmI)}
}

func TestNTLM(t *testing.T) {
	leak.Check(t)
	for name, server := range ntlmServers(t) {
		t.Run(name, func(t *testing.T) {
			a := knowing(`Domain\alice`, peer.NTLMPassword, urlsession.PersistenceForSession)
			s := delegated(t, a.delegate(), nil)
			defer s.Close()
			var connections []string
			for range 3 {
				data, resp := load(t, s, request(t, http.MethodPost, server.URL, urlsession.StringBody("the body")))
				part := strings.Split(data, "|")
				if resp.StatusCode != 200 || len(part) != 3 || part[0] != "alice" || part[2] != "the body" || resp.Proto != "http/1.1" {
					t.Fatalf("%d by %s: %q", resp.StatusCode, resp.Proto, data)
				}
				connections = append(connections, part[1])
			}
			// The connection is kept for who was let in.
			if connections[0] != connections[2] || server.Logins() != 1 || a.String() != "NTLM(0)" {
				t.Errorf("%v, %d logins, asked %s", connections, server.Logins(), a)
			}
			if err := s.Flush(t.Context()); err != nil {
				t.Error(err)
			}
			if data, _ := load(t, s, get(t, server.URL)); !strings.HasPrefix(data, "alice|") || server.Logins() != 2 || a.String() != "NTLM(0)" {
				t.Errorf("after Flush: %q, %d logins, asked %s", data, server.Logins(), a)
			}
		})
	}
}

// No request goes over a connection that another user was let in on, whatever is
// under way at once.
func TestNTLMNeverMixesUsers(t *testing.T) {
	leak.Check(t)
	for name, server := range ntlmServers(t) {
		t.Run(name, func(t *testing.T) {
			s := delegated(t, nil, nil)
			defer s.Close()
			var all sync.WaitGroup
			for i := range 24 {
				user := fmt.Sprint("user", i%4)
				url := strings.Replace(server.URL, "://", "://Domain%5C"+user+":"+peer.NTLMPassword+"@", 1)
				all.Go(func() {
					for range 3 {
						req := request(t, http.MethodPut, url, urlsession.StringBody(user))
						data, resp, err := s.Data(t.Context(), req)
						if part := strings.Split(string(data), "|"); err != nil || resp.StatusCode != 200 || part[0] != user || part[2] != user {
							t.Errorf("%s: %q, %v", user, data, err)
						}
					}
				})
			}
			all.Wait()
			if _, resp := load(t, s, get(t, server.URL)); resp.StatusCode != 401 {
				t.Errorf("without a user the status is %d", resp.StatusCode)
			}
		})
	}
}

func TestNTLMRefused(t *testing.T) {
	leak.Check(t)
	for name, server := range ntlmServers(t) {
		t.Run(name, func(t *testing.T) {
			a := &asker{}
			a.answer = func(c *urlsession.Challenge) (urlsession.Disposition, *urlsession.Credential) {
				if n := c.PreviousFailureCount; n > 0 && c.ProposedCredential.Password != fmt.Sprint("wrong", n-1) {
					t.Errorf("proposed %v", c.ProposedCredential)
				}
				if c.PreviousFailureCount == 2 {
					return urlsession.UseCredential, &urlsession.Credential{User: `Domain\alice`, Password: peer.NTLMPassword}
				}

				return urlsession.UseCredential, &urlsession.Credential{User: `Domain\alice`, Password: fmt.Sprint("wrong", c.PreviousFailureCount)}
			}
			s := delegated(t, a.delegate(), nil)
			defer s.Close()
			data, _ := load(t, s, get(t, server.URL))
			if !strings.HasPrefix(data, "alice|") || a.String() != "NTLM(0) NTLM(1) NTLM(2)" {
				t.Errorf("%q, asked %s", data, a)
			}
		})
	}
}

// A leg that fails passes to the next method, else the 401 is the result.
func TestNTLMLegsThatFail(t *testing.T) {
	leak.Check(t)
	for name, leg := range map[string]http.HandlerFunc{
		"no challenge":       func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("WWW-Authenticate", "NTLM") },
		"a challenge of air": func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("WWW-Authenticate", "NTLM AAAA") },
		"not base64":         func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("WWW-Authenticate", "NTLM ....") },
		"no connection kept": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", "NTLM TlRMTVNTUAACAAAAAAAAADAAAAABAAAAAQIDBAUGBwgAAAAAAAAAAAAAAAAwAAAA")
			w.Header().Set("Connection", "close")
		},
	} {
		for _, offer := range []string{"", `Basic realm="b"`} {
			connections := 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				field := r.Header.Get("Authorization")
				if strings.HasPrefix(field, "Basic ") {
					return
				}
				connections++
				if w.Header().Set("WWW-Authenticate", "NTLM"); strings.HasPrefix(field, "NTLM ") {
					leg(w, r)
				}
				if offer != "" {
					w.Header().Add("WWW-Authenticate", offer)
				}
				w.WriteHeader(http.StatusUnauthorized)
			}))
			a := knowing("u", "p", urlsession.PersistenceForSession)
			s := delegated(t, a.delegate(), nil)
			_, resp := load(t, s, request(t, http.MethodPost, server.URL, urlsession.StringBody("x")))
			want, asked := 401, "NTLM(0)"
			if offer != "" {
				want, asked = 200, "NTLM(0) HTTPBasic(0)"
			}
			if resp.StatusCode != want || connections > 12 || a.String() != asked {
				t.Errorf("%s, %q: status %d after %d requests, asked %s", name, offer, resp.StatusCode, connections, a)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			server.Close()
		}
	}
}

// A server that lets the first message in has not seen the body.
func TestNTLMNotNeeded(t *testing.T) {
	leak.Check(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "" && r.Header.Get("Connected") == "" {
			w.Header().Set("WWW-Authenticate", "NTLM")
			w.WriteHeader(http.StatusUnauthorized)
			w.Header().Set("Connected", "")

			return
		}
		whoAmI(w, r)
	}))
	defer server.Close()
	a := knowing("u", "p", urlsession.PersistenceForSession)
	s := delegated(t, a.delegate(), nil)
	defer s.Close()
	req := request(t, http.MethodPost, server.URL, urlsession.StringBody("the body"))
	if data, resp := load(t, s, req); resp.StatusCode != 401 && !strings.HasSuffix(data, "|the body") {
		t.Errorf("%d: %q", resp.StatusCode, data)
	}
}

// A redirect within the origin stays on the connection; one elsewhere leaves it.
func TestNTLMRedirects(t *testing.T) {
	leak.Check(t)
	other := serve(t, "http/1.1", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "other|%s", r.Header.Get("Authorization"))
	}))
	server := peer.StartNTLM(t, nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/here":
			http.Redirect(w, r, "/there", http.StatusFound)
		case "/away":
			http.Redirect(w, r, other, http.StatusFound)
		default:
			whoAmI(w, r)
		}
	}))
	s := delegated(t, knowing(`Domain\alice`, peer.NTLMPassword, urlsession.PersistenceForSession).delegate(), nil)
	defer s.Close()
	if data, _ := load(t, s, get(t, server.URL+"/here")); !strings.HasPrefix(data, "alice|") || server.Logins() != 1 {
		t.Errorf("%q, %d logins", data, server.Logins())
	}
	if data, _ := load(t, s, get(t, server.URL+"/away")); data != "other|" {
		t.Errorf("%q", data)
	}
	if data, _ := load(t, s, get(t, server.URL+"/x")); !strings.HasPrefix(data, "alice|") || server.Logins() != 1 {
		t.Errorf("%q, %d logins: the connection is lost", data, server.Logins())
	}
}

var errNoTicket = errors.New("no ticket")

// negotiator knows a user, or none.
type negotiator struct{ user string }

func (n negotiator) Negotiate(_ context.Context, space urlsession.ProtectionSpace, c *urlsession.Credential) (urlsession.SecurityContext, error) {
	user := n.user
	if c != nil {
		user = c.User + "/" + c.Password
	}
	if user == "" {
		return nil, errNoTicket
	}

	return &securityContext{say: []string{user + "@" + space.Host, "proof"}}, nil
}

type securityContext struct{ say []string }

func (s *securityContext) Next(context.Context, []byte) ([]byte, error) {
	if len(s.say) == 0 {
		return nil, nil
	}
	next := s.say[0]
	s.say = s.say[1:]

	return []byte(next), nil
}

// spnego lets in whom the first token names, after another leg where legs says so.
func spnego(legs int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(r.Header.Get("Authorization"), "Negotiate "))
		body, _ := io.ReadAll(r.Body)
		switch user := string(token); {
		case user == "":
			w.Header().Set("WWW-Authenticate", "Negotiate")
			w.WriteHeader(http.StatusUnauthorized)
		case strings.HasPrefix(user, "nobody"):
			w.Header().Set("WWW-Authenticate", "Negotiate")
			w.WriteHeader(http.StatusUnauthorized)
		case legs == 2 && user != "proof":
			w.Header().Set("WWW-Authenticate", "Negotiate bW9yZQ==")
			w.WriteHeader(http.StatusUnauthorized)
		default:
			w.Header().Set("WWW-Authenticate", "Negotiate ZG9uZQ==")
			fmt.Fprintf(w, "%s|%s", user, body)
		}
	})
}

func TestNegotiate(t *testing.T) {
	leak.Check(t)
	for _, tt := range []struct {
		name        string
		legs        int
		negotiator  urlsession.Negotiator
		want, asked string
		status      int
	}{
		{"a ticket", 1, negotiator{"ticket"}, "ticket@127.0.0.1|x", "", 200},
		{"two legs", 2, negotiator{"ticket"}, "proof|x", "", 200},
		{"no ticket", 1, negotiator{}, "u/p@127.0.0.1|x", "Negotiate(0)", 200},
		{"a ticket that is refused", 1, negotiator{"nobody"}, "u/p@127.0.0.1|x", "Negotiate(1)", 200},
		{"no Negotiator", 1, nil, "", "", 401},
	} {
		base := serve(t, "http/1.1", spnego(tt.legs))
		a := knowing("u", "p", urlsession.PersistenceNone)
		s := delegated(t, a.delegate(), func(c *urlsession.Configuration) { c.Negotiator = tt.negotiator })
		data, resp := load(t, s, request(t, http.MethodPost, base, urlsession.StringBody("x")))
		if data != tt.want || resp.StatusCode != tt.status || a.String() != tt.asked {
			t.Errorf("%s: %q with status %d, asked %q", tt.name, data, resp.StatusCode, a)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}
