package urlsession_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/urlsession"
)

// FinishTasksAndInvalidate lets what runs come to its end, cancels what was not
// resumed, and refuses what is new. DidBecomeInvalid is last.
func TestFinishTasksAndInvalidate(t *testing.T) {
	leak.Check(t)
	server := newHeld(t, "http/1.1")
	var words recorder
	s := delegated(t, words.delegate(), nil)
	running, suspended, fresh := s.DataTask(get(t, server.base+"/1")), s.DataTask(get(t, server.base+"/2")), s.DataTask(get(t, server.base+"/3"))
	for _, task := range []urlsession.Task{running, suspended} {
		task.Resume()
		<-server.arrived
	}
	suspended.Suspend()
	var group sync.WaitGroup
	group.Go(func() {
		if data, _, err := s.Data(t.Context(), get(t, server.base+"/4")); err != nil || string(data) != "hello" {
			t.Errorf("a blocking call: %q, %v", data, err)
		}
	})
	<-server.arrived
	s.FinishTasksAndInvalidate()
	s.FinishTasksAndInvalidate()
	wantCode(t, wait(t, fresh), urlsession.Cancelled, urlsession.ErrSessionInvalidated)
	refuses(t, s)
	wantState(t, running, urlsession.StateRunning)
	wantState(t, suspended, urlsession.StateSuspended)
	suspended.Resume()
	for range 3 {
		server.answer <- struct{}{}
	}
	group.Wait()
	if err := errors.Join(wait(t, running), wait(t, suspended), s.Finish(t.Context())); err != nil {
		t.Error(err)
	}
	refuses(t, s)
	got := words.String()
	if strings.Count(got, "complete(nil)") != 2 || strings.Count(got, "complete(-999)") != 1 ||
		strings.Count(got, "invalid") != 1 || !strings.HasSuffix(got, " invalid") {
		t.Error(got)
	}
	if s.Delegate() != nil || len(s.AllTasks()) != 0 {
		t.Errorf("delegate %v, tasks %v", s.Delegate(), s.AllTasks())
	}
}

// refuses checks that a session that is being invalidated takes no loads, and says
// so at once, to a completion handler once.
func refuses(t *testing.T, s *urlsession.Session) {
	t.Helper()
	req := get(t, "data:,hi")
	for _, task := range []urlsession.Task{s.DataTask(req), s.UploadTask(req, nil), s.DownloadTask(req), s.StreamedUploadTask(req)} {
		wantState(t, task, urlsession.StateCompleted)
		wantCode(t, task.Err(), urlsession.Cancelled, urlsession.ErrSessionInvalidated)
		task.Resume()
		task.Cancel()
		if err := wait(t, task); err != task.Err() {
			t.Errorf("Wait: %v", err)
		}
	}
	var calls atomic.Int32
	handler := func(data []byte, resp *urlsession.Response, err error) {
		calls.Add(1)
		if data != nil || resp != nil {
			t.Errorf("%q, %v", data, resp)
		}
		wantCode(t, err, urlsession.Cancelled, urlsession.ErrSessionInvalidated)
	}
	for _, task := range []urlsession.Task{
		s.DataTaskWithHandler(req, handler), s.UploadTaskWithHandler(req, nil, handler),
		s.DownloadTaskWithHandler(req, func(f *urlsession.TemporaryFile, resp *urlsession.Response, err error) {
			if handler(nil, resp, err); f != nil {
				t.Error("a file")
			}
		}),
	} {
		task.Cancel()
		task.Resume()
		wantCode(t, wait(t, task), urlsession.Cancelled, urlsession.ErrSessionInvalidated)
	}
	if got := calls.Load(); got != 3 {
		t.Errorf("3 handlers were called %d times", got)
	}
	_, _, err := s.Data(t.Context(), req)
	wantCode(t, err, urlsession.Cancelled, urlsession.ErrSessionInvalidated)
	_, err = s.Bytes(t.Context(), req)
	wantCode(t, err, urlsession.Cancelled, urlsession.ErrSessionInvalidated)
	_, err = s.Download(t.Context(), req, "nowhere")
	wantCode(t, err, urlsession.Cancelled, urlsession.ErrSessionInvalidated)
}

