package conformance

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/urlkit/urlkit/internal/fault"
	"github.com/urlkit/urlkit/protocols"
)

var policyRows = []Row{
	{
		Name: "through-client", Clause: 9, need: needContent | needNetwork, run: throughClient,
		Why: "a connection that the session does not make escapes policy, proxy, address guard and metrics",
	},
	{
		Name: "local", Clause: 9, need: needContent, run: local,
		Why: "a scheme that says Local is not asked about by App Transport Security",
	},
	{
		Name: "encrypted", Clause: 10, need: needContent | needNetwork, run: encrypted,
		Why: "a scheme that says Encrypted is trusted with what must not be read on the way",
	},
	{
		Name: "claims", Clause: 16, need: needContent, run: claims,
		Why: "Claims is asked for every load of the session, by many goroutines, before anything is decided",
	},
	{
		Name: "unwrap", Clause: 19, need: needContent, run: unwrap,
		Why: "a capability that a wrapper hides is lost: idle connections stay open, claims are not asked",
	},
}

func throughClient(ctx context.Context, r *rig) error {
	clean, err := r.clean(ctx, r.main())
	if err != nil {
		return err
	}
	if s := clean.session; s.dialer.dialled() == 0 && s.spy.calls(clientLoad) == 0 {
		return errors.New("the load succeeded without a connection from Client (a scheme without network says Local)")
	}
	s, err := r.session(always(fault.Fault{Kind: fault.Deny}))
	if err != nil {
		return err
	}
	if o := s.load(ctx, clean.request); o.err == nil {
		return errors.New("the load succeeded although every connection was refused")
	}

	return nil
}

func local(ctx context.Context, r *rig) error {
	if r.harness.Scheme.Security != protocols.Local {
		return notApplicable("the scheme is not Local")
	}
	reqs, err := r.probes()
	if err != nil {
		return err
	}
	s, err := r.session(nil)
	if err != nil {
		return err
	}
	for _, req := range reqs {
		s.load(ctx, req)
		for _, method := range []string{clientDial, clientDialPacket} {
			if s.spy.calls(method) > 0 {
				return fmt.Errorf("%s: a Local scheme called Client.%s", req, method)
			}
		}
	}

	return nil
}

func encrypted(ctx context.Context, r *rig) error {
	security := r.harness.Scheme.Security
	if security != protocols.Encrypted && security != protocols.Upgrades {
		return notApplicable("the scheme is neither Encrypted nor Upgrades")
	}
	reqs, err := r.probes()
	if err != nil {
		return err
	}
	s, err := r.session(nil)
	if err != nil {
		return err
	}
	for _, req := range reqs {
		s.load(ctx, req)
		s.spy.mu.Lock()
		refused := s.spy.refused
		s.spy.mu.Unlock()
		if refused != nil {
			return fmt.Errorf("%s: %w", req, refused)
		}
	}

	return nil
}

func claims(ctx context.Context, r *rig) error {
	s, err := r.session(nil)
	if err != nil {
		return err
	}
	claimer, ok := protocols.As[protocols.Claimer](s.spy)
	if !ok {
		return notApplicable("the protocol is no Claimer")
	}
	for i := range r.fixture.Content {
		c := &r.fixture.Content[i]
		src := &source{data: []byte("nobody reads this")}
		req, err := r.request(c.Method, c.URL, src.body())
		if err != nil {
			return err
		}
		was := &call{request: req, before: req.Clone(), sent: *req.Body}
		first := claimer.Claims(req)
		var wg sync.WaitGroup
		answers := make([]bool, 8)
		for i := range answers {
			wg.Go(func() { answers[i] = claimer.Claims(req) })
		}
		wg.Wait()
		for _, again := range answers {
			if again != first {
				return fmt.Errorf("%s: Claims gave different answers to the same question", req)
			}
		}
		if opened, _ := src.readers(); opened > 0 {
			return fmt.Errorf("%s: Claims opened the request's body", req)
		}
		if err := was.changed(); err != nil {
			return fmt.Errorf("%s: Claims: %w", req, err)
		}
	}

	return ctx.Err()
}

func unwrap(_ context.Context, r *rig) error {
	s, err := r.session(nil)
	if err != nil {
		return err
	}
	wrapper, ok := s.spy.inner.(protocols.Wrapper)
	if !ok {
		return notApplicable("the protocol wraps no other (it has no Unwrap)")
	}
	for depth := 0; ok; depth++ {
		inner := wrapper.Unwrap()
		if inner == nil {
			return fmt.Errorf("Unwrap of %T gave nil", wrapper)
		}
		wrapper, ok = inner.(protocols.Wrapper)
	}

	return nil
}
