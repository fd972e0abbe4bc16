package conformance

import (
	"context"
	"time"

	"github.com/urlkit/urlkit/internal/fault"
	"github.com/urlkit/urlkit/protocols"
)

// stuck is a load that is going to stall.
type stuck struct {
	session *session
	request *protocols.Request
	size    int64 // of the body; -1: it is the fixture's own stall
	inBody  bool
	own     bool // the fixture stalls, not a connection
}

const (
	// shortBody is what a body may be delivered in one piece with its head.
	shortBody = 64 << 10
	// deep is how far into a long body it stalls.
	deep = 32 << 10
)

// stuckAtHead stalls before a byte of the answer has come.
func (r *rig) stuckAtHead() (*stuck, error) {
	if !r.network() {
		return r.stuckBy(r.fixture.Silent, "the protocol makes no connection that could stall, and the fixture has no Silent")
	}
	s, err := r.session(always(fault.Fault{Kind: fault.Stall}))
	if err != nil {
		return nil, err
	}
	req, err := r.ask(r.main())

	return &stuck{session: s, request: req}, err
}

// stuckInBody stalls within the body.
func (r *rig) stuckInBody(ctx context.Context) (*stuck, error) {
	if !r.network() || r.fixture.Slow != "" {
		st, err := r.stuckBy(r.fixture.Slow, "the protocol makes no connection that could stall, and the fixture has no Slow")
		if st != nil {
			st.inBody = true
		}

		return st, err
	}
	c := r.medium()
	clean, err := r.clean(ctx, c)
	if err != nil {
		return nil, err
	}
	index, total := clean.busiest()
	size := clean.length
	if size == 0 || total < size {
		return nil, notApplicable("no connection carries the body as it is")
	}
	at := total - size + min(size/2, deep)
	s, err := r.session(on(index, fault.Fault{Kind: fault.Stall, At: at}))
	if err != nil {
		return nil, err
	}
	req, err := r.ask(c)

	return &stuck{session: s, request: req, size: size, inBody: true}, err
}

// stuckBy is a stall of the fixture's own.
func (r *rig) stuckBy(url, otherwise string) (*stuck, error) {
	if url == "" {
		return nil, notApplicable(otherwise)
	}
	s, err := r.session(nil)
	if err != nil {
		return nil, err
	}
	req, err := r.request("", url, nil)

	return &stuck{session: s, request: req, size: -1, own: true}, err
}

// medium is the shortest content that cannot come in one piece with its head, or
// the longest there is.
func (r *rig) medium() *Content {
	best := r.large()
	for i := range r.fixture.Content {
		if c := &r.fixture.Content[i]; c.size() >= 2*shortBody && c.size() < best.size() {
			best = c
		}
	}

	return best
}

func (s *stuck) run(ctx context.Context) *running { return s.session.run(ctx, s.request) }

// reached waits until the load stands where it is to stall. A load that never
// gets there cannot be judged.
func (s *stuck) reached(run *running) error {
	timer := time.NewTimer(s.session.rig.options.patience())
	defer timer.Stop()
	if s.own {
		// Nobody tells when the fixture stalls: it is given a moment, and more than
		// the moment is never needed for the rows to be true.
		timer.Reset(50 * time.Millisecond)
	}
	if s.inBody {
		select {
		case <-run.head:
		case <-timer.C:
			return notApplicable("Load does not return before the stall: the body is too short")
		}
	}
	select {
	case <-s.session.dialer.stalled:
		return nil
	case <-run.done:
		return notApplicable("the load ended without reading as far as the stall")
	case <-timer.C:
		if s.own {
			return nil
		}

		return notApplicable("the load did not come as far as the stall")
	}
}
