package urlsession

import (
	"container/heap"
	"strings"
	"sync"
)

// sharedTurns is how many tasks run at once to a host that answers over HTTP/2 or
// 3: more than most servers allow streams on a connection.
const sharedTurns = 256

// turns gives the tasks of a session their turns: as many as a host may have
// connections run at once, each on a goroutine; the others are values in a queue.
type turns struct {
	limit int // connections to one host; negative: no limit

	mu    sync.Mutex
	made  uint64
	lines map[string]*line
}

// line is the queue of one host, a heap: the highest priority first, then the order
// of Resume.
type line struct {
	key     string
	limit   int
	running int
	waiting []*task
}

// place is a task's place in a line; guarded by the lock of turns.
type place struct {
	line     *line // nil: it does not wait
	index    int32
	turn     uint64
	priority float64
}

// lineOf names the line of a request; "": it needs no turn, because it makes no
// connection of the kind that is limited.
func (s *core) lineOf(req *Request) string {
	if s.turns.limit < 0 || req.URL == nil {
		return ""
	}
	scheme := strings.ToLower(req.URL.Scheme)
	if scheme != "http" && scheme != "https" || s.engine.Local(req) {
		return ""
	}

	host, port := strings.ToLower(req.URL.Host), ":443"
	if scheme == "http" {
		port = ":80"
	}

	return scheme + "://" + strings.TrimSuffix(host, port)
}

// begin lets a task run now, on a goroutine of its own, or when it is its turn.
func (q *turns) begin(t *task, key string, priority float64) {
	if key == "" {
		go t.load(nil)

		return
	}
	q.mu.Lock()
	l := q.lines[key]
	if l == nil {
		l = &line{key: key, limit: q.limit}
		if q.lines == nil {
			q.lines = make(map[string]*line)
		}
		q.lines[key] = l
	}
	if l.running < l.limit {
		l.running++
		q.mu.Unlock()
		go q.work(l, t)

		return
	}
	defer q.mu.Unlock()
	q.made++
	t.place = place{line: l, turn: q.made, priority: priority}
	heap.Push(l, t)
}

// work runs a task, and then those whose turn it is.
func (q *turns) work(l *line, t *task) {
	defer func() {
		if t != nil { // a callback has ended this goroutine
			if t = q.next(l); t != nil {
				go q.work(l, t)
			}
		}
	}()
	for t != nil {
		t.load(l)
		t = q.next(l)
	}
}

// widen is called where a host answers over a connection that several requests
// share: it leaves room for many more.
func (q *turns) widen(l *line) {
	q.mu.Lock()
	defer q.mu.Unlock()
	l.limit = max(l.limit, sharedTurns)
	for len(l.waiting) > 0 && l.running < l.limit {
		l.running++
		go q.work(l, l.first())
	}
}

// next ends a turn and gives the task that has the next one; nil: none waits.
func (q *turns) next(l *line) *task {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(l.waiting) > 0 {
		return l.first()
	}
	if l.running--; l.running == 0 {
		delete(q.lines, l.key)
	}

	return nil
}

// leave takes a task out of its line; false: it was in none.
func (q *turns) leave(t *task) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := t.place.line
	if l == nil {
		return false
	}
	heap.Remove(l, int(t.place.index))

	return true
}

// moved puts a task whose priority has changed in its new place. The task's lock is
// held.
func (q *turns) moved(t *task, priority float64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if l := t.place.line; l != nil {
		t.place.priority = priority
		heap.Fix(l, int(t.place.index))
	}
}

// first takes out the task whose turn it is. The lock is held.
func (l *line) first() *task {
	t, _ := heap.Pop(l).(*task)

	return t
}

func (l *line) Len() int { return len(l.waiting) }

func (l *line) Less(i, j int) bool {
	a, b := &l.waiting[i].place, &l.waiting[j].place
	if a.priority != b.priority {
		return a.priority > b.priority
	}

	return a.turn < b.turn
}

func (l *line) Swap(i, j int) {
	l.waiting[i], l.waiting[j] = l.waiting[j], l.waiting[i]
	l.waiting[i].place.index, l.waiting[j].place.index = int32(i), int32(j)
}

// Push adds a *task; part of heap.Interface.
func (l *line) Push(x any) {
	t, _ := x.(*task)
	t.place.index = int32(len(l.waiting))
	l.waiting = append(l.waiting, t)
}

// Pop takes the last; part of heap.Interface.
func (l *line) Pop() any {
	last := len(l.waiting) - 1
	t := l.waiting[last]
	l.waiting[last] = nil
	l.waiting = l.waiting[:last]
	t.place.line = nil

	return t
}
