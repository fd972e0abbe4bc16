package engine

import (
	"context"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/storage/credential"
)

// What one proxy was answered is nothing that another gets.
func TestAnotherProxy(t *testing.T) {
	l, h := pipeline(t, &Task{Challenge: func(context.Context, *protocols.Challenge) (protocols.Disposition, *protocols.Credential) {
		return protocols.UseCredential, &protocols.Credential{User: "u", Password: "p"}
	}}, "http://a.example/")
	if again, err := l.challenged(h, refusal(407, "Proxy-Authenticate", `Basic realm="r"`)); !again || err != nil {
		t.Fatal(again, err)
	}
	for forward, want := range map[string]bool{
		"proxy.example:3128": true, "PROXY.example:3128": true, "proxy.example:3129": false, "other.example:3128": false, "": false,
	} {
		h = l.next(t, h.given)
		h.request.Route.Forward = forward
		if err := l.authorize(h); err != nil {
			t.Fatal(err)
		}
		if sent := h.request.Header.Get("Proxy-Authorization") != ""; sent != want || h.request.Credential != nil {
			t.Errorf("by %q it is sent: %v; the protocol is given %v", forward, sent, h.request.Credential)
		}
	}
}

// Each credential that the app gave, and that let the load in, is stored.
func TestStoredOfEach(t *testing.T) {
	store := credential.NewStore()
	l, h := pipeline(t, &Task{Challenge: func(_ context.Context, c *protocols.Challenge) (protocols.Disposition, *protocols.Credential) {
		if c.Space.Method == protocols.MethodHTTPDigest && c.PreviousFailureCount > 0 {
			return protocols.RejectProtectionSpace, nil
		}

		return protocols.UseCredential, &protocols.Credential{User: c.Space.Realm, Password: "p", Persistence: protocols.PersistenceForSession}
	}}, "http://a.example/")
	l.engine.config.Credentials = store
	for _, refused := range []*protocols.Response{
		refusal(407, "Proxy-Authenticate", `Basic realm="proxy"`),
		refusal(401, "Www-Authenticate", `Digest realm="refused", nonce="n"`),
		refusal(401, "Www-Authenticate", `Digest realm="refused", nonce="m", Basic realm="origin"`),
	} {
		if again, err := l.challenged(h, refused); !again || err != nil {
			t.Fatal(again, err)
		}
		h = l.next(t, h.given)
		if err := l.authorize(h); err != nil {
			t.Fatal(err)
		}
	}
	if len(store.All()) != 0 {
		t.Errorf("stored before it was let in: %v", store.All())
	}
	if again, err := l.challenged(h, &protocols.Response{StatusCode: 200, Body: protocols.NoBody}); again || err != nil {
		t.Fatal(again, err)
	}
	realms := map[string]bool{}
	for space := range store.All() {
		realms[space.Realm] = true
	}
	if len(realms) != 2 || !realms["proxy"] || !realms["origin"] {
		t.Errorf("stored for %v", realms)
	}
}

// A server that turns out to need no login has verified none.
func TestUnneededLogin(t *testing.T) {
	store := credential.NewStore()
	l, h := pipeline(t, &Task{Challenge: func(context.Context, *protocols.Challenge) (protocols.Disposition, *protocols.Credential) {
		return protocols.UseCredential, &protocols.Credential{User: "u", Password: "wrong", Persistence: protocols.PersistenceForSession}
	}}, "http://a.example/")
	l.engine.config.Credentials = store
	h.given.Body = protocols.StringBody("the body")
	let := &protocols.Response{StatusCode: 200, Body: protocols.NoBody}
	for i, resp := range []*protocols.Response{refusal(401, "Www-Authenticate", "NTLM"), let, let} {
		again, err := l.challenged(h, resp)
		if again != (i < 2) || err != nil {
			t.Fatal(i, again, err)
		}
		h = l.next(t, h.given)
		if err := l.authorize(h); err != nil {
			t.Fatal(err)
		}
		if whole := h.request.Body != nil; whole != (i > 0) {
			t.Errorf("hop %d has its body: %v", i+1, whole)
		}
	}
	if len(store.All()) != 0 || l.engine.known.count.Load() != 0 {
		t.Errorf("stored %v, %d spaces are known", store.All(), l.engine.known.count.Load())
	}
}

