package urlsession_test

import (
	"cmp"
	"context"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/urlsession"
)

// connections is how many a session makes to one host by default.
const connections = 6

// slow is a server that says which requests have begun, and answers none until it
// is let go.
type slow struct {
	base    string
	arrived chan int // the number in the request's URL
	answer  chan struct{}
}

// newSlow makes a server that is asked at most that often.
func newSlow(t *testing.T, requests int) *slow {
	s := &slow{arrived: make(chan int, requests), answer: make(chan struct{})}
	s.base = serve(t, "http/1.1", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		number, _ := strconv.Atoi(r.URL.Path[1:])
		s.arrived <- number
		<-s.answer
	}))
	t.Cleanup(s.release) // before the server is closed, which waits for its answers

	return s
}

// release lets all answers go.
func (s *slow) release() {
	select {
	case <-s.answer:
	default:
		close(s.answer)
	}
}

// next waits for so many requests to begin, and gives them in order.
func (s *slow) next(t *testing.T, count int) (numbers []int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for range count {
		select {
		case number := <-s.arrived:
			numbers = append(numbers, number)
		case <-ctx.Done():
			t.Fatalf("only %d of %d requests have begun", len(numbers), count)
		}
	}

	return numbers
}

// request is the one with a number. It has one of three priorities.
func (s *slow) request(t *testing.T, number int) *urlsession.Request {
	t.Helper()
	req := get(t, s.base+"/"+strconv.Itoa(number))
	req.Priority = priorityOf(number)

	return req
}

func priorityOf(number int) float64 {
	return []float64{urlsession.PriorityLow, 0, urlsession.PriorityHigh}[number%3]
}

// TestCrowd resumes very many tasks at once to one host. Those that wait are no
// more than values: they cost their memory, and no goroutine. They begin by
// priority, equal ones in the order of Resume.
func TestCrowd(t *testing.T) {
	few, many, most := 1000, 100_000, 1536.0
	if raced || testing.Short() {
		many = 10_000
	}
	_, before := crowd(t, few)
	bytes, after := crowd(t, many)
	t.Logf("%d tasks: %.0f bytes each; %d goroutines, and %d with %d tasks", many, bytes, after, before, few)
	if bytes > most {
		t.Errorf("a task that waits takes %.0f bytes, want at most %.0f", bytes, most)
	}
	if after > before+30 {
		t.Errorf("%d goroutines with %d tasks, and %d with %d", before, few, after, many)
	}
}

// crowd loads by that many tasks. It returns what one takes while it waits, its
// request included, and how many goroutines there are then.
func crowd(t *testing.T, count int) (each float64, goroutines int) {
	server := newSlow(t, count)
	failed, left, complete := 0, count, make(chan struct{})
	s := delegated(t, &urlsession.Delegate{DidComplete: func(task urlsession.Task, err error) {
		if err != nil || task.Response().StatusCode != http.StatusOK {
			failed++
			t.Logf("%v: %v", task.OriginalRequest(), err)
		}
		if left--; left == 0 {
			close(complete)
		}
	}}, nil)
	requests := make([]*urlsession.Request, count)
	tasks := make([]urlsession.Task, count)
	before := inUse()
	for i := range tasks {
		requests[i] = server.request(t, i)
		tasks[i] = s.DataTask(requests[i])
	}
	for _, task := range slices.Backward(tasks) { // another order than that of the identifiers
		task.Resume()
	}
	begun := server.next(t, connections)
	each, goroutines = float64(inUse()-before)/float64(count), runtime.NumGoroutine()
	if waiting := s.AllTasks(); !slices.Equal(waiting, tasks) {
		t.Errorf("AllTasks gives %d other tasks than the %d that wait", len(waiting), count)
	}
	server.release()
	begun = append(begun, server.next(t, count-connections)...)
	select {
	case <-complete:
	case <-time.After(time.Minute):
		t.Fatal("they do not complete")
	}
	if left := s.AllTasks(); len(left) != 0 || failed != 0 {
		t.Errorf("%d tasks are left, and %d failed", len(left), failed)
	}
	inOrder(t, begun)
	runtime.KeepAlive(requests)

	return each, goroutines
}

// inUse is the memory of heap and stacks that is in use, in bytes.
func inUse() int64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.GC() // what the first one has only put aside, of pools
	runtime.ReadMemStats(&stats)

	return int64(stats.HeapInuse + stats.StackInuse)
}

