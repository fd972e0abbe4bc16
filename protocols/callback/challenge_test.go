package callback_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/protocols/callback"
)

// saying is a Sender that answers the load with the name of what was called.
func saying(c *callback.Client) callback.Sender {
	say := func(text string) {
		c.DidReceive(reply(), 0)
		go func() { // from a goroutine of its own: the executor is the author's no longer than needed
			c.DidLoad([]byte(text))
			c.DidFinishLoading()
		}()
	}

	return callback.Sender{
		Use:                              func(cred *protocols.Credential) { say("use " + cred.User) },
		ContinueWithoutCredential:        func() { say("continue") },
		PerformDefaultHandling:           func() { say("default") },
		RejectProtectionSpaceAndContinue: func() { say("reject") },
	}
}

func answering(credential *protocols.Credential, err error) protocols.Client {
	return session{authenticate: func(_ context.Context, c *protocols.Challenge) (*protocols.Credential, error) {
		if c != question {
			return nil, fmt.Errorf("challenge %+v", c)
		}

		return credential, err
	}}
}

// errCancelled is how a session says that a challenge was cancelled.
var errCancelled = protocols.Errorf(protocols.Cancelled, "the challenge was cancelled")

func TestAnswers(t *testing.T) {
	someone := &protocols.Credential{User: "someone", Password: "secret"}
	tests := []struct {
		name    string
		session protocols.Client
		body    string
		err     error
	}{
		{"use", answering(someone, nil), "use someone", nil},
		{"continue", answering(nil, nil), "continue", nil},
		{"reject", answering(nil, protocols.UserAuthenticationRequired), "reject", nil},
		{"nobody to ask", nil, "default", nil},
		{"cancel", answering(nil, errCancelled), "", protocols.Cancelled},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			o := load(t, "GET", test.session, func(c *callback.Client) { c.DidReceiveChallenge(question, saying(c)) })
			if o.body != test.body || !errors.Is(o.err, test.err) || o.stops != 1 {
				t.Errorf("body %q, error %v, StopLoading %d times", o.body, o.err, o.stops)
			}
		})
		t.Run(test.name+" with no function for it", func(t *testing.T) {
			o := load(t, "GET", test.session, func(c *callback.Client) { c.DidReceiveChallenge(question, callback.Sender{}) })
			want := test.err
			if want == nil {
				want = protocols.UserAuthenticationRequired
			}
			if !errors.Is(o.err, want) || o.stops != 1 {
				t.Errorf("error %v, want %v", o.err, want)
			}
		})
	}
	t.Run("the next best", func(t *testing.T) {
		for _, test := range tests[:4] {
			o := load(t, "GET", test.session, func(c *callback.Client) {
				c.DidReceiveChallenge(question, callback.Sender{ContinueWithoutCredential: saying(c).ContinueWithoutCredential})
			})
			if o.body != "continue" || o.err != nil {
				t.Errorf("%s: body %q, error %v", test.name, o.body, o.err)
			}
		}
	})
}

func TestFailureInAnAnswer(t *testing.T) {
	t.Run("the author's word on a cancel", func(t *testing.T) {
		o := load(t, "GET", answering(nil, errCancelled), func(c *callback.Client) {
			c.DidReceiveChallenge(question, callback.Sender{Cancel: func() { c.DidFail(errAuthor) }})
		})
		if !errors.Is(o.err, errAuthor) || errors.Is(o.err, protocols.Cancelled) {
			t.Errorf("error %v", o.err)
		}
	})
	t.Run("a panic in the answer", func(t *testing.T) {
		o := load(t, "GET", answering(nil, nil), func(c *callback.Client) {
			c.DidReceiveChallenge(question, callback.Sender{ContinueWithoutCredential: func() { panic("oops") }})
		})
		var p *callback.PanicError
		if !errors.As(o.err, &p) || o.stops != 1 {
			t.Errorf("error %v", o.err)
		}
	})
}

// Several challenges follow one another, the answer of one asking the next.
func TestChallengeAfterChallenge(t *testing.T) {
	var asked atomic.Int32
	s := session{authenticate: func(context.Context, *protocols.Challenge) (*protocols.Credential, error) {
		return &protocols.Credential{User: fmt.Sprint(asked.Add(1))}, nil
	}}
	o := load(t, "GET", s, func(c *callback.Client) {
		c.DidReceiveChallenge(question, callback.Sender{Use: func(*protocols.Credential) {
			c.DidReceiveChallenge(other, saying(c))
		}})
	})
	if o.body != "use 2" || o.err != nil {
		t.Errorf("got %+v", o)
	}
}

// A withdrawn challenge ends the question, its answer is dropped even if it has
// come already, and the load goes on.
func TestWithdrawnChallenge(t *testing.T) {
	var running, most, withdrawn atomic.Int32
	s := session{authenticate: func(ctx context.Context, c *protocols.Challenge) (*protocols.Credential, error) {
		most.Store(max(most.Load(), running.Add(1)))
		defer running.Add(-1)
		if c == other {
			return nil, nil
		}
		<-ctx.Done()
		withdrawn.Add(1)

		return &protocols.Credential{User: "too late"}, nil
	}}
	o := load(t, "GET", s, func(c *callback.Client) {
		for range 3 {
			c.DidReceiveChallenge(question, saying(c))
			synctest.Wait()
			c.DidCancelChallenge(question)
			c.DidCancelChallenge(question) // withdrawn already: no mistake
		}
		c.DidReceiveChallenge(other, saying(c))
	})
	if o.body != "continue" || o.err != nil || most.Load() != 1 || withdrawn.Load() != 3 {
		t.Errorf("got %+v; %d questions at once, %d withdrawn", o, most.Load(), withdrawn.Load())
	}
	t.Run("answered already", func(t *testing.T) {
		o := load(t, "GET", answering(nil, nil), func(c *callback.Client) {
			c.DidReceiveChallenge(question, saying(c))
			synctest.Wait() // the answer waits for StartLoading to return
			c.DidCancelChallenge(question)
			c.DidFail(errAuthor)
		})
		if !errors.Is(o.err, errAuthor) || errors.Is(o.err, protocols.BadServerResponse) {
			t.Errorf("error %v", o.err)
		}
	})
}