// A credential that let the load in was not refused: it is used again where the load
// comes back to its space.
func TestBackInASpace(t *testing.T) {
	store := credential.NewStore()
	l, h := pipeline(t, noTask, "http://a.example/")
	l.engine.config.Credentials = store
	for _, realm := range []string{"one", "two"} {
		space := protocols.ProtectionSpace{Host: "a.example", Port: 80, Protocol: "http", Realm: realm, Method: protocols.MethodHTTPBasic}
		_ = store.Set(t.Context(), &protocols.Credential{User: realm, Password: "p", Persistence: protocols.PersistenceForSession}, space)
	}
	for i, realm := range []string{"one", "two", "one", "two"} {
		if again, err := l.challenged(h, refusal(401, "Www-Authenticate", `Basic realm="`+realm+`"`)); !again || err != nil {
			t.Fatal(i, again, err)
		}
		h = l.next(t, h.given)
		if err := l.authorize(h); err != nil {
			t.Fatal(err)
		}
		if again, err := l.challenged(h, &protocols.Response{StatusCode: 302, Body: protocols.NoBody}); again || err != nil {
			t.Fatal(again, err)
		}
	}
	for i, want := range []bool{true, false} { // "one" was refused now, and is not tried once more
		if again, err := l.challenged(h, refusal(401, "Www-Authenticate", `Basic realm="one"`)); again != want || err != nil {
			t.Fatal(i, again, err)
		}
	}
}

// A URL that names a user is entered with that user's credential, or none; without a
// default one of the others will do.
func TestWhoseCredential(t *testing.T) {
	space := protocols.ProtectionSpace{Host: "a.example", Port: 80, Protocol: "http", Realm: "r", Method: protocols.MethodHTTPBasic}
	for address, want := range map[string]string{
		"http://a.example/": "bob", "http://alice@a.example/": "alice", "http://bob@a.example/": "bob", "http://eve@a.example/": "",
		"http://eve:secret@a.example/": "eve",
	} {
		store := credential.NewStore()
		for _, user := range []string{"bob", "alice", "carol"} {
			_ = store.Set(t.Context(), &protocols.Credential{User: user, Password: "p", Persistence: protocols.PersistenceForSession}, space)
		}
		for _, hasDefault := range []bool{true, false} {
			if !hasDefault {
				_ = store.Remove(t.Context(), &protocols.Credential{User: "bob"}, space)
				if want == "bob" {
					want = map[bool]string{true: "", false: "alice"}[strings.Contains(address, "bob")]
				}
			}
			l, h := pipeline(t, noTask, address)
			l.engine.config.Credentials = store
			_, err := l.challenged(h, refusal(401, "Www-Authenticate", `Basic realm="r"`))
			h = l.next(t, h.given)
			if aerr := l.authorize(h); err != nil || aerr != nil {
				t.Fatal(err, aerr)
			}
			sent, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(h.request.Header.Get("Authorization"), "Basic "))
			if user, _, _ := strings.Cut(string(sent), ":"); user != want {
				t.Errorf("%s, default %v: %q enters, not %q", address, hasDefault, user, want)
			}
		}
	}
}

// A credential that was removed from its store is not sent any more.
func TestRemovedCredential(t *testing.T) {
	store := credential.NewStore()
	l, h := pipeline(t, noTask, "http://a.example/")
	l.engine.config.Credentials = store
	space := protocols.ProtectionSpace{Host: "a.example", Port: 80, Protocol: "http", Realm: "r", Method: protocols.MethodHTTPBasic}
	c := &protocols.Credential{User: "u", Password: "p", Persistence: protocols.PersistenceForSession}
	for name, remove := range map[string]func(){
		"Remove":    func() { _ = store.Remove(t.Context(), c, space) },
		"RemoveAll": func() { _ = store.RemoveAll(t.Context()) },
	} {
		_ = store.Set(t.Context(), c, space)
		if again, err := l.challenged(h, refusal(401, "Www-Authenticate", `Basic realm="r"`)); !again || err != nil {
			t.Fatal(name, again, err)
		}
		if again, err := l.challenged(h, &protocols.Response{StatusCode: http.StatusOK, Body: protocols.NoBody}); again || err != nil {
			t.Fatal(name, again, err)
		}
		if l.recall(h) == nil {
			t.Fatalf("%s: it is not sent before", name)
		}
		remove()
		if l.recall(h) != nil || l.engine.known.count.Load() != 0 {
			t.Errorf("%s: it is sent, %d spaces are known", name, l.engine.known.count.Load())
		}
		l.answers.Store(nil)
	}
}

