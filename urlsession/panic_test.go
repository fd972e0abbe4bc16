package urlsession_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/urlsession"
)

// failing are the ways in which a function of the app's does not return.
var failing = map[string]func(){
	"panics":           func() { panic("on purpose") },
	"ends a goroutine": runtime.Goexit, // as testing's FailNow does
}

// A function that panics makes its task fail, and nothing else: the program goes on,
// the task completes once, and the session works.
func TestDelegatePanics(t *testing.T) {
	eachFunction(t, func(t *testing.T, first *called) {
		for name, fail := range failing {
			f := &called{name: first.name, origin: first.origin}
			task, err := f.run(t, func(urlsession.Task) { fail() })
			got := f.words.String()
			switch f.name {
			case "DidBecomeInvalid":
				if err != nil {
					t.Errorf("%s: %v", name, err)
				}

				continue
			case "DidComplete": // nobody is left to be told but who asks
				err = task.Err()
			default:
				if strings.Count(got, "complete(") != 1 || !strings.HasSuffix(got, "complete(-1) invalid") {
					t.Errorf("%s: %s", name, got)
				}
			}
			wantCode(t, err, urlsession.Unknown)
			if f.name == "DidBecomeDownloadTask" { // its task is complete by then
				err = nil
			}
			if task.Err() != err {
				t.Errorf("%s: Err is %v, told was %v", name, task.Err(), err)
			}
		}
	})
}

// The other tasks of a session do not notice that a function panics.
func TestOthersGoOn(t *testing.T) {
	eachFunction(t, func(t *testing.T, f *called) {
		if f.name == "DidBecomeInvalid" {
			return
		}
		for _, fail := range failing {
			d := (&recorder{}).delegate()
			if change := causes[f.name].change; change != nil {
				change(d)
			}
			within(d, func(function string, _ urlsession.Task) {
				if function == f.name {
					fail()
				}
			})
			s := delegated(t, &urlsession.Delegate{DidCreateTask: d.DidCreateTask}, quiet)
			bad := causes[f.name].make(t, s, f.origin)
			if err := bad.SetDelegate(d); err != nil && f.name != "DidCreateTask" { // which may have ended it
				t.Error(err)
			}
			bad.Resume()
			if err := wait(t, bad); f.name != "DidBecomeDownloadTask" { // complete by then
				wantCode(t, err, urlsession.Unknown)
			}
			good := s.DataTask(get(t, f.origin+"/plain"))
			good.Resume()
			if err := wait(t, good); err != nil && f.name != "DidCreateTask" { // each task has the session's
				t.Errorf("another task: %v", err)
			}
			if err := s.Finish(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestHandlerPanics(t *testing.T) {
	leak.Check(t)
	t.Setenv("TMPDIR", t.TempDir())
	base := serve(t, "h2", orderOrigin())
	var log strings.Builder
	s := delegated(t, nil, func(c *urlsession.Configuration) { c.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	for name, fail := range failing {
		data := s.DataTaskWithHandler(get(t, base+"/plain"), func([]byte, *urlsession.Response, error) { fail() })
		download := s.DownloadTaskWithHandler(get(t, base+"/plain"), func(*urlsession.TemporaryFile, *urlsession.Response, error) { fail() })
		for _, task := range []urlsession.Task{data, download} {
			task.Resume()
			wantCode(t, wait(t, task), urlsession.Unknown)
		}
		if got := strings.Count(log.String(), "has failed"); got != 2 {
			t.Errorf("%s: %d warnings", name, got)
		}
		log.Reset()
	}
	nothingLeft(t)
}

// With a Queue a piece of data may be given when the load is long done.
func TestQueuedCallPanics(t *testing.T) {
	leak.Check(t)
	base := serve(t, "http/1.1", orderOrigin())
	var r recorder
	d := r.delegate()
	d.DidReceiveData = func(urlsession.Task, []byte) { panic("on purpose") }
	q := newQueue(t)
	s := delegated(t, d, func(c *urlsession.Configuration) { c.Queue = q.add })
	task := s.DataTask(get(t, base+"/plain"))
	task.Resume()
	wantCode(t, wait(t, task), urlsession.Unknown)
	if got, want := r.String(), "created response(200) metrics(1) complete(-1)"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// An error of DidFinishDownloading is the task's, as an *Error.
func TestDidFinishDownloadingFails(t *testing.T) {
	leak.Check(t)
	t.Setenv("TMPDIR", t.TempDir())
	base := serve(t, "http/1.1", orderOrigin())
	inner := &urlsession.Error{Code: urlsession.CannotOpenFile, Op: "open", Err: errOfTheApp}
	for _, row := range []struct {
		err  error
		code urlsession.Code
	}{
		{errOfTheApp, urlsession.Unknown},
		{inner, urlsession.CannotOpenFile},
		{errors.Join(errOfTheApp, inner), urlsession.CannotOpenFile},
		{io.EOF, urlsession.NetworkConnectionLost},
		{context.Canceled, urlsession.Cancelled},
	} {
		var told error
		s := delegated(t, &urlsession.Delegate{
			DidFinishDownloading: func(*urlsession.DownloadTask, *urlsession.TemporaryFile) error { return row.err },
			DidComplete:          func(_ urlsession.Task, err error) { told = err },
		}, nil)
		task := s.DownloadTask(get(t, base+"/plain"))
		task.Resume()
		err := wait(t, task)
		wantCode(t, err, row.code, row.err)
		if told != err || task.Err() != err {
			t.Errorf("told %v, Err %v, Wait %v", told, task.Err(), err)
		}
	}
	nothingLeft(t)
}

// A panic in a blocking call's own delegate is its error.
func TestPanicInABlockingCall(t *testing.T) {
	for _, name := range functions() {
		switch name {
		case notHere, "DidBecomeInvalid", "NeedNewBodyStream", "WillBeginDelayedRequest",
			"DidReceiveResponse", "DidBecomeDownloadTask", "DidWriteData", "DidFinishDownloading": // Data does not call them
			continue
		}
		t.Run(name, func(t *testing.T) {
			leak.Check(t)
			base := serve(t, "h2", orderOrigin())
			d := (&recorder{}).delegate()
			within(d, func(function string, _ urlsession.Task) {
				if function == name {
					panic("on purpose")
				}
			})
			s := delegated(t, nil, quiet)
			path := causes[name].path
			if path == "" {
				path = "/plain"
			}
			req := request(t, http.MethodPost, base+path, urlsession.StringBody("some data"))
			if name == "WillCacheResponse" {
				req = get(t, base+path)
			}
			_, _, err := s.Data(urlsession.WithTaskDelegate(t.Context(), d), req)
			wantCode(t, err, urlsession.Unknown)
		})
	}
}
