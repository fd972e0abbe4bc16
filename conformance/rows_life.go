package conformance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/pprof"
	"strings"

	"github.com/urlkit/urlkit/protocols"
)

var lifeRows = []Row{
	{
		Name: "goroutines", Clause: 4, need: needContent, run: goroutines,
		Why: "a goroutine left behind by each load is memory that grows until the program ends",
	},
	{
		Name: "connections", Clause: 4, need: needContent | needNetwork, run: connections,
		Why: "a connection left behind by each load is a descriptor that the process runs out of",
	},
	{
		Name: "close-spares-loads", Clause: 20, need: needContent, run: closeSparesLoads,
		Why: "Close is called when the idle is to be let go of, and what runs is not idle",
	},
	{
		Name: "load-after-close", Clause: 20, need: needContent, run: loadAfterClose,
		Why: "a load that runs while its session is flushed has further hops to make",
	},
	{
		Name: "shutdown", Clause: 20, need: needContent, run: shutdown,
		Why: "a session that is closed leaves nothing behind",
	},
}

// endings are the ways in which an app is done with a load.
var endings = []string{"complete", "closed early", "cancelled"}

// endLoad loads and ends it so.
func (s *session) endLoad(ctx context.Context, req *protocols.Request, ending string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	o := s.start(ctx, req, oneHop)
	if o.err != nil {
		return o.err
	}
	switch ending {
	case "complete":
		o.finish()

		return o.err
	case "cancelled":
		cancel()
	}
	_ = o.end() // what a body says that is closed early does not matter

	return nil
}

// grows repeats loads that end in each way, and fails where what is counted grows
// with each. A pool may keep a few, and what was counted first may just be ending:
// half as many as there were loads tell the difference.
func (r *rig) grows(ctx context.Context, what string, count func(*session) int) error {
	const before, loads = 4, 24
	for _, ending := range endings {
		s, err := r.session(nil)
		if err != nil {
			return err
		}
		req, err := r.ask(r.medium())
		if err != nil {
			return err
		}
		start := 0
		for i := range before + loads {
			if i == before {
				start = count(s)
			}
			if err := s.endLoad(ctx, req, ending); err != nil {
				return fmt.Errorf("a load that is to be %s: %w", ending, err)
			}
		}
		if !r.settles(func() bool { return count(s)-start <= loads/2 }) {
			return fmt.Errorf("%d loads, each %s, left %d %s more than before", loads, ending, count(s)-start, what)
		}
		r.drop(s)
	}

	return nil
}

func goroutines(ctx context.Context, r *rig) error {
	return r.grows(ctx, "goroutines", func(*session) int { return len(r.goroutines()) })
}

func connections(ctx context.Context, r *rig) error {
	return r.grows(ctx, "connections", func(s *session) int { return s.dialer.open() })
}

// goroutines gives the stacks of the goroutines that the row started, and that
// the protocol started for it, except the caller's.
func (r *rig) goroutines() []string {
	var b strings.Builder
	if err := pprof.Lookup("goroutine").WriteTo(&b, 1); err != nil {
		return nil // a strings.Builder does not fail
	}
	var stacks []string
	for block := range strings.SplitSeq(b.String(), "\n\n") {
		if !strings.Contains(block, `"`+label+`":"`+r.label+`"`) || strings.Contains(block, "conformance.(*rig).goroutines") {
			continue
		}
		count, _, _ := strings.Cut(block, " @")
		n := 1
		_, _ = fmt.Sscan(count, &n)
		for range n {
			stacks = append(stacks, block)
		}
	}

	return stacks
}

// toClose gives a clean load, and a session whose protocol can be closed.
func (r *rig) toClose(ctx context.Context) (*clean, *session, io.Closer, error) {
	clean, err := r.clean(ctx, r.medium())
	if err != nil {
		return nil, nil, nil, err
	}
	s, err := r.session(nil)
	if err != nil {
		return nil, nil, nil, err
	}
	closer, ok := protocols.As[io.Closer](s.spy)
	if !ok {
		return nil, nil, nil, notApplicable("the protocol is no io.Closer")
	}

	return clean, s, closer, nil
}

func closeSparesLoads(ctx context.Context, r *rig) error {
	clean, s, closer, err := r.toClose(ctx)
	if err != nil {
		return err
	}
	o := s.start(ctx, clean.request, oneHop)
	if o.err != nil {
		return o.err
	}
	var closing error
	if err := r.within(func() { closing = closer.Close() }); err != nil {
		return fmt.Errorf("Close while a load runs: %w", err)
	}
	if closing != nil {
		return errors.Join(fmt.Errorf("Close while a load runs: %w", closing), o.end())
	}
	o.finish()
	if o.err != nil {
		return fmt.Errorf("a load that ran when the protocol was closed: %w", o.err)
	}
	if !o.same(&clean.outcome) {
		return fmt.Errorf("a load that ran when the protocol was closed gave %d of %d bytes", o.length, clean.length)
	}

	return nil
}

func loadAfterClose(ctx context.Context, r *rig) error {
	clean, s, closer, err := r.toClose(ctx)
	if err != nil {
		return err
	}
	var closing error
	if err := r.within(func() { closing = closer.Close() }); err != nil {
		return fmt.Errorf("Close: %w", err)
	}
	if closing != nil {
		return fmt.Errorf("Close: %w", closing)
	}
	o := s.load(ctx, clean.request)
	if o.err != nil {
		return fmt.Errorf("a load after the protocol was closed: %w", o.err)
	}
	if !o.same(&clean.outcome) {
		return fmt.Errorf("a load after the protocol was closed gave %d of %d bytes", o.length, clean.length)
	}
	if !r.settles(func() bool { return s.dialer.open() == 0 }) {
		return fmt.Errorf("a load after the protocol was closed left %d connections open", s.dialer.open())
	}

	return nil
}

func shutdown(ctx context.Context, r *rig) error {
	s, err := r.session(nil)
	if err != nil {
		return err
	}
	req, err := r.ask(r.medium())
	if err != nil {
		return err
	}
	for _, ending := range endings {
		if err := s.endLoad(ctx, req, ending); err != nil {
			return fmt.Errorf("a load that is to be %s: %w", ending, err)
		}
	}
	var closing error
	if err := r.within(func() { closing = s.engine.Close() }); err != nil {
		return fmt.Errorf("closing the session: %w", err)
	}
	if closing != nil {
		return fmt.Errorf("closing the session: %w", closing)
	}
	if !r.settles(func() bool { return s.dialer.open() == 0 }) {
		return fmt.Errorf("%d connections are open after the session was closed", s.dialer.open())
	}
	if !r.settles(func() bool { return len(r.goroutines()) == 0 }) {
		return fmt.Errorf("a goroutine is left after the session was closed: %s", r.goroutines()[0])
	}

	return nil
}
