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

// interruptible gives a context that the first SIGINT, SIGTERM or SIGHUP ends, so
// that nothing half-done stays behind. The second one kills, as it does programs
// that catch none. stop gives the signals back.
func interruptible(parent context.Context) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 1)
	// SIGINT is caught even where a shell's background job ignores it: who sends it
	// by hand means it.
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // nohup
		signal.Notify(signals, syscall.SIGHUP)
	}
	// A reader that went away is a write error, not the end of the other transfers.
	signal.Ignore(syscall.SIGPIPE)
	go func() {
		select {
		case s := <-signals:
			signal.Reset(os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
			number, ok := s.(syscall.Signal)
			if !ok {
				number = syscall.SIGINT
			}
			cancel(&interruption{number})
		case <-ctx.Done():
		}
	}()

	return ctx, func() {
		signal.Stop(signals)
		cancel(nil)
	}
}
