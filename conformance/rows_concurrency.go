package conformance

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/urlkit/urlkit/internal/engine"
	"github.com/urlkit/urlkit/protocols"
)

var concurrencyRows = []Row{
	{
		Name: "concurrent", Clause: 7, need: needContent, run: concurrent,
		Why: "a session has one instance of a protocol for all of its tasks",
	},
	{
		Name: "independent", Clause: 7, need: needContent | needParallel, run: independent,
		Why: "one task that is suspended must not stop the others",
	},
	{
		Name: "unlocked", Clause: 18, need: needContent | needParallel, run: unlocked,
		Why: "the session may ask a person in there: a lock held meanwhile stops every load, or waits for itself",
	},
	{
		Name: "untraced", Clause: 18, need: needContent, run: untraced,
		Why: "where nobody asks, an interim response is not worth its allocation",
	},
}

func concurrent(ctx context.Context, r *rig) error {
	const each = 6
	var want []*clean
	for i := range r.fixture.Content {
		c, err := r.clean(ctx, &r.fixture.Content[i])
		if err != nil {
			return err
		}
		want = append(want, c)
	}
	s, err := r.session(nil)
	if err != nil {
		return err
	}
	s.dialer.hold = pairs()
	var wg sync.WaitGroup
	errs := make([]error, each*len(want))
	for i := range errs {
		w := want[i%len(want)]
		req := w.request.Clone()
		wg.Go(func() {
			o := s.load(ctx, req)
			switch {
			case o.err != nil:
				errs[i] = fmt.Errorf("%s beside others: %w", req, o.err)
			case !o.same(&w.outcome):
				errs[i] = fmt.Errorf("%s beside others gave %d bytes that are not its own %d", req, o.length, w.length)
			}
		})
	}
	wg.Wait()

	return errors.Join(errs...)
}

// pairs holds a dial until a second one has begun, but not for long: loads that
// really overlap are likely then.
func pairs() func(context.Context) {
	var mu sync.Mutex
	begun, second := 0, make(chan struct{})

	return func(context.Context) {
		mu.Lock()
		if begun++; begun == 2 {
			close(second)
		}
		mu.Unlock()
		select {
		case <-second:
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func independent(ctx context.Context, r *rig) error {
	s, err := r.session(nil)
	if err != nil {
		return err
	}
	slow, err := r.ask(r.large())
	if err != nil {
		return err
	}
	req, err := r.ask(r.main())
	if err != nil {
		return err
	}
	held := s.start(ctx, slow, oneHop)
	if held.err != nil {
		return held.err
	}
	run := s.run(ctx, req)
	err = r.await(run.done)
	if err != nil {
		err = fmt.Errorf("a load beside one whose body nobody reads: %w", err)
	}

	return errors.Join(err, held.end())
}

// traced asks for everything there is.
var traced = &engine.Task{OneHop: true, Collect: func(*engine.Transaction) {}}

// callers finds for each of the Client's methods a request that has it called.
func (r *rig) callers(ctx context.Context) (map[string]*protocols.Request, error) {
	reqs, err := r.probes()
	if err != nil {
		return nil, err
	}
	found := make(map[string]*protocols.Request)
	for _, req := range reqs {
		s, err := r.session(nil)
		if err != nil {
			return nil, err
		}
		o := s.start(ctx, req, traced)
		o.finish()
		for _, method := range clientMethods {
			if found[method] == nil && s.spy.calls(method) > 0 {
				found[method] = req
			}
		}
	}

	return found, nil
}

func unlocked(ctx context.Context, r *rig) error {
	callers, err := r.callers(ctx)
	if err != nil {
		return err
	}
	if len(callers) == 0 {
		return notApplicable("the protocol calls none of the Client's methods")
	}
	for _, method := range clientMethods {
		if req := callers[method]; req != nil {
			if err := r.beside(ctx, method, req); err != nil {
				return err
			}
		}
	}

	return nil
}

// beside holds one load inside a method of the Client, and starts another.
func (r *rig) beside(ctx context.Context, method string, req *protocols.Request) error {
	other, err := r.ask(r.main())
	if r.network() && req.URL.Hostname() != stranger {
		// To a host that cannot be reached: the two may share nothing but a lock.
		other, err = r.astray()
	}
	if err != nil {
		return err
	}
	s, err := r.session(nil)
	if err != nil {
		return err
	}
	inside, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	s.spy.during = func(called string) {
		if called != method {
			return
		}
		first := false
		once.Do(func() { first = true })
		if first {
			close(inside)
			<-release
		}
	}
	held := make(chan struct{})
	go func() {
		defer close(held)
		o := s.start(ctx, req, traced)
		o.finish()
	}()
	defer func() { <-held }()
	defer close(release)
	select {
	case <-inside:
	case <-held:
		return nil
	}
	if err := r.await(s.run(ctx, other).done); err != nil {
		return fmt.Errorf("a load while another is inside Client.%s: %w", method, err)
	}

	return nil
}

func untraced(ctx context.Context, r *rig) error {
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
	}
	s.spy.mu.Lock()
	n := s.spy.untraced
	s.spy.mu.Unlock()
	if n > 0 {
		return fmt.Errorf("Client.Inform was called %d times for requests without a Trace", n)
	}
	callers, err := r.callers(ctx)
	if err == nil && callers[clientInform] == nil {
		return notApplicable("the protocol does not call Client.Inform")
	}

	return err
}