// What goes back at the end is the connection that the response came over, whatever
// the body's continuation has taken meanwhile.
func TestSettledConnection(t *testing.T) {
	l, h := pipeline(t, noTask, "http://a.example/")
	k := &known{origin: originOf(h), space: protocols.ProtectionSpace{Host: "a.example", Method: protocols.MethodNTLM}, credential: &protocols.Credential{User: "u"}, free: []string{"one"}}
	l.engine.known.add(k)
	if err := l.authorize(h); err != nil || h.request.Bind != "one" || len(k.free) != 0 {
		t.Fatal(h.request.Bind, k.free, err)
	}
	all := l.answers.Load()
	all.settle()
	done := make(chan struct{})
	go func() { // the session is closed
		defer close(done)
		all.release(l.engine)
	}()
	all.origin, all.bind = nil, "two" // on the reader's goroutine
	<-done
	if len(k.free) != 1 || k.free[0] != "one" {
		t.Errorf("given back: %v", k.free)
	}
}

func TestLeaves(t *testing.T) {
	for path, want := range map[string]bool{
		"/a/../b": true, "/a/..": true, "/a/%2e%2e/b": true, "/a/.%2E": true, "/a/..%2fb": true, "/a%2F..%2fb": true, "/a/..%5Cb": true,
		"/a/b": false, "/a/..b/c": false, "/a/b..": false, "": false, "/%2e%2ea": false,
	} {
		if leaves(path) != want {
			t.Errorf("%s leaves its folder: %v", path, !want)
		}
	}
}

// Explain tells what would be sent unasked, and takes nothing for that.
func TestExplainCredentials(t *testing.T) {
	l, h := pipeline(t, noTask, "http://127.0.0.1/")
	explained := func(address, field string) string {
		req, err := protocols.NewRequest("GET", address, nil)
		if err != nil {
			t.Fatal(err)
		}
		if field != "" {
			req.Header = http.Header{"Authorization": {field}}
		}
		steps, err := l.engine.Explain(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range steps {
			if s.Stage == "credentials" {
				return s.Verdict
			}
		}

		return ""
	}
	if got := explained("http://127.0.0.1/", ""); got != "none is sent unasked" {
		t.Error(got)
	}
	_, a := place("http://127.0.0.1/", "realm")
	l.remember(h, a)
	for address, want := range map[string]string{
		"http://127.0.0.1/": `sent unasked: HTTPBasic, which let the session into the realm "realm"`, "http://127.0.0.2/": "none is sent unasked",
		"http://u:secret@127.0.0.2/": "the URL's, if it is asked for",
	} {
		if got := explained(address, ""); got != want {
			t.Errorf("%s: %s", address, got)
		}
	}
	if got := explained("http://127.0.0.1/", "Basic c2VjcmV0"); got != "the request's own Authorization is sent" {
		t.Error(got)
	}
	k := l.engine.known.add(&known{origin: originOf(h), space: protocols.ProtectionSpace{Method: protocols.MethodNTLM}, credential: a.credential, free: []string{"one"}})
	l.engine.known.mu.Lock()
	l.engine.known.byOrigin[k.origin] = []*known{k}
	l.engine.known.mu.Unlock()
	if got := explained("http://127.0.0.1/", ""); got != "NTLM let a connection in, which is used again" || len(k.free) != 1 {
		t.Error(got, k.free)
	}
}

// Of spaces one within another the inner one is entered; of those at one place that
// which let the session in last.
func TestSpaceWithinAnother(t *testing.T) {
	l, _ := pipeline(t, noTask, "http://a.example/")
	at := func(address string) *hop {
		req, err := protocols.NewRequest("GET", address, nil)
		if err != nil {
			t.Fatal(err)
		}

		return l.next(t, req)
	}
	for _, known := range [][2]string{{"http://a.example/b/", "old"}, {"http://a.example/b/", "inner"}, {"http://a.example/", "outer"}} {
		_, a := place(known[0], known[1])
		l.remember(at(known[0]), a)
	}
	for address, want := range map[string]string{"http://a.example/b/x": "inner", "http://a.example/x": "outer", "http://a.example": "outer"} {
		if a := l.recall(at(address)); a == nil || a.space.Realm != want {
			t.Errorf("%s: %+v", address, a)
		}
	}
}