// A task goes on as a download even if its session takes no new tasks.
func TestBecomeDownloadWhileFinishing(t *testing.T) {
	leak.Check(t)
	t.Setenv("TMPDIR", t.TempDir())
	for _, cancels := range []bool{false, true} {
		base := serve(t, "http/1.1", bodyOf(1<<20))
		var words recorder
		d := words.delegate()
		var s *urlsession.Session
		d.DidReceiveResponse = func(context.Context, urlsession.Task, *urlsession.Response) urlsession.ResponseDisposition {
			s.FinishTasksAndInvalidate()

			return urlsession.ResponseBecomeDownload
		}
		d.DidBecomeDownloadTask = func(old *urlsession.DataTask, d *urlsession.DownloadTask) {
			words.say("became")
			wantState(t, old, urlsession.StateCompleted)
			wantState(t, d, urlsession.StateRunning)
			if old.Cancel(); cancels {
				d.Suspend()
				s.InvalidateAndCancel()
			}
		}
		s = delegated(t, d, nil)
		task := s.DataTask(get(t, base))
		task.Resume()
		if err := s.Finish(t.Context()); err != nil {
			t.Error(err)
		}
		want := "created became written* downloaded metrics(1) complete(nil) invalid"
		if cancels {
			want = "created became metrics(1) complete(-999) invalid"
		}
		if got := words.String(); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		nothingLeft(t)
	}
}

func TestInvalidateAndCancel(t *testing.T) {
	for _, row := range cancelled {
		t.Run(row.name, func(t *testing.T) {
			leak.Check(t)
			server := newHeld(t, "h2")
			var words recorder
			s := delegated(t, words.delegate(), nil)
			task := s.DataTask(get(t, server.base+row.path))
			row.prepare(t, server, task)
			s.InvalidateAndCancel()
			s.FinishTasksAndInvalidate()
			wantCode(t, wait(t, task), urlsession.Cancelled, urlsession.ErrSessionInvalidated)
			refuses(t, s)
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			if got := words.String(); strings.Count(got, "complete(") != 1 || !strings.HasSuffix(got, "complete(-999) invalid") {
				t.Error(got)
			}
		})
	}
}

// When the context of Finish ends the tasks go on.
func TestFinishGivesUp(t *testing.T) {
	leak.Check(t)
	server := newHeld(t, "http/1.1")
	s := delegated(t, nil, nil)
	task := s.DataTask(get(t, server.base+"/"))
	task.Resume()
	<-server.arrived
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Finish(ctx); err != context.Canceled {
		t.Error(err)
	}
	server.answer <- struct{}{}
	if err := errors.Join(wait(t, task), s.Finish(t.Context())); err != nil {
		t.Error(err)
	}
}

// Nothing invalidates the shared session.
func TestSharedStays(t *testing.T) {
	s := urlsession.Shared()
	s.InvalidateAndCancel()
	s.FinishTasksAndInvalidate()
	if err := errors.Join(s.Close(), s.Finish(t.Context()), s.Flush(t.Context())); err != nil {
		t.Error(err)
	}
	task := s.DataTask(get(t, "data:,hi"))
	task.Resume()
	if err := wait(t, task); err != nil {
		t.Error(err)
	}
	if data, _, err := urlsession.Data(t.Context(), "data:,hi"); err != nil || string(data) != "hi" {
		t.Errorf("%q, %v", data, err)
	}
}

func TestTasksByKind(t *testing.T) {
	leak.Check(t)
	server := newHeld(t, "h2")
	s := delegated(t, nil, nil)
	req := get(t, server.base+"/")
	d1, u1, f1, d2, u2 := s.DataTask(req), s.UploadTask(req, nil), s.DownloadTask(req), s.DataTask(req), s.StreamedUploadTask(req)
	all := []urlsession.Task{d1, u1, f1, d2, u2}
	for _, task := range slices.Backward(all) {
		task.Resume()
	}
	s.DataTask(req) // is not resumed
	d2.Suspend()
	data, uploads, downloads := s.Tasks()
	if !slices.Equal(data, []*urlsession.DataTask{d1, d2}) || !slices.Equal(uploads, []*urlsession.UploadTask{u1, u2}) ||
		!slices.Equal(downloads, []*urlsession.DownloadTask{f1}) {
		t.Errorf("%v, %v, %v", data, uploads, downloads)
	}
	wantCode(t, wait(t, u2), urlsession.RequestBodyStreamExhausted) // nobody gives its body
	d1.Cancel()
	if got := s.AllTasks(); !slices.Equal(got, []urlsession.Task{u1, f1, d2}) {
		t.Errorf("%v", got)
	}
}

