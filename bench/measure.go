package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/urlkit/urlkit/bench/internal/origin"
)

// A setting is what all contenders are compared under.
type setting struct {
	protocol string
	url      string
	workers  int
}

func (s setting) name() string {
	if s.workers == 1 {
		return s.protocol + ", 1 worker"
	}

	return fmt.Sprintf("%s, %d workers", s.protocol, s.workers)
}

func settings(address origin.Address) []setting {
	const plain, secure = "HTTP/1.1 clear text", "HTTP/2 TLS"

	return []setting{
		{plain, address.HTTP, 1},
		{plain, address.HTTP, 64},
		{secure, address.HTTPS, 1},
		{secure, address.HTTPS, 64},
	}
}

// sample is what one contender did in one round, for each request.
type sample struct {
	cpu    float64 // microseconds
	rate   float64 // requests a second
	allocs float64
	bytes  float64
}

// compare runs the rounds. The order of the contenders turns with each round, so
// that none always follows the same other.
func compare(ctx context.Context, address origin.Address, rounds int, duration time.Duration) (results []result, err error) {
	roots, err := address.Roots()
	if err != nil {
		return nil, err
	}
	cases := settings(address)
	contenders := make([][]contender, len(cases))
	samples := make([][][]sample, len(cases))
	defer func() {
		for _, c := range slices.Concat(contenders...) {
			err = errors.Join(err, c.close())
		}
	}()
	for i, s := range cases {
		if contenders[i], err = newContenders(s.url, roots, s.workers); err != nil {
			return nil, err
		}
		samples[i] = make([][]sample, len(contenders[i]))
		for _, c := range contenders[i] {
			if err := warm(ctx, c, s.workers); err != nil {
				return nil, fmt.Errorf("%s: %w", s.name(), err)
			}
		}
	}
	for round := range rounds {
		for i, s := range cases {
			for turn := range contenders[i] {
				j := (turn + round) % len(contenders[i])
				one, err := measure(ctx, contenders[i][j], s.workers, duration)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", s.name(), err)
				}
				samples[i][j] = append(samples[i][j], one)
			}
		}
	}
	for i, s := range cases {
		for j, c := range contenders[i] {
			results = append(results, summarize(s, c.name, samples[i][j], samples[i][0]))
		}
	}

	return results, nil
}

// warm makes the connections, which no request is to pay for.
func warm(ctx context.Context, c contender, workers int) error {
	if err := c.checked(ctx); err != nil { // alone first, so that HTTP/2 is one connection
		return err
	}
	var left atomic.Int64
	left.Store(int64(20 * workers))

	_, err := hammer(ctx, c, workers, func() bool { return left.Add(-1) >= 0 })

	return err
}

// measure lets a contender run for the duration.
func measure(ctx context.Context, c contender, workers int, duration time.Duration) (sample, error) {
	var over atomic.Bool
	var before, after runtime.MemStats
	runtime.GC() // what another left behind
	runtime.ReadMemStats(&before)
	used, err := processorTime()
	if err != nil {
		return sample{}, err
	}
	begin := time.Now()
	end := time.AfterFunc(duration, func() { over.Store(true) })
	defer end.Stop()
	done, err := hammer(ctx, c, workers, func() bool { return !over.Load() })
	elapsed := time.Since(begin)
	if err != nil {
		return sample{}, err
	}
	usedAfter, err := processorTime()
	if err != nil {
		return sample{}, err
	}
	runtime.ReadMemStats(&after)
	count := float64(done)

	return sample{
		cpu:    float64(usedAfter-used) / float64(time.Microsecond) / count,
		rate:   count / elapsed.Seconds(),
		allocs: float64(after.Mallocs-before.Mallocs) / count,
		bytes:  float64(after.TotalAlloc-before.TotalAlloc) / count,
	}, nil
}

// hammer makes requests by so many workers, each while more says so and at least
// one, and says how many there were.
func hammer(ctx context.Context, c contender, workers int, more func() bool) (int64, error) {
	var count atomic.Int64
	var group sync.WaitGroup
	errs := make([]error, workers)
	for i := range workers {
		group.Go(func() {
			for first := true; first || more(); first = false {
				if errs[i] = c.checked(ctx); errs[i] != nil {
					return
				}
				count.Add(1)
			}
		})
	}
	group.Wait()

	return count.Load(), errors.Join(errs...)
}
