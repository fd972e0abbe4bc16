package urlsession_test

import (
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/urlsession"
)

// held is a server that tells of each request, and answers it when it is let go:
// once for each.
type held struct {
	base    string
	arrived chan string // the path
	answer  chan struct{}
}

func newHeld(t *testing.T, wire string) *held {
	t.Helper()
	h := &held{arrived: make(chan string, 64), answer: make(chan struct{}, 64)}
	h.base = serve(t, wire, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.arrived <- r.URL.Path
		if r.URL.Path == "/body" {
			_, _ = io.WriteString(w, "begun")
			_ = http.NewResponseController(w).Flush()
		}
		select {
		case <-h.answer:
			_, _ = io.WriteString(w, "hello")
		case <-r.Context().Done():
		}
	}))

	return h
}

func wantState(t *testing.T, task urlsession.Task, want urlsession.State) {
	t.Helper()
	if got := task.State(); got != want {
		t.Fatalf("task %d is %v, want %v", task.Identifier(), got, want)
	}
}

// Each Suspend needs a Resume, from the one that a new task begins with; a Resume
// too many does nothing.
func TestSuspendsAreCounted(t *testing.T) {
	leak.Check(t)
	server := newHeld(t, "http/1.1")
	s := delegated(t, nil, nil)
	task := s.DataTask(get(t, server.base+"/"))
	task.Suspend()
	for range 2 {
		wantState(t, task, urlsession.StateSuspended)
		if tasks := s.AllTasks(); len(tasks) != 0 {
			t.Errorf("AllTasks gives %d that were not resumed", len(tasks))
		}
		task.Resume()
	}
	wantState(t, task, urlsession.StateRunning)
	<-server.arrived
	for range 3 {
		task.Resume() // nothing to resume
	}
	task.Suspend()
	task.Suspend()
	task.Resume()
	wantState(t, task, urlsession.StateSuspended)
	if tasks := s.AllTasks(); !slices.Equal(tasks, []urlsession.Task{task}) {
		t.Errorf("AllTasks gives %v, and not the suspended one", tasks)
	}
	task.Resume()
	wantState(t, task, urlsession.StateRunning)
	server.answer <- struct{}{}
	if err := wait(t, task); err != nil {
		t.Fatal(err)
	}
	for _, change := range []func(){task.Resume, task.Suspend, task.Cancel} {
		change()
		wantState(t, task, urlsession.StateCompleted)
	}
	if len(server.arrived) != 0 || task.Err() != nil {
		t.Errorf("%d more requests, %v", len(server.arrived), task.Err())
	}
}

// What a task says of itself.
func TestWhatATaskSays(t *testing.T) {
	leak.Check(t)
	base := serve(t, "h2", orderOrigin())
	s := delegated(t, nil, nil)
	req := request(t, http.MethodPost, base+"/again", urlsession.StringBody("12345"))
	req.Header.Set("X-App", "1")
	task := s.DataTask(req)
	req.Header.Set("X-App", "2")
	req.Method = http.MethodPut
	task.OriginalRequest().Header.Set("X-App", "3")
	task.SetDescription("mine")
	task.Resume()
	if err := wait(t, task); err != nil {
		t.Fatal(err)
	}
	original, current := task.OriginalRequest(), task.CurrentRequest()
	if original.Method != http.MethodPost || original.Header.Get("X-App") != "1" || original.URL.Path != "/again" {
		t.Errorf("original: %v %v", original, original.Header)
	}
	if current.Method != http.MethodPost || current.URL.Path != "/upload" || current.Header.Get("X-App") != "1" {
		t.Errorf("current: %v %v", current, current.Header)
	}
	current.URL.Path = "/changed"
	if got := task.CurrentRequest().URL.Path; got != "/upload" {
		t.Errorf("CurrentRequest is no copy: %s", got)
	}
	if resp := task.Response(); resp == nil || resp.URL.Path != "/upload" || !resp.OK() {
		t.Errorf("response %+v", resp)
	}
	counts := []int64{
		task.CountOfBytesSent(), task.CountOfBytesExpectedToSend(),
		task.CountOfBytesReceived(), task.CountOfBytesExpectedToReceive(),
	}
	if want := []int64{5, 5, 6, 6}; !slices.Equal(counts, want) {
		t.Errorf("counts %v, want %v", counts, want)
	}
	if task.Description() != "mine" || task.Err() != nil {
		t.Errorf("%q, %v", task.Description(), task.Err())
	}
}

func TestIdentifiersAndPriorities(t *testing.T) {
	leak.Check(t)
	s := delegated(t, nil, nil)
	req := get(t, "http://127.0.0.1/")
	first := s.DataTask(req)
	req.Priority = 7
	second := s.UploadTask(req, nil)
	req.Priority = urlsession.PriorityLow
	third := s.DownloadTask(req)
	for i, task := range []urlsession.Task{first, second, third} {
		if task.Identifier() != i+1 {
			t.Errorf("identifier %d of task %d", task.Identifier(), i+1)
		}
		if want := []float64{0.5, 1, 0.25}[i]; task.Priority() != want {
			t.Errorf("task %d has priority %v, want %v", i+1, task.Priority(), want)
		}
	}
	for priority, want := range map[float64]float64{-1: 0, 0: 0, 0.1: 0.1, 2: 1, math.Inf(1): 1, math.Inf(-1): 0} {
		if first.SetPriority(priority); first.Priority() != want {
			t.Errorf("priority %v becomes %v, want %v", priority, first.Priority(), want)
		}
	}
	if first.SetPriority(math.NaN()); first.Priority() != 0 {
		t.Errorf("priority NaN becomes %v", first.Priority())
	}
}