// Any number of goroutines may close a session.
func TestCloseAtOnce(t *testing.T) {
	leak.Check(t)
	server := newHeld(t, "h2")
	var words recorder
	s := delegated(t, words.delegate(), nil)
	for range 4 {
		s.DataTask(get(t, server.base+"/")).Resume()
		<-server.arrived
	}
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			end := s.Close
			if i%2 == 0 {
				end = func() error { return s.Finish(t.Context()) }
			}
			if err := end(); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if got := words.String(); strings.Count(got, "complete(-999)") != 4 || strings.Count(got, "invalid") != 1 || !strings.HasSuffix(got, " invalid") {
		t.Error(got)
	}
}

// Close ends a blocking call whose question waits for the end of its context.
func TestCloseEndsTheQuestionOfACall(t *testing.T) {
	leak.Check(t)
	base := serve(t, "http/1.1", orderOrigin())
	asked := make(chan struct{})
	s := delegated(t, &urlsession.Delegate{
		DidReceiveChallenge: func(ctx context.Context, _ urlsession.Task, _ *urlsession.Challenge) (urlsession.Disposition, *urlsession.Credential) {
			close(asked)
			<-ctx.Done()

			return urlsession.PerformDefaultHandling, nil
		},
	}, nil)
	failed := make(chan error, 1)
	go func() {
		_, _, err := s.Data(t.Context(), get(t, base+"/secret"))
		failed <- err
	}()
	<-asked
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	select {
	case err := <-closed:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("Close waits for a question")
	}
	wantCode(t, <-failed, urlsession.Cancelled, urlsession.ErrSessionInvalidated)
}

// DidBecomeInvalid comes after the last call of a blocking call's own delegate.
func TestInvalidAfterTheLastCall(t *testing.T) {
	leak.Check(t)
	base := serve(t, "http/1.1", orderOrigin())
	r := &recorder{}
	s := delegated(t, &urlsession.Delegate{DidBecomeInvalid: func(error) { r.say("invalid") }}, nil)
	begun := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		ctx := urlsession.WithTaskDelegate(t.Context(), &urlsession.Delegate{
			DidReceiveData: func(urlsession.Task, []byte) { close(begun) },
			DidComplete:    func(_ urlsession.Task, err error) { r.say("complete(%s)", ending(err)) },
		})
		_, _, _ = s.Data(ctx, get(t, base+"/cut"))
	}()
	<-begun
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	<-done
	if got := r.String(); !strings.HasSuffix(got, "invalid") || !strings.HasPrefix(got, "complete(") {
		t.Error(got)
	}
}

// Invalidation does not wait for a body that does not let go of its reader.
func TestInvalidateDoesNotWait(t *testing.T) {
	leak.Check(t)
	release := make(chan struct{})
	s := delegated(t, nil, func(c *urlsession.Configuration) {
		c.Protocols = []protocols.Scheme{{Name: "stuck", Security: protocols.Local, New: func(protocols.Client) protocols.URLProtocol {
			return loaderFunc(func(context.Context, *protocols.Request) (*protocols.Response, error) {
				return &protocols.Response{ContentLength: -1, Body: stuckBody{release}}, nil
			})
		}}}
	})
	if _, err := s.Bytes(t.Context(), get(t, "stuck:")); err != nil {
		t.Fatal(err)
	}
	returned := make(chan struct{})
	go func() {
		s.InvalidateAndCancel()
		close(returned)
	}()
	select {
	case <-returned:
	case <-time.After(20 * time.Second):
		t.Error("InvalidateAndCancel waits for a body to close")
	}
	close(release)
}

// stuckBody is a body whose Close waits.
type stuckBody struct{ release chan struct{} }

func (stuckBody) Read([]byte) (int, error) { return 1, nil }

func (b stuckBody) Close() error {
	<-b.release

	return nil
}
