package main

import (
	"io"
	"path/filepath"
	"sync"
	"time"

	"github.com/vbauerster/cupwriter"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// barInterval is how often bars move.
const barInterval = 100 * time.Millisecond

// bars shows transfers on a terminal.
type bars struct {
	lockedWriter // for what comes when the bars are gone

	container *mpb.Progress
}

func newBars(w io.Writer) *bars {
	return &bars{
		lockedWriter: lockedWriter{w: w},
		// What has ended moves up and away: a hundred files do not fill the screen.
		container: mpb.New(mpb.WithConsoleWriter(screen{cupwriter.New(w, true)}), mpb.WithRefreshRate(barInterval), mpb.PopCompletedMode()),
	}
}

// screen is a terminal; one that does not tell its size (it has none where nobody
// looks at it) has that of old.
type screen struct{ *cupwriter.Writer }

func (screen) IsTerminal() bool { return true }

func (s screen) GetTermSize() (width, height int, err error) {
	width, height, err = s.Writer.GetTermSize()
	if err != nil || width <= 0 || height <= 0 {
		return 80, 24, nil
	}

	return width, height, nil
}

// Write prints above the bars.
func (b *bars) Write(p []byte) (int, error) {
	if n, err := b.container.Write(p); err == nil {
		return n, nil
	}

	return b.lockedWriter.Write(p)
}

func (b *bars) close() { b.container.Wait() }

func (b *bars) begin(t *transfer) gauge {
	g := &barGauge{label: short(t.label())}
	g.bar = b.container.New(0, mpb.BarStyle().Rbound("]"),
		mpb.BarFillerClearOnComplete(),
		mpb.BarFillerClearOnAbort(),
		mpb.PrependDecorators(decor.Any(g.name, decor.WCSyncSpaceR)),
		mpb.AppendDecorators(decor.Any(g.state)),
	)
	g.pulse = newPulse(barInterval, g.move)

	return g
}

// short is a label that leaves room for a bar: of a path its last element, of that
// its beginning.
func short(label string) string {
	const most = 28
	if runes := []rune(filepath.Base(label)); len(runes) > most {
		return string(runes[:most-3]) + "..."
	}

	return filepath.Base(label)
}

// barGauge moves one bar.
type barGauge struct {
	watched

	bar   *mpb.Bar
	pulse *pulse

	mu    sync.Mutex
	label string
	final string // what remains; "" it goes on
}

func (g *barGauge) move() {
	if p := g.current(); p != nil {
		g.bar.SetTotal(max(p.Total(), 0), false)
		g.bar.SetCurrent(p.Completed())
	}
}

func (g *barGauge) name(decor.Statistics) string {
	g.mu.Lock()
	defer g.mu.Unlock()

	return g.label
}

// state is what stands beside the bar.
func (g *barGauge) state(decor.Statistics) string {
	g.mu.Lock()
	final := g.final
	g.mu.Unlock()
	if final != "" {
		return final
	}
	if p := g.current(); p != nil {
		return midway(p)
	}

	return "waiting"
}

func (g *barGauge) end(o *outcome) {
	g.pulse.end()
	g.mu.Lock()
	g.final = "failed"
	if o.err == nil {
		g.label, g.final = short(o.saved()), ended(o)
	}
	g.mu.Unlock()
	if o.err != nil {
		g.bar.Abort(false)

		return
	}
	g.bar.SetTotal(-1, true)
}
