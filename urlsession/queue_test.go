package urlsession_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/urlkit/urlkit/internal/goroutine"
	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/urlsession"
)

// queue runs calls on a goroutine of its own, as that of a user interface.
type queue struct {
	calls   chan func()
	running goroutine.ID
}

func newQueue(t *testing.T) *queue {
	t.Helper()
	q := &queue{calls: make(chan func(), 16)}
	begun, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		q.running = goroutine.Current()
		close(begun)
		for call := range q.calls {
			call()
		}
	}()
	<-begun
	t.Cleanup(func() {
		close(q.calls)
		<-done
	})

	return q
}

func (q *queue) add(calls func()) { q.calls <- calls }

// What is told is told on the queue's goroutine, one call at a time and in order.
// Questions are not.
func TestQueue(t *testing.T) {
	onEachWire(t, orderOrigin(), func(t *testing.T, base string) {
		leak.Check(t)
		t.Setenv("TMPDIR", t.TempDir())
		q := newQueue(t)
		asked := make(map[string]bool)
		for _, name := range questions() {
			asked[name] = true
		}
		var at atomic.Int32
		var words recorder
		d := words.delegate()
		within(d, func(function string, _ urlsession.Task) {
			if on := goroutine.Current() == q.running; on == asked[function] {
				t.Errorf("%s on the queue: %v", function, on)
			}
			if !asked[function] {
				if at.Add(1) != 1 {
					t.Errorf("%s while another is called", function)
				}
				at.Add(-1)
			}
		})
		s := delegated(t, d, func(c *urlsession.Configuration) { c.Queue = q.add })
		handled := s.DataTaskWithHandler(get(t, base+"/plain"), func(data []byte, _ *urlsession.Response, err error) {
			words.say("handler(%s,%s,%v)", data, ending(err), goroutine.Current() == q.running)
		})
		for _, task := range []urlsession.Task{
			dataTask(t, s, base+"/redirect"), upload(t, s, base+"/upload"), downloadTask(t, s, base+"/early"), handled,
		} {
			task.Resume()
			if err := wait(t, task); err != nil {
				t.Error(err)
			}
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		const want = "created created created created redirect(302) response(200) data* caches(200) metrics(2) complete(nil) " +
			"sent* response(200) data* metrics(1) complete(nil) inform(103) written* downloaded metrics(1) complete(nil) " +
			"caches(200) metrics(1) handler(hello,nil,true) invalid"
		if got := words.String(); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		nothingLeft(t)
	})
}

// Data is the app's own where a Queue brings it, and no more of it waits than 1 MiB.
func TestQueuedData(t *testing.T) {
	leak.Check(t)
	const pieces, size, bound = 256, 16 << 10, 1 << 20
	synctest.Test(t, func(t *testing.T) {
		var read atomic.Int64
		var pending []func()
		var kept [][]byte
		s := inside(t, &urlsession.Delegate{
			DidReceiveData: func(_ urlsession.Task, data []byte) { kept = append(kept, data) },
		}, func(context.Context, *protocols.Request) (*protocols.Response, error) {
			var body bytes.Buffer
			for i := range pieces {
				body.Write(bytes.Repeat([]byte{byte(i)}, size))
			}

			return &protocols.Response{ContentLength: -1, Body: io.NopCloser(&counting{&body, &read})}, nil
		}, func(c *urlsession.Configuration) {
			c.Queue = func(calls func()) { pending = append(pending, calls) }
		})
		task := s.DataTask(get(t, "made://host/"))
		task.Resume()
		synctest.Wait()
		if got := read.Load(); got < bound || got > bound+64<<10 {
			t.Errorf("%d bytes were read while nobody took any", got)
		}
		for complete := false; !complete; {
			synctest.Wait()
			calls := pending
			pending = nil
			for _, call := range calls {
				call()
			}
			select {
			case <-task.Done():
				complete = true
			default:
			}
		}
		whole := bytes.Join(kept, nil)
		for i := range pieces {
			if piece := whole[i*size : (i+1)*size]; !bytes.Equal(piece, bytes.Repeat([]byte{byte(i)}, size)) {
				t.Fatalf("piece %d of the data that was kept is another now", i)
			}
		}
		if err := task.Err(); err != nil || len(whole) != pieces*size {
			t.Errorf("%d bytes, %v", len(whole), err)
		}
		go s.Close()
		synctest.Wait()
		for _, call := range pending {
			call()
		}
	})
}

// counting counts what is read.
type counting struct {
	io.Reader

	n *atomic.Int64
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n.Add(int64(n))

	return n, err
}

// A Queue may make the calls at once, where they come up.
func TestQueueThatDoesNotWait(t *testing.T) {
	leak.Check(t)
	base := serve(t, "h2", orderOrigin())
	var words recorder
	d := words.delegate()
	var s *urlsession.Session
	within(d, func(function string, task urlsession.Task) {
		switch function {
		case "DidCreateTask":
			task.Resume()
			task.SetPriority(1)
			_ = s.AllTasks()
		case "DidReceiveData":
			if err := task.Wait(t.Context()); !errors.Is(err, urlsession.ErrInCallback) {
				t.Errorf("Wait: %v", err)
			}
		}
	})
	s = delegated(t, d, func(c *urlsession.Configuration) { c.Queue = func(calls func()) { calls() } })
	task := s.DataTask(get(t, base+"/plain"))
	if err := wait(t, task); err != nil {
		t.Error(err)
	}
	if got, want := words.String(), "created response(200) data* caches(200) metrics(1) complete(nil)"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	cancelled := s.DataTask(request(t, http.MethodGet, base+"/hang", nil))
	cancelled.Cancel()
	wantCode(t, wait(t, cancelled), urlsession.Cancelled)
}
