package conformance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/urlkit/urlkit/internal/engine"
	"github.com/urlkit/urlkit/protocols"
)

var resultRows = []Row{
	{
		Name: "one-result", Clause: 1, need: needContent, run: oneResult,
		Why: "with both, one of the two is lost and its connection leaks; with neither, there is nothing to report",
	},
	{
		Name: "own-response", Clause: 1, need: needContent, run: ownResponse,
		Why: "the session puts its own body into a response: one that is given twice changes in the hands of who has it",
	},
	{
		Name: "missing", Clause: 13, need: needMissing, run: missing,
		Why: "a status that comes as an error loses its header and body; a miss that looks like success is worse",
	},
	{
		Name: "redirect", Clause: 8, need: needRedirect, run: redirect,
		Why: "a redirect that a protocol follows by itself escapes policy, the delegate and the limit",
	},
	{
		Name: "challenge", Clause: 8, need: needChallenge, run: challenge,
		Why: "the session holds the credentials: what is not told to it cannot be answered",
	},
	{
		Name: "connection", Clause: 14, need: needConnection, run: connection,
		Why: "two readers of one connection steal each other's bytes, and one that ignores ctx is never released",
	},
}

// probes are requests with all the outcomes that the fixture has.
func (r *rig) probes() ([]*protocols.Request, error) {
	contents := append([]Content(nil), r.fixture.Content...)
	for _, u := range []string{r.fixture.Missing, r.fixture.Redirect, r.fixture.Challenge.URL} {
		if u != "" {
			contents = append(contents, Content{URL: u})
		}
	}
	var reqs []*protocols.Request
	for i := range contents {
		req, err := r.ask(&contents[i])
		if err != nil {
			return nil, err
		}
		reqs = append(reqs, req)
	}
	if r.network() {
		req, err := r.astray()
		if err != nil {
			return nil, err
		}
		reqs = append(reqs, req)
	}

	return reqs, nil
}

func oneResult(ctx context.Context, r *rig) error {
	reqs, err := r.probes()
	if err != nil {
		return err
	}
	s, err := r.session(nil)
	if err != nil {
		return err
	}
	for _, req := range reqs {
		o := s.load(ctx, req)
		c := o.call
		switch {
		case c == nil:
			return fmt.Errorf("%s: the protocol was not asked: %w", req, o.err)
		case c.panicked != nil:
			return fmt.Errorf("%s: Load panicked: %v", req, c.panicked)
		case c.nothing && c.err == nil:
			return fmt.Errorf("%s: Load returned neither a response nor an error", req)
		case !c.nothing && c.err != nil:
			return fmt.Errorf("%s: Load returned a response and an error: %w", req, c.err)
		}
	}

	return nil
}

func ownResponse(ctx context.Context, r *rig) error {
	req, err := r.ask(r.medium())
	if err != nil {
		return err
	}
	s, err := r.session(nil)
	if err != nil {
		return err
	}
	seen := make(map[*protocols.Response]bool)
	for range 3 {
		o := s.load(ctx, req)
		if o.err != nil {
			return o.err
		}
		if seen[o.call.given] {
			return errors.New("a response is returned that another load has returned before")
		}
		seen[o.call.given] = true
	}

	return nil
}

func missing(ctx context.Context, r *rig) error {
	s, err := r.session(nil)
	if err != nil {
		return err
	}
	req, err := r.request("", r.fixture.Missing, nil)
	if err != nil {
		return err
	}
	run := s.run(ctx, req)
	if err := r.await(run.done); err != nil {
		return fmt.Errorf("the load of what does not exist: %w", err)
	}
	want := r.fixture.MissingStatus
	switch c := run.call; {
	case c == nil:
		return fmt.Errorf("the protocol was not asked: %w", run.err)
	case want != 0 && c.err != nil:
		return fmt.Errorf("status %d is to be a response and came as an error: %w", want, c.err)
	case want != 0 && c.resp.StatusCode != want:
		return fmt.Errorf("the status is %d and should be %d", c.resp.StatusCode, want)
	case want == 0 && run.err == nil && c.resp.OK():
		return errors.New("what does not exist was loaded with success")
	}

	return nil
}

