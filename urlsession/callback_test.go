package urlsession_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/urlsession"
)

// functions are the names of a delegate's functions.
func functions() []string {
	var names []string
	for field := range reflect.TypeFor[urlsession.Delegate]().Fields() {
		if field.IsExported() && field.Type.Kind() == reflect.Func {
			names = append(names, field.Name)
		}
	}

	return names
}

// within makes every function of a delegate call another first, with its name and
// its task; nil: the session's.
func within(d *urlsession.Delegate, call func(function string, t urlsession.Task)) {
	v := reflect.ValueOf(d).Elem()
	for _, name := range functions() {
		field := v.FieldByName(name)
		original := reflect.ValueOf(field.Interface())
		field.Set(reflect.MakeFunc(field.Type(), func(in []reflect.Value) []reflect.Value {
			var task urlsession.Task
			for _, argument := range in {
				if c, ok := argument.Interface().(*urlsession.Challenge); ok && ofHandshake(c) {
					return original.Call(in) // others wait for the connection
				}
				if found, ok := argument.Interface().(urlsession.Task); ok && task == nil {
					task = found
				}
			}
			call(name, task)

			return original.Call(in)
		}))
	}
}

// loaded is what makes a session call a function of its delegate.
type loaded struct {
	path   string
	change func(*urlsession.Delegate)
	task   func(t *testing.T, s *urlsession.Session, url string) urlsession.Task // nil: a data task
}

func upload(t *testing.T, s *urlsession.Session, url string) urlsession.Task {
	return s.UploadTask(request(t, http.MethodPost, url, nil), urlsession.StringBody("some data"))
}

func (l loaded) make(t *testing.T, s *urlsession.Session, base string) urlsession.Task {
	path := l.path
	if path == "" {
		path = "/plain"
	}
	if l.task == nil {
		return dataTask(t, s, base+path)
	}

	return l.task(t, s, base+path)
}

// causes tell how each function comes to be called. Those that are not here are
// called by any data task.
var causes = map[string]loaded{
	"DidReceiveChallenge":        {path: "/secret"},
	"WillPerformHTTPRedirection": {path: "/redirect"},
	"WillBeginDelayedRequest": {path: "/plain", task: func(t *testing.T, s *urlsession.Session, url string) urlsession.Task {
		task := s.DataTask(get(t, url))
		task.SetEarliestBeginDate(time.Unix(1, 0))

		return task
	}},
	"NeedNewBodyStream": {path: "/upload", change: func(d *urlsession.Delegate) {
		d.NeedNewBodyStream = func(context.Context, urlsession.Task) (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader("streamed")), nil
		}
	}, task: func(t *testing.T, s *urlsession.Session, url string) urlsession.Task {
		return s.StreamedUploadTask(request(t, http.MethodPut, url, nil))
	}},
	"DidReceiveInformationalResponse": {path: "/early"},
	"DidSendBodyData":                 {path: "/upload", task: upload},
	"DidBecomeDownloadTask": {path: "/plain", change: func(d *urlsession.Delegate) {
		d.DidReceiveResponse = func(context.Context, urlsession.Task, *urlsession.Response) urlsession.ResponseDisposition {
			return urlsession.ResponseBecomeDownload
		}
	}},
	"DidWriteData":         {path: "/plain", task: downloadTask},
	"DidFinishDownloading": {path: "/plain", task: downloadTask},
}

// notHere needs a network that is down; TestWaitingForConnectivity has one.
const notHere = "TaskIsWaitingForConnectivity"

// eachFunction runs a task for each function of a delegate, which is called first
// in it.
func eachFunction(t *testing.T, test func(t *testing.T, f *called)) {
	t.Helper()
	for _, name := range functions() {
		if name == notHere {
			continue
		}
		t.Run(name, func(t *testing.T) {
			leak.Check(t)
			leak.CheckFiles(t)
			t.Setenv("TMPDIR", t.TempDir())
			test(t, &called{name: name, origin: serve(t, "http/1.1", orderOrigin())})
			nothingLeft(t)
		})
	}
}

// quiet keeps what a session warns of to itself.
func quiet(c *urlsession.Configuration) { c.Logger = slog.New(slog.DiscardHandler) }

// called is a function of a delegate that does something, once.
type called struct {
	name   string
	origin string
	words  recorder
	once   atomic.Bool // the function was called: what it loads may call it again
	s      *urlsession.Session
}

// run makes a session whose function does something once, and runs a task to its
// end. The error is that of the last task that completes.
func (f *called) run(t *testing.T, does func(task urlsession.Task)) (task urlsession.Task, last error) {
	t.Helper()
	cause := causes[f.name]
	d := f.words.delegate()
	if cause.change != nil {
		cause.change(d)
	}
	complete := d.DidComplete
	d.DidComplete = func(task urlsession.Task, err error) {
		complete(task, err)
		last = err
	}
	within(d, func(function string, task urlsession.Task) {
		if function == f.name && !f.once.Swap(true) {
			does(task)
		}
	})
	f.s = delegated(t, d, quiet)
	task = cause.make(t, f.s, f.origin)
	task.Resume()
	_ = wait(t, task)
	if err := f.s.Finish(t.Context()); err != nil {
		t.Error(err)
	}

	return task, last
}

