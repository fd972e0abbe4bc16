package engine_test

import (
	"context"
	"net"
	"testing"

	"github.com/urlkit/urlkit/internal/engine"
	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/protocols"
)

// refusedPort is an address on loopback where nobody listens.
func refusedPort(t testing.TB) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()

	return ln.Addr().String()
}

// dialsPath answers with what the path asks for: "/dial" dials its own host,
// "/303" and "/401" are statuses, and a credential is answered by dialling.
func dialsPath(refused string) loading {
	return func(ctx context.Context, c protocols.Client, req *protocols.Request) (*protocols.Response, error) {
		switch path := req.URL.Path; {
		case path == "/303":
			return reply(303, "", "Location", "http://"+refused+"/dial"), nil
		case path == "/401" && req.Credential == nil:
			return reply(401, "", "Www-Authenticate", `Basic realm="r"`), nil
		case path == "/ok":
			return reply(200, "fine"), nil
		}
		_, err := c.Dial(ctx, "tcp", refused)

		return nil, err
	}
}

// composing loads URLs through the session, one after the other, and then dials.
func composing(t testing.TB, refused string, dials bool, urls ...string) protocols.Scheme {
	return scheme("composed", protocols.Cleartext, func(ctx context.Context, c protocols.Client, _ *protocols.Request) (resp *protocols.Response, err error) {
		for _, u := range urls {
			if resp, err = c.Load(ctx, request(t, "POST", u)); err != nil {
				return nil, err
			}
			_ = resp.Body.Close()
		}
		if dials {
			_, err = c.Dial(ctx, "tcp", refused)
		}

		return nil, err
	})
}

// A load that fails to connect can be sent again, unless it was answered before.
func TestRetryable(t *testing.T) {
	leak.Check(t)
	refused := refusedPort(t)
	const origin = "http://127.0.0.1:1"
	tests := map[string]struct {
		url       string
		dials     bool
		inner     []string
		retryable bool
	}{
		"refused at once":                        {url: origin + "/dial", retryable: true},
		"after a 303":                            {url: origin + "/303"},
		"after a challenge":                      {url: origin + "/401"},
		"the one inner load is refused":          {url: "composed://127.0.0.1/", inner: []string{origin + "/dial"}, retryable: true},
		"the second of two inner loads":          {url: "composed://127.0.0.1/", inner: []string{origin + "/ok", origin + "/dial"}},
		"the protocol's own, after an inner one": {url: "composed://127.0.0.1/", inner: []string{origin + "/ok"}, dials: true},
		"the protocol's own":                     {url: "composed://127.0.0.1/", dials: true, retryable: true},
	}
	for name, tt := range tests {
		e := open(t, engine.Config{}, scheme("http", protocols.Cleartext, dialsPath(refused)), composing(t, refused, tt.dials, tt.inner...))
		var asked []protocols.Challenge
		req := request(t, "POST", tt.url)
		req.Body = protocols.StringBody("payload")
		_, _, err := fetch(e, req, answering(&asked, func(int) (protocols.Disposition, *protocols.Credential) {
			return protocols.UseCredential, &protocols.Credential{User: "u", Password: "p"}
		}))
		got := failure(t, err, protocols.CannotConnectToHost)
		if got.Retryable() != tt.retryable || got.Answered == tt.retryable {
			t.Errorf("%s: Retryable %v, Answered %v, want %v: %v", name, got.Retryable(), got.Answered, tt.retryable, err)
		}
	}
}

// Nor does the session itself send again what was answered inside.
func TestNoReplayAfterAnInnerAnswer(t *testing.T) {
	answered := 0
	inner := scheme("https", protocols.Encrypted, func(context.Context, protocols.Client, *protocols.Request) (*protocols.Response, error) {
		answered++

		return reply(200, ""), nil
	})
	composed := scheme("composed", protocols.Local, func(ctx context.Context, c protocols.Client, _ *protocols.Request) (*protocols.Response, error) {
		if _, err := c.Load(ctx, request(t, "POST", "https://a.example/")); err != nil {
			return nil, err
		}

		return nil, protocols.ErrNotSent // of what it sent itself
	})
	_, _, err := fetch(open(t, engine.Config{}, inner, composed), request(t, "POST", "composed:x"), nil)
	if got := failure(t, err, protocols.NetworkConnectionLost); answered != 1 || got.Retryable() {
		t.Errorf("the inner load was sent %d times; Retryable %v", answered, got.Retryable())
	}
}
