package engine_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"

	"github.com/urlkit/urlkit/internal/engine"
	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/proxy"
)

// A mock of a secure scheme that forgot its declaration is told about that, not
// about exceptions from the policy.
func TestMockWithoutADeclaration(t *testing.T) {
	mock := answersWith(reply(200, ""))
	for _, name := range []string{"https", "wss"} {
		e := open(t, engine.Config{}, scheme(name, protocols.Cleartext, mock))
		_, _, err := fetch(e, request(t, "GET", name+"://public.example/"), nil)
		got := failure(t, err, protocols.AppTransportSecurityRequiresSecureConnection)
		if !contains(got.Error(), "declares itself cleartext: declare Encrypted, or Local") || contains(got.Error(), "AllowsInsecureHTTPLoads") {
			t.Errorf("%s: %v", name, got)
		}
		e = open(t, engine.Config{}, scheme(name, protocols.Local, mock))
		if _, _, err := fetch(e, request(t, "GET", name+"://public.example/"), nil); err != nil {
			t.Errorf("%s, declared: %v", name, err)
		}
	}
	_, _, err := fetch(open(t, engine.Config{}, scheme("http", protocols.Cleartext, mock)), request(t, "GET", "http://public.example/"), nil)
	if got := failure(t, err, protocols.AppTransportSecurityRequiresSecureConnection); contains(got.Error(), "declare") || !contains(got.Error(), "AllowsInsecureHTTPLoads") {
		t.Errorf("http: %v", got)
	}
}

// Explain fails as Load would, and says of each stage one thing.
func TestExplainRefuses(t *testing.T) {
	e := open(t, engine.Config{}, scheme("https", protocols.Encrypted, stalls), scheme("http", protocols.Cleartext, stalls))
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errWhy)
	steps, err := e.Explain(ctx, request(t, "GET", "https://a.example/"))
	if failure(t, err, protocols.Cancelled); len(steps) != 0 || !errors.Is(err, context.Canceled) || !errors.Is(err, errWhy) {
		t.Errorf("with an ended context: %v, %v", steps, err)
	}
	for url, want := range map[string]string{"http://public.example/": "gate", "gopher://public.example/": "lookup"} {
		steps, err = e.Explain(t.Context(), request(t, "GET", url))
		refusals := 0
		for _, step := range steps {
			if step.Stage == want {
				refusals++
			}
		}
		if refusals != 1 || steps[len(steps)-1].Stage != want || steps[len(steps)-1].Verdict != err.Error() {
			t.Errorf("%s: %v\n%s", url, err, explained(steps))
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	steps, err = e.Explain(t.Context(), request(t, "GET", "https://a.example/"))
	if failure(t, err, protocols.Cancelled); len(steps) != 0 || !errors.Is(err, engine.ErrInvalidated) {
		t.Errorf("after Close: %v, %v", steps, err)
	}
}

// resolver answers every lookup with one error.
type resolver struct{ err error }

func (r resolver) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	return nil, r.err
}

// The dialer knows why it failed.
func TestDialErrorsKeepTheirCode(t *testing.T) {
	leak.Check(t)
	plain := errors.New("the resolver is out of order")
	tests := map[string]struct {
		url      string
		resolver proxy.Resolver
		code     protocols.Code
		is       error
	}{
		"a port that is none":       {"http://127.0.0.1:99999/", nil, protocols.BadURL, nil},
		"a resolver that fails":     {"http://name.local/", resolver{plain}, protocols.DNSLookupFailed, plain},
		"a resolver without answer": {"http://name.local/", resolver{&net.DNSError{IsNotFound: true}}, protocols.CannotFindHost, nil},
		"nobody listens":            {"http://" + refusedPort(t) + "/", nil, protocols.CannotConnectToHost, nil},
	}
	for name, tt := range tests {
		e := open(t, engine.Config{Dialer: &proxy.Dialer{Resolver: tt.resolver}}, scheme("http", protocols.Cleartext, dialsOnce("", false)))
		_, _, err := fetch(e, request(t, "GET", tt.url), nil)
		got := failure(t, err, tt.code)
		var dial *proxy.DialError
		if got.Phase != "connect" || !errors.As(err, &dial) || tt.is != nil && !errors.Is(err, tt.is) {
			t.Errorf("%s: phase %q, %v", name, got.Phase, err)
		}
		if retryable := tt.code != protocols.BadURL; got.Retryable() != retryable {
			t.Errorf("%s: Retryable %v", name, got.Retryable())
		}
	}
}