// Wait, Close and Finish would wait for the function that they are called from.
func TestWaitingInACallback(t *testing.T) {
	eachFunction(t, func(t *testing.T, f *called) {
		other := delegated(t, nil, nil)
		errs := make(chan error, 8)
		_, err := f.run(t, func(task urlsession.Task) {
			elsewhere := other.DataTask(get(t, f.origin+"/plain"))
			elsewhere.Resume()
			if err := elsewhere.Wait(t.Context()); err != nil {
				t.Errorf("Wait for another session's task: %v", err)
			}
			if task != nil {
				errs <- task.Wait(t.Context())
			}
			errs <- f.s.Finish(t.Context())
		})
		if err != nil && f.name != "DidCreateTask" { // there Finish may come before Resume
			t.Errorf("the task failed: %v", err)
		}
		close(errs)
		for err := range errs {
			if !errors.Is(err, urlsession.ErrInCallback) {
				t.Errorf("%v, want ErrInCallback", err)
			}
		}
	})
}

func TestCloseInACallback(t *testing.T) {
	eachFunction(t, func(t *testing.T, f *called) {
		inside := make(chan error, 1)
		_, err := f.run(t, func(urlsession.Task) { inside <- f.s.Close() })
		if err := <-inside; !errors.Is(err, urlsession.ErrInCallback) {
			t.Errorf("%v, want ErrInCallback", err)
		}
		if err != nil {
			wantCode(t, err, urlsession.Cancelled, urlsession.ErrSessionInvalidated)
		}
		if got := f.words.String(); strings.Count(got, "complete(") != 1 || !strings.HasSuffix(got, " invalid") {
			t.Error(got)
		}
	})
}

// Cancel works in every function.
func TestCancelInACallback(t *testing.T) {
	eachFunction(t, func(t *testing.T, f *called) {
		_, err := f.run(t, func(task urlsession.Task) {
			if task != nil {
				task.Cancel()
				task.Cancel()
			}
		})
		switch f.name {
		case "DidFinishDownloading", "DidFinishCollecting", "DidComplete", "DidBecomeInvalid", "DidReceiveData":
			if err == nil { // it had finished
				return
			}
		case "DidBecomeDownloadTask": // the data task is complete
			if err != nil {
				t.Error(err)
			}

			return
		}
		wantCode(t, err, urlsession.Cancelled, context.Canceled)
		if got := f.words.String(); strings.Count(got, "complete(") != 1 {
			t.Error(got)
		}
	})
}

// A new task and a blocking call work in every function, but that they are refused
// in the very last.
func TestLoadInACallback(t *testing.T) {
	eachFunction(t, func(t *testing.T, f *called) {
		var next urlsession.Task
		_, err := f.run(t, func(urlsession.Task) {
			made := f.s.DataTaskWithHandler(get(t, f.origin+"/plain"), func(data []byte, _ *urlsession.Response, err error) {
				f.words.say("handler(%s,%s)", data, ending(err))
			})
			made.Resume()
			next = made
			data, _, err := f.s.Data(t.Context(), get(t, f.origin+"/plain"))
			f.words.say("blocking(%s,%s)", data, ending(err))
		})
		if err != nil {
			t.Errorf("the task failed: %v", err)
		}
		_ = wait(t, next)
		want := []string{"handler(hello,nil)", "blocking(hello,nil)"}
		if f.name == "DidBecomeInvalid" {
			want = []string{"handler(,-999)", "blocking(,-999)"}
		}
		for _, word := range want {
			if got := f.words.String(); strings.Count(got, word) != 1 {
				t.Errorf("%s: not one %s", got, word)
			}
		}
	})
}

// A blocking call's own functions are in its way, too.
func TestWaitingInACallbackOfABlockingCall(t *testing.T) {
	for _, name := range functions() {
		if name == notHere || name == "DidBecomeInvalid" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			leak.Check(t)
			base := serve(t, "h2", orderOrigin())
			s := delegated(t, nil, nil)
			var words recorder
			d := words.delegate()
			within(d, func(function string, task urlsession.Task) {
				if function != name {
					return
				}
				if err := task.Wait(t.Context()); !errors.Is(err, urlsession.ErrInCallback) {
					t.Errorf("Wait: %v, want ErrInCallback", err)
				}
				other := s.DataTask(get(t, base+"/plain"))
				other.Resume()
				if err := other.Wait(t.Context()); err != nil {
					t.Errorf("Wait for another task: %v", err)
				}
				if err := s.Finish(t.Context()); !errors.Is(err, urlsession.ErrInCallback) {
					t.Errorf("Finish: %v, want ErrInCallback", err)
				}
			})
			path := causes[name].path
			if path == "" {
				path = "/plain"
			}
			req := request(t, http.MethodPost, base+path, urlsession.StringBody("some data"))
			if _, _, err := s.Data(urlsession.WithTaskDelegate(t.Context(), d), req); err != nil {
				t.Error(err)
			}
		})
	}
}

// A callback may load over the very connection on which its interim response came.
func TestLoadInAnInterimResponse(t *testing.T) {
	leak.Check(t)
	base := serve(t, "h2", orderOrigin())
	var r recorder
	d := r.delegate()
	d.DidCreateTask = nil
	var s *urlsession.Session
	d.DidReceiveInformationalResponse = func(urlsession.Task, *urlsession.Response) {
		data, _, err := s.Data(t.Context(), get(t, base+"/plain"))
		r.say("inform(%s,%s)", data, ending(err))
	}
	s = delegated(t, d, func(c *urlsession.Configuration) { c.RequestTimeout = 10 * time.Second })
	task := s.DataTask(get(t, base+"/early"))
	task.Resume()
	if err := wait(t, task); err != nil {
		t.Error(err)
	}
	if got, want := r.String(), "caches(200) inform(hello,nil) response(200) data* caches(200) metrics(1) complete(nil)"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
