package engine

import (
	"container/heap"
	"fmt"
	"math"
	"os"
	"sync"
	"time"
)

var epoch = time.Now()

// now is a monotonic reading in nanoseconds.
func now() int64 { return int64(time.Since(epoch)) }

// timeoutError is the cause of a load that one of the two clocks ended.
type timeoutError struct {
	what  string
	after time.Duration
}

func (e *timeoutError) Error() string {
	return fmt.Sprintf("%s for %v", e.what, e.after)
}

func (e *timeoutError) Timeout() bool { return true }

func (e *timeoutError) Temporary() bool { return true }

func (e *timeoutError) Is(target error) bool { return target == os.ErrDeadlineExceeded }

// clock knows the running loads of a session, and serves both time-outs of all of
// them with one timer: a heap of the times at which a load must be looked at. A
// byte that moves only stores the time; the heap is touched when a load begins,
// ends, or is looked at.
type clock struct {
	mu        sync.Mutex
	loads     loads
	timer     *time.Timer
	next      int64 // when timer fires
	closed    bool
	cancelled bool
	active    sync.WaitGroup // loads that have begun and are not done
}

// entry is a load's place in the heap, guarded by the clock's lock.
type entry struct {
	due      int64
	resource int64
	limit    time.Duration
	since    int64 // when the first of the open questions was asked
	asked    int32 // open questions: both clocks stand still
	place    int32 // index in the heap, plus one; 0: not in it
}

const never = int64(1<<63 - 1)

// setClock sets both clocks. timeout is the request's own.
func (l *load) setClock(timeout time.Duration) {
	l.idle = l.engine.config.RequestTimeout
	if timeout != 0 {
		l.idle = timeout
	}
	start := now()
	l.moved.Store(start)
	l.timer.resource = never
	l.timer.limit = l.engine.config.ResourceTimeout
	if l.timer.limit > 0 {
		l.timer.resource = start + int64(l.timer.limit)
	}
	l.timer.due = l.timer.resource
	if l.idle > 0 {
		l.timer.due = min(l.timer.due, start+int64(l.idle))
	}
}

// waiting and idling bound the times at which the load waits for the network:
// only then the request's clock runs. What the app does not read costs no time.
func (l *load) waiting() {
	l.moved.Store(now())
	l.wait.Store(1)
}

func (l *load) idling() { l.wait.Store(0) }

// touch records that a byte moved.
func (l *load) touch() { l.moved.Store(now()) }

// add counts a load in and begins its clocks, or refuses it: Close finds every
// load that it waits for. A brief one may be what a running load needs to come to its
// end.
func (c *clock) add(l *load) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	needed := l.task.Brief && len(c.loads) > 0 && !c.cancelled
	if c.closed && !needed {
		return ErrInvalidated
	}
	c.active.Add(1)
	heap.Push(&c.loads, l)
	c.arm()

	return nil
}

// open tells by nil that loads may begin.
func (c *clock) open() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return ErrInvalidated
	}

	return nil
}

// close refuses new loads, and gives the running ones. cancels: they will be cancelled.
func (c *clock) close(cancels bool) (running []*load) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed, c.cancelled = true, c.cancelled || cancels

	return append(running, c.loads...)
}

func (c *clock) remove(l *load) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l.timer.place > 0 {
		heap.Remove(&c.loads, int(l.timer.place)-1)
	}
}

// stopTimer is for a session that is closed. Between loads the timer stays as it
// is: it fires once for nothing, which costs less than setting it for each load.
func (c *clock) stopTimer() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timer != nil {
		c.timer.Stop()
		c.timer = nil
	}
}

// left is the time that a load has until its resource time-out.
func (c *clock) left(l *load) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l.timer.resource == never {
		return math.MaxInt64
	}

	return time.Duration(l.timer.resource - now())
}

// pause stops both clocks of a load while a question to the app is open.
func (c *clock) pause(l *load) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l.timer.asked++; l.timer.asked == 1 {
		l.timer.since = now()
	}
}

// resume starts them again after the last of the open questions.
func (c *clock) resume(l *load) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l.timer.asked--; l.timer.asked > 0 {
		return
	}
	l.touch()
	at := now()
	if l.timer.resource != never {
		l.timer.resource += at - l.timer.since
	}
	if l.timer.place == 0 {
		return
	}
	l.timer.due = l.timer.resource
	if l.idle > 0 {
		l.timer.due = min(l.timer.due, at+int64(l.idle))
	}
	heap.Fix(&c.loads, int(l.timer.place)-1)
	c.arm()
}

// stop ends both clocks of a load that goes on as a connection. It stays in the
// heap, where Close finds it.
func (c *clock) stop(l *load) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l.idle, l.timer.resource, l.timer.due = 0, never, never
	if l.timer.place > 0 {
		heap.Fix(&c.loads, int(l.timer.place)-1)
	}
}

// arm sets the timer for the earliest load.
func (c *clock) arm() {
	if len(c.loads) == 0 || c.loads[0].timer.due == never {
		return
	}
	due := c.loads[0].timer.due
	if c.timer != nil && c.next <= due {
		return
	}
	if c.timer != nil {
		c.timer.Stop()
	}
	c.next = due
	c.timer = time.AfterFunc(time.Duration(due-now()), c.look)
}

// look ends the loads whose time is up, and finds out when to look again.
func (c *clock) look() {
	at := now()
	var late []*load
	var causes []error
	c.mu.Lock()
	if c.timer != nil {
		c.timer.Stop() // another one, where this call had to wait for the lock
	}
	c.timer = nil
	for len(c.loads) > 0 && c.loads[0].timer.due <= at {
		l := c.loads[0]
		cause := l.overdue(at)
		if cause == nil {
			heap.Fix(&c.loads, 0)

			continue
		}
		heap.Pop(&c.loads)
		late, causes = append(late, l), append(causes, cause)
	}
	c.arm()
	c.mu.Unlock()
	for i, l := range late {
		l.abandon(causes[i])
	}
}

// overdue tells which clock has run out, or sets the time of the next look.
func (l *load) overdue(at int64) error {
	if l.timer.asked > 0 {
		l.timer.due = never // resume sets it

		return nil
	}
	if l.timer.resource <= at {
		return &timeoutError{"not complete", l.timer.limit}
	}
	l.timer.due = l.timer.resource
	if l.idle <= 0 {
		return nil
	}
	idleDue := at + int64(l.idle)
	if l.wait.Load() > 0 {
		idleDue = l.moved.Load() + int64(l.idle)
	}
	if idleDue <= at {
		return &timeoutError{"no byte moved", l.idle}
	}
	l.timer.due = min(l.timer.due, idleDue)

	return nil
}

// loads is the heap, the earliest due first.
type loads []*load

func (s loads) Len() int           { return len(s) }
func (s loads) Less(i, j int) bool { return s[i].timer.due < s[j].timer.due }

func (s loads) Swap(i, j int) {
	s[i], s[j] = s[j], s[i]
	s[i].timer.place, s[j].timer.place = int32(i+1), int32(j+1)
}

// Push adds a *load; part of heap.Interface.
func (s *loads) Push(x any) {
	l, _ := x.(*load)
	*s = append(*s, l)
	l.timer.place = int32(len(*s))
}

// Pop takes the last; part of heap.Interface.
func (s *loads) Pop() any {
	last := len(*s) - 1
	l := (*s)[last]
	(*s)[last] = nil
	*s = (*s)[:last]
	l.timer.place = 0

	return l
}