// inOrder checks the order in which requests began that were resumed from the
// highest number down. When one begins, all whose turn was before have begun, but
// for those that the other connections are just about to send: it is never more
// places too early than there are others. Its own connection may hold it up for
// longer.
func inOrder(t *testing.T, begun []int) {
	t.Helper()
	turns := slices.Sorted(slices.Values(begun))
	slices.Reverse(turns)
	slices.SortStableFunc(turns[connections:], func(a, b int) int { // the first did not wait
		return cmp.Compare(priority(b), priority(a))
	})
	turn := make(map[int]int, len(turns))
	for i, number := range turns {
		turn[number] = i
	}
	if len(turn) != len(begun) {
		t.Fatalf("%d requests have begun, only %d of them different ones", len(begun), len(turn))
	}
	late := 0
	for i, number := range begun {
		late = max(late, i-turn[number])
		if early := turn[number] - i; early >= connections {
			t.Fatalf("%d began as the %dth, %d places too early", number, i, early)
		}
	}
	t.Logf("%d tasks: none more than %d places too late", len(begun), late)
}

// priority is that of a number's task.
func priority(number int) float64 {
	if p := priorityOf(number); p != 0 {
		return p
	}

	return urlsession.PriorityDefault
}

// inLine makes tasks with the default priority that wait for a single connection,
// while another, of number 0, has it.
func inLine(t *testing.T, count int) (*slow, []urlsession.Task) {
	t.Helper()
	server := newSlow(t, count+1)
	s := delegated(t, nil, func(c *urlsession.Configuration) { c.MaximumConnectionsPerHost = 1 })
	tasks := make([]urlsession.Task, count+1)
	for i := range tasks {
		tasks[i] = s.DataTask(get(t, server.base+"/"+strconv.Itoa(i)))
		tasks[i].Resume()
	}
	server.next(t, 1)

	return server, tasks
}

// ended waits for tasks that must not fail.
func ended(t *testing.T, tasks ...urlsession.Task) {
	t.Helper()
	for _, task := range tasks {
		if err := wait(t, task); err != nil {
			t.Errorf("task %d: %v", task.Identifier(), err)
		}
	}
}

func TestPriorityOfWaiting(t *testing.T) {
	leak.Check(t)
	server, tasks := inLine(t, 6)
	tasks[6].SetPriority(urlsession.PriorityHigh)
	tasks[1].SetPriority(urlsession.PriorityLow)
	tasks[4].SetPriority(1)
	tasks[2].SetPriority(0)
	tasks[4].SetPriority(urlsession.PriorityDefault) // back in its place
	tasks[0].SetPriority(0)                          // has its turn
	server.release()
	if got, want := server.next(t, 6), []int{6, 3, 4, 5, 1, 2}; !slices.Equal(got, want) {
		t.Errorf("they began as %v, want %v", got, want)
	}
	ended(t, tasks...)
}

func TestSuspendWaiting(t *testing.T) {
	leak.Check(t)
	server, tasks := inLine(t, 5)
	for _, i := range []int{1, 3, 4} {
		tasks[i].Suspend()
	}
	tasks[4].Suspend()
	tasks[3].Resume()
	tasks[1].Resume()
	tasks[4].Resume() // once of twice
	if state := tasks[4].State(); state != urlsession.StateSuspended {
		t.Errorf("state %v", state)
	}
	server.release()
	if got, want := server.next(t, 4), []int{2, 5, 3, 1}; !slices.Equal(got, want) {
		t.Errorf("they began as %v, want %v", got, want)
	}
	ended(t, tasks[0], tasks[1], tasks[2], tasks[3], tasks[5])
	tasks[4].Resume()
	server.next(t, 1)
	ended(t, tasks[4])
}

func TestCancelWaiting(t *testing.T) {
	leak.Check(t)
	server, tasks := inLine(t, 4)
	tasks[3].Suspend()
	for _, i := range []int{2, 3} {
		tasks[i].Cancel()
		wantCode(t, wait(t, tasks[i]), urlsession.Cancelled, context.Canceled)
		if sent, state := tasks[i].Response(), tasks[i].State(); sent != nil || state != urlsession.StateCompleted {
			t.Errorf("response %v, state %v", sent, state)
		}
	}
	server.release() // only now
	if got, want := server.next(t, 2), []int{1, 4}; !slices.Equal(got, want) {
		t.Errorf("they began as %v, want %v", got, want)
	}
	ended(t, tasks[0], tasks[1], tasks[4])
}

// Over HTTP/2 a host's tasks do not wait for the end of the first six.
func TestTurnsWidenAtTheHead(t *testing.T) {
	leak.Check(t)
	base := serve(t, "h2", orderOrigin())
	s := delegated(t, nil, nil)
	for range 10 {
		s.DataTask(get(t, base+"/hang")).Resume()
	}
	late := s.DataTask(get(t, base+"/plain"))
	late.Resume()
	if err := wait(t, late); err != nil {
		t.Error(err)
	}
	s.InvalidateAndCancel()
}
