package urlsession_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/internal/peer"
	"github.com/urlkit/urlkit/urlsession"
)

// asker answers challenges but those of handshakes, and keeps what it was asked.
type asker struct {
	answer func(c *urlsession.Challenge) (urlsession.Disposition, *urlsession.Credential)

	mu    sync.Mutex
	asked []urlsession.Challenge
}

func (a *asker) delegate() *urlsession.Delegate {
	return &urlsession.Delegate{
		DidReceiveChallenge: func(_ context.Context, _ urlsession.Task, c *urlsession.Challenge) (urlsession.Disposition, *urlsession.Credential) {
			if ofHandshake(c) {
				return urlsession.PerformDefaultHandling, nil
			}
			a.mu.Lock()
			defer a.mu.Unlock()
			a.asked = append(a.asked, *c)

			return a.answer(c)
		},
	}
}

// String tells the methods and failure counts of the questions.
func (a *asker) String() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var words []string
	for _, c := range a.asked {
		words = append(words, fmt.Sprintf("%v(%d)", c.Space.Method, c.PreviousFailureCount))
	}

	return strings.Join(words, " ")
}

// knowing is an asker that knows a user.
func knowing(user, password string, p urlsession.Persistence) *asker {
	return &asker{answer: func(*urlsession.Challenge) (urlsession.Disposition, *urlsession.Credential) {
		return urlsession.UseCredential, &urlsession.Credential{User: user, Password: password, Persistence: p}
	}}
}

// repeatBody answers with the body, and what the request carries.
var repeatBody = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	fmt.Fprintf(w, "%s %s", r.URL.Path, body)
})

