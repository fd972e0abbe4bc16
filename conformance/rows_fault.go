package conformance

import (
	"context"
	"errors"
	"fmt"

	"github.com/urlkit/urlkit/internal/fault"
	"github.com/urlkit/urlkit/protocols"
)

var faultRows = []Row{
	{
		Name: "truncation", Clause: 11, need: needContent | needNetwork, run: truncation,
		Why: "a short file that looks whole is found by nobody until it is needed",
	},
	{
		Name: "reset", Clause: 11, need: needContent | needNetwork, run: reset,
		Why: "a connection that breaks is never the end of a body, however ends are marked",
	},
	{
		Name: "byte-by-byte", Clause: 12, need: needContent | needNetwork, run: byteByByte,
		Why: "a network cuts anywhere: what works only in one piece works only at home",
	},
	{
		Name: "no-retry", Clause: 8, need: needContent | needNetwork, run: noRetry,
		Why: "a request that was sent twice may be carried out twice; only the session knows whether it may",
	},
	{
		Name: "garbage", Clause: 1, need: needContent | needNetwork, run: garbage,
		Why: "a peer can send anything: the answer is an error, not a panic and not a hang",
	},
	{
		Name: "endless-head", Clause: 15, need: needContent | needNetwork, run: endlessHead,
		Why: "what a peer can grow without a bound grows until memory ends",
	},
}

// offsets are positions in a stream of so many bytes: all of a short one; the
// first and last of a long one, and some between.
func offsets(total int64) []int64 {
	const each = 64
	var at []int64
	for i := int64(0); i < total; {
		at = append(at, i)
		if i < each || i >= total-each {
			i++
		} else {
			i = min(i+max(1, total/each), total-each)
		}
	}

	return at
}

// short tells whether a load gave less than the clean one and yet ended quietly.
func (c *clean) short(o *outcome) error {
	if !o.quiet() || o.call == nil || o.call.nothing || o.same(&c.outcome) {
		return nil
	}

	return fmt.Errorf("the body ended quietly after %d of %d bytes", o.length, c.length)
}

func truncation(ctx context.Context, r *rig) error {
	clean, err := r.clean(ctx, r.main())
	if err != nil {
		return err
	}
	if !clean.framed(r.main()) {
		return notApplicable("the content announces no ContentLength and is not Framed: its end cannot be known")
	}

	return r.broken(ctx, clean, fault.Cut, offsets)
}

func reset(ctx context.Context, r *rig) error {
	clean, err := r.clean(ctx, r.main())
	if err != nil {
		return err
	}

	return r.broken(ctx, clean, fault.Reset, func(total int64) []int64 {
		var at []int64
		for i := int64(1); i < 16; i++ {
			at = append(at, total*i/16)
		}

		return at
	})
}

// broken loads with each connection broken at each offset.
func (r *rig) broken(ctx context.Context, c *clean, kind fault.Kind, where func(total int64) []int64) error {
	for _, w := range c.session.dialer.made() {
		total := w.read.Load()
		for _, at := range where(total) {
			s, err := r.session(on(w.index, fault.Fault{Kind: kind, At: at}))
			if err != nil {
				return err
			}
			o := s.load(ctx, c.request)
			if err := c.short(&o); err != nil {
				return fmt.Errorf("%v after %d of %d bytes from the peer: %w", kind, at, total, err)
			}
			r.drop(s)
		}
	}

	return nil
}

// drop ends a session before its row ends: there are too many of them.
func (r *rig) drop(s *session) { _ = r.within(s.close) }

func byteByByte(ctx context.Context, r *rig) error {
	clean, err := r.clean(ctx, r.main())
	if err != nil {
		return err
	}
	s, err := r.session(always(fault.Fault{Kind: fault.Split, Size: 1}))
	if err != nil {
		return err
	}
	o := s.load(ctx, clean.request)
	if o.err != nil {
		return fmt.Errorf("with one byte at a time: %w", o.err)
	}
	if !o.same(&clean.outcome) {
		return fmt.Errorf("with one byte at a time the body has %d other bytes, not the %d", o.length, clean.length)
	}

	return nil
}

