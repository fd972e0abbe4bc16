package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
)

// interruption is why everything was cancelled.
type interruption struct{ signal syscall.Signal }

func (i *interruption) Error() string { return i.signal.String() }

// status is the one that shells expect of what a signal has ended.
func (i *interruption) status() int { return 128 + int(i.signal) }

// interruptedBy is the interruption that ended ctx; nil: none did.
func interruptedBy(ctx context.Context) *interruption {
	var i *interruption
	if errors.As(context.Cause(ctx), &i) {
		return i
	}

	return nil
}

// within is what do gives, or why ctx ended before. Then do is left behind: what
// reads a pipe or a terminal cannot be ended, but the process can.
func within(ctx context.Context, do func() ([]byte, error)) ([]byte, error) {
	type result struct {
		data []byte
		err  error
	}
	came := make(chan result, 1)
	go func() {
		data, err := do()
		came <- result{data, err}
	}()
	select {
	case r := <-came:
		return r.data, r.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// interruptible gives a context that the first SIGINT, SIGTERM or SIGHUP ends, so
// that nothing half-done stays behind. The second one ends the process, whatever it
// waits for. stop gives the signals back; it is called once.
func interruptible(parent context.Context) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 2)
	stopped := make(chan struct{})
	// SIGINT is caught even where a shell's background job ignores it: who sends it
	// by hand means it.
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // nohup
		signal.Notify(signals, syscall.SIGHUP)
	}
	// A reader that went away is a write error, not the end of the other transfers.
	signal.Ignore(syscall.SIGPIPE)
	go func() {
		for second := false; ; second = true {
			select {
			case s := <-signals:
				number, ok := s.(syscall.Signal)
				if !ok {
					number = syscall.SIGINT
				}
				i := &interruption{number}
				if second {
					// Not by the signal itself: signal.Reset would have it ignored again
					// where the process began so.
					os.Exit(i.status())
				}
				cancel(i)
			case <-stopped:
				return
			}
		}
	}()

	return ctx, func() {
		signal.Stop(signals)
		close(stopped)
		cancel(nil)
	}
}
