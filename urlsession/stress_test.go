package urlsession_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/urlsession"
)

const (
	stressRounds     = 1000
	stressGoroutines = 32
	stressTasks      = 2 // of each goroutine
)

// Thirty-two goroutines make, resume, suspend, cancel and read tasks of one
// session, change its tasks' delegates, and invalidate it half-way, a thousand
// times. Each task completes once, and DidBecomeInvalid comes once, after all else.
func TestStress(t *testing.T) {
	leak.Check(t)
	leak.CheckFiles(t)
	t.Setenv("TMPDIR", t.TempDir())
	base := serve(t, "http/1.1", orderOrigin())
	for number := range stressRounds {
		r := &round{number: number, calls: make(map[int]string), handled: make(map[int]bool)}
		r.urls = []string{"made://host/plain", "made://host/redirect", "made://host/upload", "made://host/hang"}
		if number%8 == 0 {
			r.urls = []string{base + "/plain", base + "/redirect", base + "/upload", base + "/hang"}
		}
		r.run(t)
		if t.Failed() {
			t.Fatalf("in round %d", number)
		}
	}
	left, err := os.ReadDir(os.TempDir())
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// round is one session.
type round struct {
	number int
	urls   []string
	s      *urlsession.Session
	made   atomic.Int32

	mu      sync.Mutex
	calls   map[int]string // of each task: created, going or complete
	handled map[int]bool   // those whose handler is called instead
	faults  []string
	invalid int
}

// say notes a call that was told of a task, in its order.
func (r *round) say(call string, task urlsession.Task) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.invalid > 0 {
		r.faults = append(r.faults, call+" after DidBecomeInvalid")
	}
	if task == nil {
		r.invalid++

		return
	}
	state := "going"
	switch call {
	case "DidCreateTask":
		state = "created"
	case "DidComplete", "DidBecomeDownloadTask":
		state = "complete"
	}
	id := task.Identifier()
	if before := r.calls[id]; (before == "") != (state == "created") || before == "complete" {
		if _, download := task.(*urlsession.DownloadTask); !download || before != "" { // it may have become one
			r.faults = append(r.faults, fmt.Sprintf("%s of task %d, which was %q", call, id, before))
		}
	}
	r.calls[id] = state
}

// delegate checks the order of what is told, and answers what is asked.
func (r *round) delegate() *urlsession.Delegate {
	d := (&recorder{}).delegate()
	d.NeedNewBodyStream = func(context.Context, urlsession.Task) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader("streamed")), nil
	}
	d.DidReceiveResponse = func(_ context.Context, task urlsession.Task, _ *urlsession.Response) urlsession.ResponseDisposition {
		if _, ok := task.(*urlsession.DataTask); ok && task.Identifier()%3 == 0 {
			return urlsession.ResponseBecomeDownload
		}

		return urlsession.ResponseAllow
	}
	asked := strings.Join(questions(), " ")
	within(d, func(function string, task urlsession.Task) {
		if !strings.Contains(asked, function) {
			r.say(function, task)
		}
	})

	return d
}

func (r *round) run(t *testing.T) {
	r.s = delegated(t, r.delegate(), func(c *urlsession.Configuration) {
		c.Protocols = []protocols.Scheme{{
			Name: "made", Security: protocols.Local,
			New: func(protocols.Client) protocols.URLProtocol { return loadFunc(stressed) },
		}}
	})
	handled := make([]atomic.Int32, stressGoroutines*stressTasks)
	tasks := make([]urlsession.Task, len(handled))
	var group sync.WaitGroup
	for g := range stressGoroutines {
		group.Go(func() {
			for i := range stressTasks {
				place := g*stressTasks + i
				tasks[place] = r.make(t, place, func() { handled[place].Add(1) })
				r.steer(tasks[place], place)
			}
		})
	}
	group.Wait()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := r.s.Finish(ctx); err != nil {
		t.Errorf("Finish: %v", err)
	}
	for place, task := range tasks {
		if err := task.Wait(ctx); ctx.Err() != nil || task.State() != urlsession.StateCompleted || err != task.Err() {
			t.Errorf("task %d is %v: %v", task.Identifier(), task.State(), err)
		}
		if got := handled[place].Load(); got != 1 && place%8 == 1 {
			t.Errorf("the handler of task %d was called %d times", task.Identifier(), got)
		}
	}
	r.check(t)
}

// make makes a task, and invalidates the session when half of them are made.
func (r *round) make(t *testing.T, place int, handled func()) (task urlsession.Task) {
	if int(r.made.Add(1)) == stressGoroutines*stressTasks/2 {
		if r.number%2 == 0 {
			r.s.FinishTasksAndInvalidate()
		} else {
			r.s.InvalidateAndCancel()
		}
	}
	url := r.urls[place/8%len(r.urls)]
	switch place % 8 {
	case 0:
		return r.s.UploadTask(request(t, http.MethodPut, url, nil), urlsession.StringBody("some data"))
	case 1:
		task = r.s.DataTaskWithHandler(get(t, url), func([]byte, *urlsession.Response, error) { handled() })
		r.mu.Lock()
		defer r.mu.Unlock()
		r.handled[task.Identifier()] = true

		return task
	case 2:
		return r.s.StreamedUploadTask(request(t, http.MethodPut, url, nil))
	case 3, 4:
		return r.s.DownloadTask(get(t, url))
	default:
		return r.s.DataTask(get(t, url))
	}
}

// steer does to a task what can be done, in the end so that it completes.
func (r *round) steer(task urlsession.Task, place int) {
	own := &urlsession.Delegate{WillPerformHTTPRedirection: func(_ context.Context, task urlsession.Task, _ *urlsession.Response, next *urlsession.Request) *urlsession.Request {
		task.Suspend()
		task.Resume()

		return next
	}}
	_ = task.SetDelegate(own)
	if place%5 == 0 {
		_ = task.SetDelegate(nil)
	}
	if place%6 == 0 {
		task.Suspend()
		task.Resume()
	}
	if place%7 == 0 {
		task.SetEarliestBeginDate(time.Now().Add(time.Millisecond))
	}
	task.Resume()
	_ = task.SetDelegate(own)
	task.Suspend()
	task.SetPriority(float64(place) / 64)
	_, _, _, _ = task.State(), task.Response(), task.CurrentRequest(), task.Delegate()
	_, _ = task.Progress().Fraction(), task.Progress().Rate()
	_, _, _ = r.s.Tasks()
	task.Resume()
	if place%3 == 0 || strings.HasSuffix(task.OriginalRequest().URL.Path, "/hang") {
		task.Cancel()
	}
}

// check looks at what was told.
func (r *round) check(t *testing.T) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, fault := range r.faults {
		t.Error(fault)
	}
	for id, state := range r.calls {
		if state != "complete" && !r.handled[id] {
			t.Errorf("task %d is %s", id, state)
		}
	}
	if r.invalid != 1 {
		t.Errorf("DidBecomeInvalid was told %d times", r.invalid)
	}
}

// stressed answers as orderOrigin does.
func stressed(ctx context.Context, req *protocols.Request) (*protocols.Response, error) {
	if req.Body != nil {
		if err := req.WriteBody(io.Discard); err != nil {
			return nil, err
		}
	}
	switch req.URL.Path {
	case "/hang":
		return never(ctx, req)
	case "/redirect":
		return &protocols.Response{StatusCode: http.StatusFound, Header: http.Header{"Location": {"/plain"}}}, nil
	default:
		return hi(ctx, req)
	}
}
