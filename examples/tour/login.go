package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"sync"

	"github.com/urlkit/urlkit/urlsession"
)

// login loads what asks for a Digest login, twice: a delegate gives the password, and
// is asked once.
func login(ctx context.Context, out io.Writer, o *origin) error {
	asked := 0
	cfg := urlsession.EphemeralConfiguration()
	cfg.RootCAs = o.roots
	session, err := urlsession.New(cfg, &urlsession.Delegate{
		DidReceiveChallenge: func(_ context.Context, _ urlsession.Task, c *urlsession.Challenge) (urlsession.Disposition, *urlsession.Credential) {
			if c.Space.Method != urlsession.MethodHTTPDigest || c.PreviousFailureCount > 0 {
				return urlsession.PerformDefaultHandling, nil
			}
			asked++
			fmt.Fprintf(out, "\n%q asks for a login by %s %s.\n", c.Space.Realm, c.Space.Method, c.Parameters["algorithm"])

			return urlsession.UseCredential, &urlsession.Credential{User: "alice", Password: "s3cret", Persistence: urlsession.PersistenceForSession}
		},
	})
	if err != nil {
		return err
	}
	defer session.Close()
	for range 2 {
		req, err := urlsession.NewRequest("", o.http2+"/secret", nil)
		if err != nil {
			return err
		}
		var metrics urlsession.TaskMetrics
		data, resp, err := session.Data(urlsession.WithMetrics(ctx, &metrics), req)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%d, requests: %d: %s", resp.StatusCode, len(metrics.Transactions), data)
	}
	if asked != 1 {
		return fmt.Errorf("the delegate was asked %d times", asked)
	}

	return nil
}

// secret is a page that wants a Digest login (RFC 7616) of alice.
type secret struct {
	mu     sync.Mutex
	nonces map[string]bool
}

var parameter = regexp.MustCompile(`(\w+)=(?:"([^"]*)"|([^", ]+))`)

func (s *secret) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	got := map[string]string{}
	for _, m := range parameter.FindAllStringSubmatch(r.Header.Get("Authorization"), -1) {
		got[m[1]] = m[2] + m[3]
	}
	const realm = "the tour"
	sum := func(text string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(text))) }
	user := sum("alice:" + realm + ":s3cret")
	request := sum(r.Method + ":" + r.RequestURI)
	want := sum(user + ":" + got["nonce"] + ":" + got["nc"] + ":" + got["cnonce"] + ":auth:" + request)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.nonces[got["nonce"]] && got["response"] == want {
		_, _ = io.WriteString(w, "Hello Alice\n")

		return
	}
	nonce := rand.Text()
	if len(s.nonces) > 100 || s.nonces == nil {
		s.nonces = make(map[string]bool)
	}
	s.nonces[nonce] = true
	w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Digest realm=%q, nonce=%q, qop="auth", algorithm=SHA-256`, realm, nonce))
	w.WriteHeader(http.StatusUnauthorized)
}
