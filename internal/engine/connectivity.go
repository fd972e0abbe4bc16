package engine

import (
	"errors"
	"time"

	"github.com/urlkit/urlkit/protocols"
)

// The pauses between the attempts of a load that waits for connectivity: each is
// twice as long as the one before.
const (
	firstPause   = 250 * time.Millisecond
	longestPause = 10 * time.Second
)

// awaitConnectivity pauses where there was no path to connect by, and tells
// whether the hop may be loaded again (Apple's waitsForConnectivity). Meanwhile
// the request's clock stands still, and that of the resource runs. A connection
// that was made and breaks fails the load.
func (l *load) awaitConnectivity(h *hop, err error) bool {
	if !l.engine.config.WaitsForConnectivity || !unconnected(err) || !l.nothingSent(h) {
		return false
	}
	waits := l.waits.Add(1)
	if waits == 1 && l.task.Waiting != nil {
		l.ask(l.task.Waiting)
	}
	pause := longestPause
	if doublings := waits - 1; doublings < 6 {
		pause = min(firstPause<<doublings, longestPause)
	}
	l.logWaiting(pause)

	return l.rest(pause) == nil
}

// unconnected tells whether err is that there was no path when a connection was
// to be made.
func unconnected(err error) bool {
	return unconnecting(err) && Classify(err) == protocols.NotConnectedToInternet
}

// unconnecting tells whether err is that a connection could not be made.
func unconnecting(err error) bool {
	var p *phased

	return errors.As(err, &p) && p.phase == "connect"
}

// nothingSent tells whether nothing of the hop was carried out: no connection, no
// inner load, and no reading of a body that can be read only once.
func (l *load) nothingSent(h *hop) bool {
	return !h.checks.dialled.Load() && l.inner.Load() == h.inner && (h.given.Body.Replayable() || !l.opened.Load())
}