func TestDigest(t *testing.T) {
	leak.Check(t)
	for _, algorithm := range []string{"", "MD5", "MD5-sess", "SHA-256", "SHA-256-sess", "SHA-512-256", "SHA-512-256-sess"} {
		for _, qop := range []string{"", "auth", "auth-int", "auth-int, auth"} {
			server := &peer.Digest{T: t, Handler: repeatBody, User: "J\u00e4s\u00f8n \"D\\", Password: "p\u00e4ss:word", Realm: "the realm", Algorithm: algorithm, QOP: qop, UserHash: true}
			base := serve(t, "http/1.1", server)
			a := knowing(server.User, server.Password, urlsession.PersistenceForSession)
			s := delegated(t, a.delegate(), nil)
			for i := range 3 {
				req := request(t, http.MethodPost, base+"/a%20b?q=%22", urlsession.StringBody("sent"))
				if data, _ := load(t, s, req); data != "/a b sent" {
					t.Errorf("%s, %s: %q", algorithm, qop, data)
				}
				// The first is challenged, the others know.
				if refused, stale, accepted := server.Counts(); refused != 1 || stale != 0 || accepted != i+1 {
					t.Errorf("%s, %s: %d refused, %d stale, %d accepted", algorithm, qop, refused, stale, accepted)
				}
			}
			if got := a.String(); got != "HTTPDigest(0)" {
				t.Errorf("%s, %s: asked %s", algorithm, qop, got)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// A stale nonce and a new one are no failures, however many use them at once.
func TestDigestNonces(t *testing.T) {
	leak.Check(t)
	for name, server := range map[string]*peer.Digest{
		"stale": {Uses: 3}, "next": {NextNonce: true}, "stale in a session": {Uses: 2, Algorithm: "SHA-256-sess"}, "next in a session": {NextNonce: true, Algorithm: "MD5-sess"},
	} {
		server.T, server.Handler, server.User, server.Password, server.Realm, server.QOP = t, repeatBody, "u", "p", "r", "auth"
		onEachWire(t, server, func(t *testing.T, base string) {
			a := knowing("u", "p", urlsession.PersistenceForSession)
			s := delegated(t, a.delegate(), nil)
			defer s.Close()
			load(t, s, get(t, base+"/first"))
			var all sync.WaitGroup
			for i := range 24 {
				all.Go(func() {
					data, resp, err := s.Data(t.Context(), get(t, fmt.Sprint(base, "/", i)))
					if err != nil || string(data) != fmt.Sprintf("/%d ", i) {
						t.Errorf("%s: %q, %v, %v", name, data, resp, err)
					}
				})
			}
			all.Wait()
			if got := a.String(); got != "HTTPDigest(0)" {
				t.Errorf("%s: asked %s", name, got)
			}
		})
	}
}

// A server that finds every nonce stale, or every credential wrong, is given up.
func TestServersThatAskForEver(t *testing.T) {
	leak.Check(t)
	for name, challenge := range map[string]string{
		"stale": `Digest realm="r", nonce="%d", qop="auth", stale=true`, "nonces": `Digest realm="r", nonce="%d"`,
		"realms": `Basic realm="%d"`, "legs": `NTLM TlRMTVNTUAACAAAAAAAAADAAAAABAAAAAQIDBAUGBwgAAAAAAAAAAAAAAAAwAAAA`, "one nonce": `Digest realm="r", nonce="n", stale=true`,
	} {
		requests := 0
		base := serve(t, "http/1.1", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			requests++
			offered := challenge
			if strings.Contains(offered, "%d") {
				offered = fmt.Sprintf(offered, requests)
			}
			w.Header().Set("WWW-Authenticate", offered)
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, "no")
		}))
		a := knowing("u", "p", urlsession.PersistenceForSession)
		s := delegated(t, a.delegate(), nil)
		data, resp := load(t, s, get(t, base))
		if data != "no" || resp.StatusCode != http.StatusUnauthorized || requests > 200 {
			t.Errorf("%s: %q after %d requests", name, data, requests)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Many loads that need the same credential wait for one answer.
func TestOneQuestionForAll(t *testing.T) {
	leak.Check(t)
	server := &peer.Digest{T: t, Handler: repeatBody, User: "u", Password: "p", Realm: "r", QOP: "auth"}
	onEachWire(t, server, func(t *testing.T, base string) {
		a := &asker{answer: func(*urlsession.Challenge) (urlsession.Disposition, *urlsession.Credential) {
			<-time.After(50 * time.Millisecond) // the others come meanwhile

			return urlsession.UseCredential, &urlsession.Credential{User: "u", Password: "p", Persistence: urlsession.PersistenceForSession}
		}}
		s := delegated(t, a.delegate(), nil)
		defer s.Close()
		var all sync.WaitGroup
		for range 12 {
			all.Go(func() {
				if _, resp, err := s.Data(t.Context(), get(t, base)); err != nil || resp.StatusCode != 200 {
					t.Errorf("%v, %v", resp, err)
				}
			})
		}
		all.Wait()
		// One that comes when the answer was given and is not stored yet asks again.
		if n := len(strings.Fields(a.String())); n > 4 {
			t.Errorf("asked %d times: %s", n, a)
		}
	})
}

// The strongest is asked for first, and each rejection passes to the next.
func TestOrderOfMethods(t *testing.T) {
	leak.Check(t)
	base := serve(t, "http/1.1", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "Bearer t" {
			return
		}
		w.Header()["Www-Authenticate"] = []string{
			`Basic realm="b"`, `Bearer`, `Digest realm="d", nonce="n"`, `Digest realm="d", nonce="n", algorithm=SHA-256`, `NTLM`, `Negotiate`, `Mystery x=y`,
		}
		w.WriteHeader(http.StatusUnauthorized)
	}))
	for _, tt := range []struct {
		answer func(c *urlsession.Challenge) (urlsession.Disposition, *urlsession.Credential)
		asked  string
		status int
		code   urlsession.Code
	}{
		{func(*urlsession.Challenge) (urlsession.Disposition, *urlsession.Credential) {
			return urlsession.RejectProtectionSpace, nil
		}, "NTLM(0) HTTPDigest(0) HTTPBearer(0) HTTPBasic(0)", 401, 0},
		{func(c *urlsession.Challenge) (urlsession.Disposition, *urlsession.Credential) {
			if c.Space.Method == urlsession.MethodHTTPDigest && c.Parameters["algorithm"] != "SHA-256" {
				t.Errorf("the weaker Digest is asked for: %v", c.Parameters)
			}

			return urlsession.UseCredential, &urlsession.Credential{Token: "t"} // of use for one of them
		}, "NTLM(0) HTTPDigest(0) HTTPBearer(0)", 200, 0},
		{func(*urlsession.Challenge) (urlsession.Disposition, *urlsession.Credential) {
			return urlsession.PerformDefaultHandling, nil
		}, "NTLM(0)", 401, 0},
		{func(*urlsession.Challenge) (urlsession.Disposition, *urlsession.Credential) {
			return urlsession.UseCredential, nil
		}, "NTLM(0)", 401, 0},
		{func(*urlsession.Challenge) (urlsession.Disposition, *urlsession.Credential) {
			return urlsession.CancelAuthenticationChallenge, nil
		}, "NTLM(0)", 0, urlsession.Cancelled},
	} {
		a := &asker{answer: tt.answer}
		s := delegated(t, a.delegate(), nil)
		_, resp, err := s.Data(t.Context(), get(t, base))
		if tt.code != 0 {
			wantCode(t, err, tt.code)
		} else if err != nil || resp.StatusCode != tt.status {
			t.Errorf("%v, %v", resp, err)
		}
		if a.String() != tt.asked {
			t.Errorf("asked %s, want %s", a, tt.asked)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A body that can be read once goes with the first request only; a streamed one is
// asked for again.
func TestBodyAfterAChallenge(t *testing.T) {
	leak.Check(t)
	server := &peer.Digest{T: t, Handler: repeatBody, User: "u", Password: "p", Realm: "r", QOP: "auth"}
	onEachWire(t, server, func(t *testing.T, base string) {
		s := delegated(t, knowing("u", "p", urlsession.PersistenceNone).delegate(), nil)
		defer s.Close()
		_, _, err := s.Data(t.Context(), request(t, http.MethodPost, base, urlsession.ReaderBody(io.MultiReader(strings.NewReader("once")))))
		wantCode(t, err, urlsession.RequestBodyStreamExhausted)
		streams := 0
		d := knowing("u", "p", urlsession.PersistenceNone).delegate()
		d.NeedNewBodyStream = func(context.Context, urlsession.Task) (io.ReadCloser, error) {
			streams++

			return io.NopCloser(strings.NewReader("again")), nil
		}
		d.DidReceiveData = func(_ urlsession.Task, data []byte) {
			if string(data) != "/ again" {
				t.Errorf("%q", data)
			}
		}
		task := s.StreamedUploadTask(request(t, http.MethodPut, base+"/", nil))
		if err := task.SetDelegate(d); err != nil {
			t.Fatal(err)
		}
		task.Resume()
		if err := wait(t, task); err != nil || streams != 2 {
			t.Errorf("%v, %d streams", err, streams)
		}
	})
}

// A 407 of an origin asks for what is not its own.
func TestProxyAuthenticationOfAnOrigin(t *testing.T) {
	leak.Check(t)
	base := serve(t, "http/1.1", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Proxy-Authenticate", `Basic realm="r"`)
		w.WriteHeader(http.StatusProxyAuthRequired)
	}))
	a := knowing("u", "p", urlsession.PersistenceNone)
	s := delegated(t, a.delegate(), nil)
	defer s.Close()
	if _, resp := load(t, s, get(t, base)); resp.StatusCode != http.StatusProxyAuthRequired || a.String() != "" {
		t.Errorf("status %d, asked %q", resp.StatusCode, a)
	}
}
