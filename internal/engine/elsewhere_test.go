package engine_test

import (
	"context"
	"testing"

	"github.com/urlkit/urlkit/internal/engine"
	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/storage"
	"github.com/urlkit/urlkit/storage/cookie"
)

// An interceptor that sends its request to another host, and keeps cookies off,
// takes along neither the stored cookie nor the answer to the challenge.
func TestInterceptorTakesNoSecretsElsewhere(t *testing.T) {
	for _, host := range []string{"a.example", "mirror.example"} {
		store := cookie.NewStore()
		store.StoreCookies(&storage.CookieQuery{URL: request(t, "GET", "https://a.example/").URL}, []string{"secret=1"})
		var got []seen
		var outer []seen
		interceptor := claimer(protocols.Local, func(ctx context.Context, c protocols.Client, req *protocols.Request) (*protocols.Response, error) {
			outer = append(outer, see(t, req))
			inner := req.Clone()
			inner.URL.Host, inner.OmitsCookies = host, true

			return c.Load(ctx, inner)
		})
		e := open(t, engine.Config{Cookies: store}, interceptor, redirector(t, &got, func(n int) *protocols.Response {
			if n == 0 {
				return reply(401, "", "Www-Authenticate", `Basic realm="r"`)
			}

			return reply(200, "in")
		}))
		var asked []protocols.Challenge
		body, _, err := fetch(e, request(t, "GET", "https://a.example/", "X-Kept", "1"), answering(&asked,
			func(int) (protocols.Disposition, *protocols.Credential) {
				return protocols.UseCredential, &protocols.Credential{User: "u", Password: "p"}
			}))
		if err != nil || body != "in" || len(got) != 2 || len(outer) != 2 {
			t.Fatalf("%s: %q, %v, %d loads", host, body, err, len(got))
		}
		if h := outer[1].Header; h.Get("Authorization") != basic("u", "p") || h.Get("Cookie") != "secret=1" || outer[1].Credential == nil {
			t.Errorf("%s: the interceptor got %v", host, h)
		}
		same := host == "a.example"
		for i, g := range got {
			answered := same && i == 1
			if g.Header.Get("Authorization") != "" != answered || g.Credential != nil != answered || (g.Header.Get("Cookie") != "") != same {
				t.Errorf("%s: load %d got %v and the credential %v", host, i, g.Header, g.Credential)
			}
			if g.Header.Get("X-Kept") != "1" {
				t.Errorf("%s: load %d got %v", host, i, g.Header)
			}
		}
	}
}