func redirect(ctx context.Context, r *rig) error {
	s, err := r.session(nil)
	if err != nil {
		return err
	}
	req, err := r.request("", r.fixture.Redirect, nil)
	if err != nil {
		return err
	}
	o := s.load(ctx, req)
	if o.err != nil {
		return fmt.Errorf("a redirect is no error: %w", o.err)
	}
	var target *url.URL
	resp := &o.call.resp
	switch {
	case resp.Redirect != nil:
		target = resp.Redirect.URL
	case isHTTPRedirect(resp.StatusCode) && resp.Header.Get("Location") != "":
		if target, err = req.URL.Parse(resp.Header.Get("Location")); err != nil {
			return fmt.Errorf("the Location field: %w", err)
		}
	default:
		return fmt.Errorf("the response (status %d) names no redirect: was it followed?", resp.StatusCode)
	}
	if !sameURL(target, r.fixture.Target) {
		return fmt.Errorf("the redirect leads to %s, not to Fixture.Target", protocols.Redact(target))
	}

	return nil
}

func challenge(ctx context.Context, r *rig) error {
	s, err := r.session(nil)
	if err != nil {
		return err
	}
	content := &r.fixture.Challenge
	req, err := r.ask(content)
	if err != nil {
		return err
	}
	o := s.load(ctx, req)
	asked := s.spy.calls(clientAuthenticate) > 0
	switch {
	case asked:
	case o.err != nil:
		return fmt.Errorf("a challenge is no error: %w", o.err)
	case len(o.call.resp.Challenges) == 0 && o.call.resp.StatusCode != http.StatusUnauthorized:
		return fmt.Errorf("the response (status %d) to a load without a credential holds no challenge", o.call.resp.StatusCode)
	}
	if r.fixture.Credential == nil {
		return nil
	}
	if s, err = r.session(nil); err != nil {
		return err
	}
	o = s.start(ctx, req, &engine.Task{
		Challenge: func(_ context.Context, c *protocols.Challenge) (protocols.Disposition, *protocols.Credential) {
			if c.PreviousFailureCount > 0 {
				return protocols.CancelAuthenticationChallenge, nil
			}

			return protocols.UseCredential, r.fixture.Credential
		},
	})
	o.finish()
	if o.err != nil {
		return fmt.Errorf("with Fixture.Credential: %w", o.err)
	}
	if !o.resp.OK() || o.length != content.size() {
		return fmt.Errorf("with Fixture.Credential: status %d and %d bytes, not %d", o.resp.StatusCode, o.length, content.size())
	}

	return nil
}

func connection(ctx context.Context, r *rig) error {
	s, err := r.session(nil)
	if err != nil {
		return err
	}
	req, err := r.request("", r.fixture.Connection, nil)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	o := s.start(ctx, req, oneHop)
	if o.err != nil {
		return o.err
	}
	if (o.resp.Upgraded == nil) == (o.resp.Messages == nil) {
		return errors.New("the response has not exactly one of Upgraded and Messages")
	}
	if b := o.call.body; b != nil {
		var n int
		var end error
		if err := r.within(func() { n, end = b.ReadCloser.Read(make([]byte, 1)) }); err != nil || n > 0 || !errors.Is(end, io.EOF) {
			return errors.New("the Body of a response that is a connection is not empty")
		}
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		o.receive(ctx)
	}()
	cancel()
	if err := r.await(ended); err != nil {
		return fmt.Errorf("a reader of the connection when ctx ended: %w", err)
	}

	return nil
}

// receive reads from a connection until it ends.
func (o *outcome) receive(ctx context.Context) {
	if m := o.resp.Messages; m != nil {
		for err := error(nil); err == nil; {
			_, _, err = m.Receive(ctx)
		}

		return
	}
	_, _ = io.Copy(io.Discard, o.resp.Upgraded)
}