// cancelled are the moments at which a task is cancelled.
var cancelled = []struct {
	name, path string
	prepare    func(t *testing.T, server *held, task urlsession.Task)
}{
	{"never resumed", "/", func(*testing.T, *held, urlsession.Task) {}},
	{"waiting for the head", "/", func(_ *testing.T, server *held, task urlsession.Task) {
		task.Resume()
		<-server.arrived
	}},
	{"suspended before the head", "/", func(_ *testing.T, server *held, task urlsession.Task) {
		task.Resume()
		<-server.arrived
		task.Suspend()
	}},
	{"in the body", "/body", func(_ *testing.T, server *held, task urlsession.Task) {
		task.Resume()
		<-server.arrived
	}},
	{"just resumed", "/body", func(_ *testing.T, _ *held, task urlsession.Task) { task.Resume() }},
	{"resumed and suspended", "/body", func(_ *testing.T, _ *held, task urlsession.Task) {
		task.Resume()
		task.Suspend()
	}},
}

// A task can be cancelled at any time, by any number of goroutines, and completes
// once.
func TestCancel(t *testing.T) {
	for _, row := range cancelled {
		t.Run(row.name, func(t *testing.T) {
			leak.Check(t)
			for _, make := range []func(*testing.T, *urlsession.Session, string) urlsession.Task{dataTask, downloadTask} {
				server := newHeld(t, "http/1.1")
				r := &recorder{}
				s := delegated(t, r.delegate(), nil)
				task := make(t, s, server.base+row.path)
				row.prepare(t, server, task)
				var group sync.WaitGroup
				for range 4 {
					group.Go(func() {
						task.Cancel()
						task.Cancel()
						task.Resume()
					})
				}
				err := wait(t, task)
				group.Wait()
				wantCode(t, err, urlsession.Cancelled, context.Canceled)
				wantState(t, task, urlsession.StateCompleted)
				if got := r.String(); strings.Count(got, "complete(") != 1 || !strings.HasSuffix(got, "complete(-999)") {
					t.Error(got)
				}
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// When the context of a Wait ends only the waiting does.
func TestWaitGivesUp(t *testing.T) {
	leak.Check(t)
	server := newHeld(t, "h2")
	s := delegated(t, nil, nil)
	task := s.DataTask(get(t, server.base+"/"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := task.Wait(ctx); err != context.Canceled {
		t.Errorf("Wait: %v", err)
	}
	wantState(t, task, urlsession.StateSuspended)
	task.Resume()
	<-server.arrived
	if err := task.Wait(ctx); err != context.Canceled {
		t.Errorf("Wait: %v", err)
	}
	select {
	case <-task.Done():
		t.Error("the task is done")
	default:
	}
	server.answer <- struct{}{}
	<-task.Done()
	if err := task.Wait(ctx); err != nil {
		t.Errorf("Wait for a complete task: %v", err)
	}
}

// Reading stops where a task is suspended, and everything arrives after it.
func TestSuspendedInTheBody(t *testing.T) {
	onEachWire(t, bodyOf(64<<20), func(t *testing.T, base string) {
		leak.Check(t)
		var seen atomic.Int64
		var suspended atomic.Bool
		s := delegated(t, &urlsession.Delegate{DidReceiveData: func(task urlsession.Task, data []byte) {
			if suspended.Load() {
				t.Error("data while the task is suspended")
			}
			if seen.Add(int64(len(data))) > 1<<20 && suspended.CompareAndSwap(false, true) {
				task.Suspend()
			}
		}}, nil)
		task := s.DataTask(get(t, base))
		task.Resume()
		for !suspended.Load() {
			_, _ = load(t, s, get(t, base+"?short")) // something to do meanwhile, on the same connection
		}
		for range 20 {
			_, _ = load(t, s, get(t, base+"?short"))
		}
		wantState(t, task, urlsession.StateSuspended)
		suspended.Store(false)
		seen.Store(seen.Load() - 1<<62) // not again
		task.Resume()
		if err := wait(t, task); err != nil || seen.Load()+1<<62 != 64<<20 {
			t.Errorf("%d bytes, %v", seen.Load()+1<<62, err)
		}
	})
}

// bodyOf answers with so many bytes, or with few.
func bodyOf(n int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery == "short" {
			_, _ = io.WriteString(w, "short")

			return
		}
		piece := make([]byte, 64<<10)
		for left := n; left > 0; left -= len(piece) {
			if _, err := w.Write(piece[:min(left, len(piece))]); err != nil {
				return
			}
		}
	})
}

var errOfTheApp = errors.New("the app's own")
