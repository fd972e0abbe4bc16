package callback_test

import (
	"context"
	"testing"

	"github.com/urlkit/urlkit/internal/engine"
	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/protocols/callback"
	"github.com/urlkit/urlkit/registry"
)

// asks is a protocol that asks one question, and answers with the name of the
// Sender's function that was called.
type asks struct{ client *callback.Client }

func (a *asks) StartLoading() {
	a.client.DidReceiveChallenge(&protocols.Challenge{
		Space: protocols.ProtectionSpace{Host: "host", Port: 1, Realm: "r", Method: protocols.MethodHTTPBasic},
	}, saying(a.client))
}

func (a *asks) StopLoading() {}

// What a delegate of a session answers reaches the Sender's function of that name.
func TestAnswersOfASession(t *testing.T) {
	leak.Check(t)
	scheme := callback.Scheme("asks", callback.Class{
		New: func(_ *protocols.Request, _ *callback.CachedResponse, c *callback.Client) callback.Protocol {
			return &asks{c}
		},
	})
	scheme.Security = protocols.Local
	e, err := engine.New(engine.Config{Registry: registry.New(scheme)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = e.Close() }()
	for disposition, want := range map[protocols.Disposition]string{
		protocols.RejectProtectionSpace:  "reject",
		protocols.PerformDefaultHandling: "continue",
		protocols.UseCredential:          "use u",
	} {
		asked := 0
		resp, err := e.Load(t.Context(), request(t, "GET", "asks://host/"), &engine.Task{
			Challenge: func(context.Context, *protocols.Challenge) (protocols.Disposition, *protocols.Credential) {
				asked++

				return disposition, &protocols.Credential{User: "u", Password: "p"}
			},
		})
		if err != nil {
			t.Errorf("%s: %v", want, err)

			continue
		}
		if o := finish(resp, err); o.body != want || o.err != nil || asked != 1 {
			t.Errorf("%q, %v, asked %d times; want %q", o.body, o.err, asked, want)
		}
	}
}
