package negotiate_test

import (
	"context"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/urlkit/urlkit/contrib/negotiate"
	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/internal/peer"
	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/urlsession"
)

// realm starts a Kerberos realm and a server in it.
func realm(t *testing.T) (p *peer.Peer, base string) {
	t.Helper()
	script, err := filepath.Abs("../../internal/peer/testdata/krb5.sh")
	if err != nil {
		t.Fatal(err)
	}
	p = peer.Start(t, script, peer.TCP, peer.TCP)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for range 200 {
		if _, err := os.Stat(filepath.Join(p.Dir, "ready")); err == nil {
			break
		}
		<-tick.C
	}
	_, port, _ := splitHostPort(p.Addr(1))

	return p, "http://localhost:" + port
}

func splitHostPort(addr string) (host, port string, err error) {
	u, err := url.Parse("http://" + addr)
	if err != nil {
		return "", "", err
	}

	return u.Hostname(), u.Port(), nil
}

func TestPeerNegotiate(t *testing.T) {
	p, base := realm(t)
	leak.Check(t)
	conf, cache := filepath.Join(p.Dir, "krb5.conf"), filepath.Join(p.Dir, "alice.ccache")
	for _, tt := range []struct {
		name     string
		kerberos negotiate.Kerberos
		answer   *urlsession.Credential
		want     string
		asked    int
	}{
		{"a ticket of the cache", negotiate.Kerberos{Config: conf, Cache: cache}, nil, "alice@TEST.EXAMPLE 4", 0},
		{"a password", negotiate.Kerberos{Config: conf, Cache: "none"}, &urlsession.Credential{User: "alice", Password: "s3cret", Persistence: protocols.PersistenceForSession}, "alice@TEST.EXAMPLE 4", 1},
		{"with its realm", negotiate.Kerberos{Config: conf, Cache: "none"}, &urlsession.Credential{User: "alice@TEST.EXAMPLE", Password: "s3cret"}, "alice@TEST.EXAMPLE 4", 1},
		{"a wrong password", negotiate.Kerberos{Config: conf, Cache: "none"}, &urlsession.Credential{User: "alice", Password: "wrong"}, "", 1},
		{"nobody", negotiate.Kerberos{Config: conf, Cache: "none"}, nil, "", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			asked := 0
			configuration := urlsession.EphemeralConfiguration()
			configuration.Negotiator = &tt.kerberos
			s, err := urlsession.New(configuration, asking(&asked, tt.answer))
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			for range 2 {
				req, err := urlsession.NewRequest(http.MethodPost, base+"/cgi/who", urlsession.StringBody("body"))
				if err != nil {
					t.Fatal(err)
				}
				data, resp, err := s.Data(t.Context(), req)
				if err != nil || tt.want != "" && string(data) != tt.want || (resp.StatusCode == http.StatusUnauthorized) != (tt.want == "") {
					t.Fatalf("%q, %v, %v\n%s", data, resp, err, p.Log())
				}
				if tt.want == "" || tt.answer != nil && tt.answer.Persistence == protocols.PersistenceNone {
					break
				}
			}
			if asked != tt.asked {
				t.Errorf("asked %d times, want %d", asked, tt.asked)
			}
		})
	}
}

// asking answers a question for Negotiate.
func asking(asked *int, answer *urlsession.Credential) *urlsession.Delegate {
	return &urlsession.Delegate{
		DidReceiveChallenge: func(_ context.Context, _ urlsession.Task, c *urlsession.Challenge) (urlsession.Disposition, *urlsession.Credential) {
			*asked++
			if answer == nil || c.Space.Method != urlsession.MethodNegotiate || c.PreviousFailureCount > 0 {
				return urlsession.PerformDefaultHandling, nil
			}

			return urlsession.UseCredential, answer
		},
	}
}
