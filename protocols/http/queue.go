package http

import (
	"context"
	"sync/atomic"

	"github.com/urlkit/urlkit/protocols"
)

// waiter is a load that waits for a connection.
type waiter struct {
	pool     *pool
	host     *host
	ctx      context.Context
	trace    *protocols.Trace
	changes  *protocols.Reprioritization // nil: the priority stays
	priority float64
	number   int64         // among the host's waiters and attempts, in the order of time
	nested   bool          // others may wait for it: no limit holds it up
	ready    chan delivery // takes one
	dial     *dial         // the attempt it started, while that runs
	plan     *attempt      // at HTTP/3, which its dial may make; nil: none

	queued         bool
	before, behind *waiter
}

// delivery is what ends the waiting.
type delivery struct {
	conn *conn
	err  error
}

// queue holds waiters by priority, those of equal priority in order.
type queue struct {
	first, last *waiter
	n           atomic.Int32 // read without the lock too
}

func (q *queue) len() int { return int(q.n.Load()) }

// precedes tells whether w comes before another waiter.
func (w *waiter) precedes(other *waiter) bool {
	if w.priority != other.priority {
		return w.priority > other.priority
	}

	return w.number < other.number
}

func (q *queue) push(w *waiter) {
	before := q.last
	for before != nil && w.precedes(before) {
		before = before.before
	}
	w.queued, w.before = true, before
	if before != nil {
		w.behind, before.behind = before.behind, w
	} else {
		w.behind, q.first = q.first, w
	}
	if w.behind != nil {
		w.behind.before = w
	} else {
		q.last = w
	}
	q.n.Add(1)
}

func (q *queue) remove(w *waiter) {
	q.unlink(w)
	if w.dial != nil { // goes on for those who are left
		w.dial.owner, w.dial = nil, nil
	}
}

// unlink takes a waiter out that may come back.
func (q *queue) unlink(w *waiter) {
	if w.before != nil {
		w.before.behind = w.behind
	} else {
		q.first = w.behind
	}
	if w.behind != nil {
		w.behind.before = w.before
	} else {
		q.last = w.before
	}
	w.queued, w.before, w.behind = false, nil, nil
	q.n.Add(-1)
}

// pop takes the first; nil: nobody waits.
func (q *queue) pop() *waiter {
	w := q.first
	if w != nil {
		q.remove(w)
	}

	return w
}
