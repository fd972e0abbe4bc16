package urlsession_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/internal/peer"
	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/storage"
	"github.com/urlkit/urlkit/storage/credential"
	"github.com/urlkit/urlkit/urlsession"
)

// A session says, once, that its store keeps nothing for good.
func TestPermanentCredentialsAreNotKept(t *testing.T) {
	leak.Check(t)
	server := &peer.Digest{T: t, Handler: repeatBody, User: "u", Password: "p", Realm: "r", QOP: "auth"}
	base := serve(t, "http/1.1", server)
	for name, tt := range map[string]struct {
		store storage.CredentialStore
		asked string
	}{
		"memory": {credential.NewStore(), "HTTPDigest(0)"}, "none": {credential.None, "HTTPDigest(0) HTTPDigest(0)"}, "one that keeps": {keeps{credential.NewStore()}, "HTTPDigest(0)"},
	} {
		var log syncBuffer
		a := knowing("u", "p", urlsession.PersistencePermanent)
		s := delegated(t, a.delegate(), func(c *urlsession.Configuration) {
			c.Credentials, c.Logger = tt.store, slog.New(slog.NewTextHandler(&log, nil))
		})
		for range 2 {
			load(t, s, get(t, base))
			if err := s.Flush(t.Context()); err != nil { // or it would be sent unasked
				t.Error(err)
			}
		}
		want := 1
		if _, kept := tt.store.(keeps); kept {
			want = 0
		}
		if got := strings.Count(log.String(), "permanently"); got != want || a.String() != tt.asked {
			t.Errorf("%s: %d warnings, asked %q: %s", name, got, a, log.String())
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// keeps is a store that says that it keeps what is permanent.
type keeps struct{ *credential.Store }

func (keeps) KeepsPermanent() bool { return true }

// forwards is an interceptor: it hands each request on.
type forwards struct{ client protocols.Client }

func (forwards) Claims(req *protocols.Request) bool { return req.URL.Scheme == "http" }

func (f forwards) Load(ctx context.Context, req *protocols.Request) (*protocols.Response, error) {
	return f.client.Load(ctx, req)
}

// Answers go through an interceptor, connections too.
func TestAuthenticationBehindAnInterceptor(t *testing.T) {
	leak.Check(t)
	ntlm := peer.StartNTLM(t, nil, whoAmI)
	digest := serve(t, "http/1.1", &peer.Digest{T: t, Handler: repeatBody, User: `Domain\alice`, Password: peer.NTLMPassword, Realm: "r", QOP: "auth"})
	a := knowing(`Domain\alice`, peer.NTLMPassword, urlsession.PersistenceForSession)
	s := delegated(t, a.delegate(), func(c *urlsession.Configuration) {
		c.Protocols = []protocols.Scheme{{Security: protocols.Cleartext, New: func(c protocols.Client) protocols.URLProtocol { return forwards{c} }}}
	})
	defer s.Close()
	for range 2 {
		if data, _ := load(t, s, request(t, http.MethodPost, ntlm.URL, urlsession.StringBody("x"))); !strings.HasPrefix(data, "alice|") || !strings.HasSuffix(data, "|x") {
			t.Errorf("NTLM: %q", data)
		}
		if data, _ := load(t, s, request(t, http.MethodPost, digest+"/y", urlsession.StringBody("x"))); data != "/y x" {
			t.Errorf("Digest: %q", data)
		}
	}
	if a.String() != "NTLM(0) HTTPDigest(0)" || ntlm.Logins() != 1 {
		t.Errorf("asked %s, %d logins", a, ntlm.Logins())
	}
}

// A connection that breaks in the middle of a login costs a login, not the load.
func TestNTLMConnectionBreaks(t *testing.T) {
	leak.Check(t)
	var breaks atomic.Int32
	server := peer.StartNTLM(t, nil, whoAmI)
	inner := server.Config.Handler
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.Header.Get("Authorization"), "NTLM TlRMTVNTUAAD") && breaks.Add(1) == 1 {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)

				return
			}
			_ = conn.Close()

			return
		}
		inner.ServeHTTP(w, r)
	})
	a := knowing(`Domain\alice`, peer.NTLMPassword, urlsession.PersistenceForSession)
	s := delegated(t, a.delegate(), nil)
	defer s.Close()
	if data, _ := load(t, s, get(t, server.URL)); !strings.HasPrefix(data, "alice|") || a.String() != "NTLM(0)" || breaks.Load() != 2 {
		t.Errorf("%q, asked %s, %d last messages", data, a, breaks.Load())
	}
}

