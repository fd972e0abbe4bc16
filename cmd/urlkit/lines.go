package main

import (
	"fmt"
	"io"
	"time"
)

// lineInterval is how often a long transfer gets a line.
const lineInterval = 5 * time.Second

// lines shows transfers where there is no terminal: a line at the start, one every
// few seconds, and one at the end, without escape codes.
type lines struct {
	lockedWriter

	interval time.Duration
}

func newLines(w io.Writer, interval time.Duration) *lines {
	return &lines{lockedWriter: lockedWriter{w: w}, interval: interval}
}

func (l *lines) begin(t *transfer) gauge {
	fmt.Fprintf(l, "%s: from %s\n", t.label(), t.brief)
	g := &lineGauge{lines: l, label: t.label()}
	g.pulse = newPulse(l.interval, g.line)

	return g
}

func (l *lines) close() {}

// lineGauge prints the lines of one transfer.
type lineGauge struct {
	watched

	lines *lines
	label string
	pulse *pulse
}

func (g *lineGauge) line() {
	if p := g.current(); p != nil {
		fmt.Fprintf(g.lines, "%s: %s\n", g.label, midway(p))
	}
}

func (g *lineGauge) end(o *outcome) {
	g.pulse.end()
	if o.err == nil {
		fmt.Fprintf(g.lines, "%s: %s\n", o.saved(), ended(o))
	}
}

// midway says how far a transfer is.
func midway(p progress) string {
	done, total := p.Completed(), p.Total()
	text := size(done)
	if total > 0 {
		text += fmt.Sprintf(" of %s (%d %%)", size(total), 100*done/total)
	}
	text += ", " + rate(p.Rate())
	if wait := left(p.Remaining()); wait != "" {
		text += ", " + wait + " left"
	}

	return text
}
