package conformance

import (
	"context"
	"errors"
	"fmt"
	"runtime/pprof"
	"slices"
	"strconv"
	"sync/atomic"
	"time"
)

// Options say how a suite is run. The zero value runs every row.
type Options struct {
	// Rows names the rows to run; nil: all.
	Rows []string
	// Patience is how long something may take that ought to be immediate; 0: five
	// seconds.
	Patience time.Duration
	// Timeout is the watchdog of one row; 0: one minute.
	Timeout time.Duration
}

func (o Options) patience() time.Duration {
	if o.Patience <= 0 {
		return 5 * time.Second
	}

	return o.Patience
}

func (o Options) timeout() time.Duration {
	if o.Timeout <= 0 {
		return time.Minute
	}

	return o.Timeout
}

// Check runs the rows of the suite one after another. It ends early, with the
// remaining rows failed, when ctx ends. Several Checks may run at once.
func Check(ctx context.Context, h Harness, o Options) *Report {
	report := &Report{Scheme: h.Scheme.Name}
	known := Rows()
	for _, name := range o.Rows {
		if !slices.ContainsFunc(known, func(r Row) bool { return r.Name == name }) {
			err := fmt.Errorf("there is no row %q", name)
			report.Results = append(report.Results, Result{Row: Row{Name: name}, Outcome: Failed, Err: err})
		}
	}
	for _, row := range known {
		if o.Rows == nil || slices.Contains(o.Rows, row.Name) {
			report.Results = append(report.Results, judge(ctx, h, o, row))
		}
	}

	return report
}

// judge runs one row on a fixture of its own.
func judge(ctx context.Context, h Harness, o Options, row Row) Result {
	began := time.Now()
	err := perform(ctx, h, o, row)
	result := Result{Row: row, Err: err, Duration: time.Since(began)}
	switch _, skipped := err.(notApplicable); { //nolint:errorlint // joined with another error it is a failure
	case err == nil:
		result.Outcome = Passed
	case skipped:
		result.Outcome = NotApplicable
	default:
		result.Outcome = Failed
	}

	return result
}

func perform(ctx context.Context, h Harness, o Options, row Row) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := ctx.Err(); err != nil {
		return err
	}
	r, err := newRig(ctx, h, o)
	if err != nil {
		return err
	}
	err = watch(ctx, cancel, r, row)
	if closing := r.close(); closing != nil {
		err = errors.Join(err, closing)
	}

	return err
}

// label is the profiler's label of the goroutines that a row and its protocol
// start; the fixture's do not have it.
const label = "urlkit conformance row"

var rowsRun atomic.Int64

// watch runs the row in a goroutine of its own, and gives it up when its time is
// over: then every connection is closed, and it gets one more chance to end.
func watch(ctx context.Context, cancel context.CancelFunc, r *rig, row Row) error {
	if reason := row.applies(r); reason != "" {
		return notApplicable(reason)
	}
	r.label = strconv.FormatInt(rowsRun.Add(1), 10)
	done := make(chan error, 1)
	go pprof.Do(ctx, pprof.Labels(label, r.label), func(ctx context.Context) {
		err := fmt.Errorf("the row's goroutine was ended from inside")
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("panic: %v", p)
			}
			done <- err
		}()
		err = row.run(ctx, r)
	})
	select {
	case err := <-done:
		return err
	case <-time.After(r.options.timeout()):
	case <-ctx.Done():
	}
	err := fmt.Errorf("the row did not end within %v", r.options.timeout())
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	cancel()
	r.cut()
	select {
	case late := <-done:
		return errors.Join(err, late)
	case <-time.After(r.options.patience()):
		return err
	}
}

// notApplicable is why a row cannot be judged.
type notApplicable string

func (n notApplicable) Error() string { return string(n) }