var errUnreadable = errors.New("the body cannot be read")

// A body whose integrity is wanted and that cannot be read fails the load.
func TestIntegrityOfABodyThatCannotBeRead(t *testing.T) {
	leak.Check(t)
	base := serve(t, "http/1.1", &peer.Digest{T: t, Handler: repeatBody, User: "u", Password: "p", Realm: "r", QOP: "auth-int"})
	s := delegated(t, knowing("u", "p", urlsession.PersistenceNone).delegate(), nil)
	defer s.Close()
	opened := 0
	body := urlsession.FuncBody(4, func(int64) (io.ReadCloser, error) {
		if opened++; opened > 1 {
			return nil, errUnreadable
		}

		return io.NopCloser(strings.NewReader("body")), nil
	})
	_, _, err := s.Data(t.Context(), request(t, http.MethodPost, base, body))
	if !errors.Is(err, errUnreadable) {
		t.Errorf("%v", err)
	}
}

// Hashing a body sends nothing of it.
func TestIntegrityIsNoProgress(t *testing.T) {
	leak.Check(t)
	base := serve(t, "http/1.1", &peer.Digest{T: t, Handler: repeatBody, User: "u", Password: "p", Realm: "r", QOP: "auth-int"})
	d := knowing("u", "p", urlsession.PersistenceForSession).delegate()
	var sent []int64
	d.DidSendBodyData = func(_ urlsession.Task, _, total, _ int64) { sent = append(sent, total) }
	s := delegated(t, d, nil)
	defer s.Close()
	for i := range 2 {
		sent = nil
		up := s.UploadTask(request(t, http.MethodPost, base, nil), urlsession.FuncBody(4, func(int64) (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader("body")), nil
		}))
		up.Resume()
		if err := up.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		if want := 2 - i; len(sent) != want { // with and without a 401
			t.Errorf("load %d: the body went out %d times: %v", i, len(sent), sent)
		}
	}
}

// A question may load what asks the same: it is asked again, and waits for nobody.
func TestLoadInsideAQuestion(t *testing.T) {
	leak.Check(t)
	server := &peer.Digest{T: t, Handler: repeatBody, User: "u", Password: "p", Realm: "r", QOP: "auth"}
	onEachWire(t, server, func(t *testing.T, base string) {
		depth := 0
		var s *urlsession.Session
		s = delegated(t, &urlsession.Delegate{
			DidReceiveChallenge: func(ctx context.Context, _ urlsession.Task, c *urlsession.Challenge) (urlsession.Disposition, *urlsession.Credential) {
				if ofHandshake(c) {
					return urlsession.PerformDefaultHandling, nil
				}
				if depth++; depth == 1 {
					if data, _, err := s.Data(ctx, get(t, base+"/inner")); err != nil || string(data) != "/inner " {
						t.Errorf("inside: %q, %v", data, err)
					}
				}

				return urlsession.UseCredential, &urlsession.Credential{User: "u", Password: "p"}
			},
		}, nil)
		defer s.Close()
		if data, _ := load(t, s, get(t, base+"/outer")); data != "/outer " || depth != 2 {
			t.Errorf("%q, asked %d times", data, depth)
		}
		depth = 0
		task := s.DataTask(get(t, base+"/task"))
		task.Resume()
		if err := wait(t, task); err != nil || depth != 2 {
			t.Errorf("%v, asked %d times", err, depth)
		}
	})
}