func noRetry(ctx context.Context, r *rig) error {
	if r.harness.Scheme.Security == protocols.Encrypted {
		return notApplicable("inside TLS nobody sees whether a request was sent")
	}
	s, err := r.session(always(fault.Fault{Kind: fault.Reset, At: 1}))
	if err != nil {
		return err
	}
	req, err := r.ask(r.main())
	if err != nil {
		return err
	}
	var rec record
	resp, err := s.engine.Load(context.WithValue(ctx, recordKey{}, &rec), req, oneHop)
	o := outcome{resp: resp, call: rec.last(), err: err}
	o.finish()
	sent := 0
	for _, w := range s.dialer.made() {
		if w.written.Load() > 0 && w.read.Load() > 0 {
			sent++
		}
	}
	if sent > len(rec.calls) {
		return fmt.Errorf("one Load sent its request on %d connections, one after another was broken", sent)
	}
	if sent > 0 && errors.Is(err, protocols.ErrNotSent) {
		return fmt.Errorf("a request that the peer began to answer is reported as not sent: %w", err)
	}

	return nil
}

// patterns are answers that mean nothing.
func patterns() [][]byte {
	const size = 4 << 10
	noise := make([]byte, size)
	state := uint32(1)
	for i := range noise {
		state = state*1664525 + 1013904223 // any spread will do, the same in every run
		noise[i] = byte(state >> 24)
	}
	all := [][]byte{nil, noise}
	for _, unit := range []string{"\x00", "\xff", "\r\n", "9", "-1 ", ": ", "\x16\x03\x01", "(", "%"} {
		p := make([]byte, 0, size)
		for len(p) < size {
			p = append(p, unit...)
		}
		all = append(all, p)
	}

	return all
}

func garbage(ctx context.Context, r *rig) error {
	clean, err := r.clean(ctx, r.main())
	if err != nil {
		return err
	}
	index, _ := clean.busiest()
	if index < 0 {
		return notApplicable("the protocol makes no connection")
	}
	peer := clean.session.dialer.made()[index]
	real := peer.beginning()
	real = real[:min(len(real), 128)]
	var answers [][]byte
	for i := range real {
		flipped := append([]byte(nil), real...)
		flipped[i] ^= 0xff
		answers = append(answers, flipped)
	}
	for i := 0; i <= len(real); i = 2*i + 1 {
		for _, p := range patterns() {
			answers = append(answers, append(append([]byte(nil), real[:i]...), p...))
		}
	}
	for _, answer := range answers {
		if err := r.answered(ctx, clean.request, &forged{answer: answer, greets: peer.greeted.Load()}); err != nil {
			return fmt.Errorf("the answer %.40q: %w", answer, err)
		}
	}

	return nil
}

// answered loads from a peer that is made up.
func (r *rig) answered(ctx context.Context, req *protocols.Request, f *forged) error {
	s, err := r.session(nil)
	if err != nil {
		return err
	}
	defer r.drop(s)
	s.dialer.forge = f.next
	run := s.run(ctx, req)
	if err := r.await(run.head); err != nil {
		return fmt.Errorf("Load: %w", err)
	}
	if f.fill != nil {
		defer s.dialer.cut()
		if n := f.given.Load(); n > maxHead {
			return fmt.Errorf("Load read %d bytes of a head that does not end", n)
		}

		return nil
	}
	if err := r.await(run.done); err != nil {
		return fmt.Errorf("the body: %w", err)
	}
	if run.call != nil && run.call.panicked != nil {
		return fmt.Errorf("Load panicked: %v", run.call.panicked)
	}

	return nil
}

// maxHead is how much a protocol may read before its head is too long, in bytes.
const maxHead = 32 << 20

func endlessHead(ctx context.Context, r *rig) error {
	if r.harness.Scheme.Security == protocols.Encrypted {
		return notApplicable("inside TLS the suite cannot speak for the peer")
	}
	clean, err := r.clean(ctx, r.main())
	if err != nil {
		return err
	}
	index, total := clean.busiest()
	if index < 0 {
		return notApplicable("the protocol makes no connection")
	}
	peer := clean.session.dialer.made()[index]
	real := peer.beginning()
	head := min(int64(len(real)), max(total-clean.length, 1))
	for i := int64(0); i < head; i = 2*i + 1 {
		for _, fill := range []string{"A", "A: b\r\n", "1"} {
			if err := r.answered(ctx, clean.request, &forged{answer: real[:i], fill: []byte(fill), greets: peer.greeted.Load()}); err != nil {
				return fmt.Errorf("%d bytes of the head and then %q without end: %w", i, fill, err)
			}
		}
	}

	return nil
}
