package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// display shows how transfers that save files go on. It is also where messages are
// written meanwhile, so that they do not fall into a bar.
type display interface {
	io.Writer
	begin(t *transfer) gauge
	close() // when all have ended
}

// gauge shows one transfer.
type gauge interface {
	watch(p progress) // what moves from now on
	end(o *outcome)
}

// progress is *urlsession.Progress, or what counts a body that no task saves.
type progress interface {
	Completed() int64         // bytes
	Total() int64             // bytes; -1 unknown
	Rate() float64            // bytes a second
	Remaining() time.Duration // -1 unknown
}

// newDisplay chooses: nothing for --silent, bars on a terminal that nothing else is
// printed on, lines elsewhere.
func (o *options) newDisplay(std streams, list []*transfer) display {
	printing := o.json || slices.ContainsFunc(list, func(t *transfer) bool { return !t.target.saves() })
	switch {
	case o.silent:
		return quiet{std.err}
	case std.terminal && !printing:
		return newBars(std.err)
	default:
		return newLines(std.err, cmp.Or(std.interval, lineInterval))
	}
}

// quiet shows nothing.
type quiet struct{ io.Writer }

func (quiet) begin(*transfer) gauge { return noGauge{} }
func (quiet) close()                {}

type noGauge struct{}

func (noGauge) watch(progress) {}
func (noGauge) end(*outcome)   {}

// watched is what a gauge looks at.
type watched struct {
	mu       sync.Mutex
	progress progress
}

func (w *watched) watch(p progress) {
	p.Rate() // which is measured from one call to the next
	w.mu.Lock()
	defer w.mu.Unlock()
	w.progress = p
}

// current is what moves; nil: nothing does yet.
func (w *watched) current() progress {
	w.mu.Lock()
	defer w.mu.Unlock()

	return w.progress
}

// pulse calls a function now and then, until it is ended.
type pulse struct {
	stop    chan struct{}
	running sync.WaitGroup
}

func newPulse(interval time.Duration, beat func()) *pulse {
	p := &pulse{stop: make(chan struct{})}
	p.running.Go(func() {
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				beat()
			case <-p.stop:
				return
			}
		}
	})

	return p
}

// end returns when the last call has.
func (p *pulse) end() {
	close(p.stop)
	p.running.Wait()
}

// counter is the progress of a body that is copied here.
type counter struct {
	start time.Time
	total int64
	done  atomic.Int64
}

func (c *counter) Completed() int64 { return c.done.Load() }
func (c *counter) Total() int64     { return c.total }

func (c *counter) Rate() float64 {
	return perSecond(c.done.Load(), time.Since(c.start))
}

func (c *counter) Remaining() time.Duration {
	rate := c.Rate()
	if c.total < 0 || rate <= 0 {
		return -1
	}

	return time.Duration(float64(c.total-c.done.Load()) / rate * float64(time.Second))
}

func perSecond(n int64, d time.Duration) float64 {
	if d <= 0 {
		return 0
	}

	return float64(n) / d.Seconds()
}

// size is a number of bytes for people.
func size(n int64) string {
	const units = "KMGTPE"
	if n < 1<<10 {
		return fmt.Sprintf("%d B", n)
	}
	value, unit := float64(n)/(1<<10), 0
	for value >= 999.95 && unit < len(units)-1 {
		value /= 1 << 10
		unit++
	}

	return fmt.Sprintf("%.1f %ciB", value, units[unit])
}

func rate(perSecond float64) string { return size(int64(perSecond)) + "/s" }

// left is a time to wait for people; "" where it is unknown.
func left(d time.Duration) string {
	switch {
	case d < 0:
		return ""
	case d < time.Minute:
		return fmt.Sprintf("%d s", int64(d.Seconds()+0.5))
	case d < time.Hour:
		return fmt.Sprintf("%d:%02d min", d/time.Minute, d%time.Minute/time.Second)
	default:
		return fmt.Sprintf("%d:%02d h", d/time.Hour, d%time.Hour/time.Minute)
	}
}

// ended says how a transfer ended, in a few words.
func ended(o *outcome) string {
	took := o.metrics.End.Sub(o.metrics.Start)
	text := size(o.bytes) + " in " + brief(took)
	if took > 0 {
		text += ", " + rate(perSecond(o.bytes, took))
	}
	if r := o.response; r != nil && !r.OK() {
		text += fmt.Sprintf(", status %d", r.StatusCode)
	}

	return text
}

// lockedWriter lets several goroutines write, a call at a time.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()

	return l.w.Write(p)
}
