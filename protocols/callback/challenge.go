package callback

import (
	"context"
	"errors"

	"github.com/urlkit/urlkit/protocols"
)

// Sender is what the answer to a challenge calls (Apple's
// URLAuthenticationChallengeSender), one function once, after StartLoading has
// returned and before StopLoading. For a function that is nil the next best one is
// called, as its comment says. The zero value fails the load at the first answer.
type Sender struct {
	// Use goes on with a credential, which is never nil. nil: as
	// ContinueWithoutCredential.
	Use func(*protocols.Credential)
	// ContinueWithoutCredential goes on without one. nil: the load fails with
	// UserAuthenticationRequired.
	ContinueWithoutCredential func()
	// PerformDefaultHandling is for a protocol without a session to ask. nil: as
	// ContinueWithoutCredential.
	PerformDefaultHandling func()
	// RejectProtectionSpaceAndContinue passes to the next space that the peer
	// offered. nil: as ContinueWithoutCredential.
	RejectProtectionSpaceAndContinue func()
	// Cancel is told that the challenge was cancelled; after it the load fails with
	// the session's error, unless the protocol failed it with its own. nil: the
	// load fails.
	Cancel func()
}

// question is an outstanding challenge.
type question struct {
	challenge *protocols.Challenge
	cancel    context.CancelFunc
}

// DidReceiveChallenge asks the session for a credential, before the response; the
// answer comes by sender. Until then no other call is allowed but
// DidCancelChallenge. StartLoading must not wait for the answer, which comes only
// after it: a protocol that wants to wait asks Session().Authenticate.
func (c *Client) DidReceiveChallenge(challenge *protocols.Challenge, sender Sender) {
	c.mu.Lock()
	err := c.order("DidReceiveChallenge", waiting)
	if err == nil && challenge == nil {
		err = misuse("DidReceiveChallenge gives no challenge")
	}
	if err != nil {
		c.mu.Unlock()
		c.end(err)

		return
	}
	ctx, cancel := context.WithCancel(c.ctx)
	q := &question{challenge: challenge, cancel: cancel}
	before := c.asked // a session is asked one question of a load at a time
	c.asked = make(chan struct{})
	go c.ask(ctx, q, sender, before, c.asked)
	c.question = q
	c.mu.Unlock()
}

// DidCancelChallenge withdraws the outstanding challenge: its answer is dropped.
// One that was answered meanwhile is no mistake; another than the outstanding one
// is.
func (c *Client) DidCancelChallenge(challenge *protocols.Challenge) {
	c.mu.Lock()
	q := c.question
	wrong := q != nil && q.challenge != challenge
	if q != nil && !wrong {
		c.question = nil
	}
	c.mu.Unlock()
	switch {
	case wrong:
		c.end(misuse("DidCancelChallenge names another challenge than the outstanding one"))
	case q != nil:
		q.cancel()
	}
}

// ask waits for the session's answer.
func (c *Client) ask(ctx context.Context, q *question, sender Sender, before <-chan struct{}, done chan<- struct{}) {
	defer close(done)
	defer q.cancel()
	if before != nil {
		<-before // it was answered, or withdrawn and is about to return
	}
	if ctx.Err() != nil {
		return
	}
	if c.session == nil {
		c.executor.run(func() { c.answer(q, sender, nil, errors.ErrUnsupported) })

		return
	}
	credential, err := c.session.Authenticate(ctx, q.challenge)
	c.executor.run(func() { c.answer(q, sender, credential, err) })
}

// answer hands an answer to the author, on the executor, unless the challenge was
// withdrawn or the load has ended.
func (c *Client) answer(q *question, sender Sender, credential *protocols.Credential, err error) {
	c.mu.Lock()
	current := c.question == q
	if current {
		c.question = nil
	}
	c.mu.Unlock()
	if !current {
		return
	}
	guard("the Sender", func() { c.send(sender, credential, err) }, c.end)
}

func (c *Client) send(sender Sender, credential *protocols.Credential, err error) {
	next := sender.ContinueWithoutCredential
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		next = first(sender.PerformDefaultHandling, next)
	case errors.Is(err, protocols.UserAuthenticationRequired):
		next = first(sender.RejectProtectionSpaceAndContinue, next)
	case err != nil:
		if sender.Cancel != nil {
			sender.Cancel()
		}
		c.end(err)

		return
	case credential != nil && sender.Use != nil:
		sender.Use(credential)

		return
	}
	if next == nil {
		c.end(protocols.Errorf(protocols.UserAuthenticationRequired, "callback: the challenge was answered and the Sender has no function for it"))

		return
	}
	next()
}

// first is f, or g if f is nil.
func first(f, g func()) func() {
	if f != nil {
		return f
	}

	return g
}
