package http

import (
	"math"
	"net/http"
	"slices"

	"github.com/urlkit/urlkit/protocols"
)

// urgencies are the values of the field Priority (RFC 9218 §4.1), the most urgent
// first.
var urgencies = [8][]string{{"u=0"}, {"u=1"}, {"u=2"}, {"u=3"}, {"u=4"}, {"u=5"}, {"u=6"}, {"u=7"}}

// usualUrgency is what a request has that says nothing.
const usualUrgency = 3

// urgencyOf is the urgency of a priority between 0 and 1: 1 is urgency 0, 0.75 is 2,
// 0.5 the default 3, 0.25 is 5, and what is next to nothing 7.
func urgencyOf(priority float64) int {
	switch {
	case !(priority > 0 && priority <= 1):
		return usualUrgency
	case priority >= 0.5:
		return int(math.Round((1 - priority) * 2 * usualUrgency))
	default:
		return usualUrgency + int(math.Round((1-priority*2)*4))
	}
}

// priorityOf is the priority that a request has now.
func priorityOf(req *protocols.Request) float64 {
	if now := req.Reprioritization.Priority(); now != 0 {
		return now
	}

	return req.Priority
}

// urgency is what the server has been told of a request whose priority may change.
type urgency struct {
	changes *protocols.Reprioritization // nil: it does not, or the app says by itself
	told    int
}

// urgencyIn is what the head of a request tells. An app that has a Priority of its own
// there may have more to say than a task's priority can.
func urgencyIn(header http.Header, req *protocols.Request) urgency {
	if req.Reprioritization == nil || len(req.Header["Priority"]) > 0 {
		return urgency{}
	}
	values := header["Priority"]
	if len(values) == 0 {
		return urgency{req.Reprioritization, usualUrgency}
	}
	told := slices.IndexFunc(urgencies[:], func(u []string) bool { return u[0] == values[0] })
	if told < 0 { // among what the session adds
		return urgency{}
	}

	return urgency{req.Reprioritization, told}
}

// PriorityChanged tells the peer of the stream's urgency.
func (s *stream) PriorityChanged() {
	s.codec.mu.Lock()
	s.codec.reprioritize(s)
	s.codec.send()
}

// reprioritize queues a PRIORITY_UPDATE (RFC 9218 §7.1), where there is news and the
// peer wants to know. The lock is held.
func (c *codec2) reprioritize(s *stream) {
	u := &s.urgency
	if u.changes == nil || s.id == 0 || s.gone || s.received {
		return // it does not change, has not begun, or has no more to come
	}
	if !c.peer.reprioritizes || len(c.out.queue) > maxQueued { // or has not read for long
		return
	}
	priority := u.changes.Priority()
	if now := urgencyOf(priority); priority != 0 && now != u.told {
		u.told = now
		_ = c.out.frames.WritePriorityUpdate(s.id, urgencies[now][0])
	}
}

// PriorityChanged puts the waiter in its new place.
func (w *waiter) PriorityChanged() {
	w.pool.mu.Lock()
	defer w.pool.mu.Unlock()
	now := w.changes.Priority()
	if w.queued && !w.nested && now != 0 && now != w.priority {
		q := &w.host.waiting
		q.unlink(w)
		w.priority = now
		q.push(w)
	}
}
