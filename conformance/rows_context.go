package conformance

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"
)

var contextRows = []Row{
	{
		Name: "cancelled-before", Clause: 3, need: needContent, run: cancelledBefore,
		Why: "a task that was cancelled must not do what nobody waits for",
	},
	{
		Name: "cancelled-in-dial", Clause: 3, need: needContent | needNetwork, run: cancelledInDial,
		Why: "a host that does not answer is the commonest reason to cancel",
	},
	{
		Name: "cancelled-at-head", Clause: 3, need: needContent, run: cancelledAtHead,
		Why: "a peer that does not answer must not hold its caller",
	},
	{
		Name: "cancelled-in-body", Clause: 3, need: needContent, run: cancelledInBody,
		Why: "ctx governs the body too: Load has returned long before",
	},
	{
		Name: "deadline", Clause: 3, need: needContent, run: deadline,
		Why: "a time-out that does not end the load is none",
	},
}

func cancelledBefore(ctx context.Context, r *rig) error {
	s, err := r.session(nil)
	if err != nil {
		return err
	}
	req, err := r.ask(r.main())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.spy.before = cancel
	run := s.run(ctx, req)
	if err := r.await(run.done); err != nil {
		return fmt.Errorf("Load with a ctx that had ended: %w", err)
	}
	if run.call != nil && run.call.err == nil {
		return errors.New("Load with a ctx that had ended returned a response")
	}

	return endedBy(run, context.Canceled)
}

func cancelledInDial(ctx context.Context, r *rig) error {
	s, err := r.session(nil)
	if err != nil {
		return err
	}
	req, err := r.ask(r.main())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	dialling := make(chan struct{}, 64)
	s.dialer.hold = func(ctx context.Context) {
		select {
		case dialling <- struct{}{}:
		default:
		}
		select {
		case <-ctx.Done():
		case <-s.dialer.ended:
		}
	}
	run := s.run(ctx, req)
	select {
	case <-dialling:
	case <-run.done:
		return notApplicable("the load ended without a connection")
	}
	cancel()
	if err := r.await(run.done); err != nil {
		return fmt.Errorf("Load when ctx ended while it was connecting: %w", err)
	}

	return endedBy(run, context.Canceled)
}

func cancelledAtHead(ctx context.Context, r *rig) error {
	st, err := r.stuckAtHead()
	if err != nil {
		return err
	}

	return cancelled(ctx, st, "before the head had come")
}

func cancelledInBody(ctx context.Context, r *rig) error {
	st, err := r.stuckInBody(ctx)
	if err != nil {
		return err
	}

	return cancelled(ctx, st, "in the body")
}

func cancelled(ctx context.Context, st *stuck, where string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	run := st.run(ctx)
	if err := st.reached(run); err != nil {
		return err
	}
	cancel()
	if err := st.session.rig.await(run.done); err != nil {
		return fmt.Errorf("the load when ctx ended %s: %w", where, err)
	}

	return endedBy(run, context.Canceled)
}

func deadline(ctx context.Context, r *rig) error {
	st, err := r.stuckAtHead()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	run := st.run(ctx)
	<-ctx.Done()
	if err := r.await(run.done); err != nil {
		return fmt.Errorf("the load at its deadline: %w", err)
	}
	if run.err == nil {
		return notApplicable("the load ended without reading as far as the stall")
	}

	var timeout net.Error
	if errors.As(run.err, &timeout) && timeout.Timeout() {
		return nil // a connection with the same deadline may be a moment earlier
	}

	return endedBy(run, context.DeadlineExceeded)
}

// endedBy tells whether a load failed with its context's error.
func endedBy(run *running, want error) error {
	switch {
	case run.err == nil:
		return fmt.Errorf("the load succeeded although ctx had ended: %w", want)
	case !errors.Is(run.err, want):
		return fmt.Errorf("the error does not wrap %w: %w", want, run.err)
	default:
		return nil
	}
}
