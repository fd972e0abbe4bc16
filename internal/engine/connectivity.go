package engine

import (
	"context"
	"errors"
	"net"
	"strings"
	"time"

	"github.com/urlkit/urlkit/path"
	"github.com/urlkit/urlkit/protocols"
)

// The pauses between the attempts of a load that waits for connectivity: each is
// twice as long as the one before.
const (
	firstPause   = 250 * time.Millisecond
	longestPause = 10 * time.Second
)

// graceAttempts is how often a load that waited is patient with a resolver that is not
// ready when the path is there again.
const graceAttempts = 6

// awaitConnectivity waits where there was no path to connect by, and tells whether the
// hop may be loaded again (Apple's waitsForConnectivity): when the path changes, and
// now and then in any case, since a monitor does not know all. Meanwhile the request's
// clock stands still, and that of the resource runs. A connection that was made and
// breaks fails the load.
func (l *load) awaitConnectivity(h *hop, err error) bool {
	if !l.engine.config.WaitsForConnectivity || l.task.Brief || !l.nothingSent(h) || !unconnecting(err) {
		return false
	}
	var now path.Path
	monitor := l.engine.config.Path
	if monitor != nil {
		now = monitor.Current()
	}
	if !unconnected(err) && (monitor == nil || !l.offline(now, err)) {
		return false
	}
	waits := l.waits.Add(1)
	if waits == 1 && l.task.Waiting != nil {
		l.ask(l.task.Waiting)
	}
	pause := longestPause
	if doublings := waits - 1; doublings < 6 && (monitor == nil || now.Satisfied) {
		pause = min(firstPause<<doublings, longestPause)
	}
	l.logWaiting(pause)

	return l.rest(pause, func(ctx context.Context) {
		if monitor == nil {
			<-ctx.Done()
		} else {
			_, _ = monitor.Next(ctx, now) // the time was up, or not
		}
	}) == nil
}

// offline tells whether err is what a machine without a path makes of a name: a
// resolver that is still there has nobody to ask. Where there is a path again it may
// take a moment.
func (l *load) offline(now path.Path, err error) bool {
	if !unresolved(err) {
		return false
	}
	if !now.Satisfied {
		l.grace = graceAttempts

		return true
	}
	l.grace--

	return l.grace >= 0
}

// unconnected tells whether err is that there was no path when a connection was
// to be made, or none that it may use.
func unconnected(err error) bool {
	code := Classify(err)

	return unconnecting(err) && (code == protocols.NotConnectedToInternet || code == protocols.DataNotAllowed)
}

// unresolved tells whether err is that a resolver had no answer in time, or at all.
func unresolved(err error) bool {
	code := Classify(err)

	return unconnecting(err) && (code == protocols.DNSLookupFailed || code == protocols.TimedOut)
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

// permitted refuses a hop where the path is of a kind that the request or the session
// refuses. Loopback costs nothing.
func (h *hop) permitted() error {
	c := &h.of.engine.config
	cellular := c.RefusesCellular || h.request.RefusesCellular
	expensive := c.RefusesExpensiveNetwork || h.request.RefusesExpensiveNetwork
	constrained := c.RefusesConstrainedNetwork || h.request.RefusesConstrainedNetwork
	if !cellular && !expensive && !constrained || c.Path == nil || h.match.Security == protocols.Local || onLoopback(h.request.URL.Hostname()) {
		return nil
	}
	now := c.Path.Current()
	refusal := protocols.Error{Code: protocols.NotConnectedToInternet}
	switch {
	case cellular && now.Cellular:
		refusal.Code, refusal.NetworkUnavailableReason = protocols.DataNotAllowed, protocols.UnavailableCellular
	case expensive && now.Expensive:
		refusal.NetworkUnavailableReason = protocols.UnavailableExpensive
	case constrained && now.Constrained:
		refusal.NetworkUnavailableReason = protocols.UnavailableConstrained
	default:
		return nil
	}
	refusal.Err = errors.New("the path to the network is " + refusal.NetworkUnavailableReason.String() + ", which is refused")

	return at("connect", &refusal)
}

// onLoopback tells whether a host is this one.
func onLoopback(host string) bool {
	ip := net.ParseIP(host)

	return ip.IsLoopback() || strings.EqualFold(strings.TrimSuffix(host, "."), "localhost")
}
