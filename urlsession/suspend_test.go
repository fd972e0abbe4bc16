package urlsession_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/urlsession"
)

// serveConn starts a server that gives each connection, once it has read a head, to
// a function.
func serveConn(t *testing.T, answer func(c net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if _, err := c.Read(make([]byte, 4<<10)); err == nil {
				answer(c)
			}
			_ = c.Close()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})

	return "http://" + l.Addr().String()
}

// A server sees a suspended task stop reading. Its clock stands still: it is
// suspended for longer than its RequestTimeout.
func TestServerSeesASuspendedTaskStop(t *testing.T) {
	leak.Check(t)
	const length, timeout = 64 << 20, 300 * time.Millisecond
	stopped := make(chan error, 1)
	base := serveConn(t, func(c net.Conn) {
		_, _ = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", length)
		left := make([]byte, length)
		_ = c.SetWriteDeadline(time.Now().Add(3 * timeout))
		n, err := c.Write(left)
		stopped <- err
		_ = c.SetWriteDeadline(time.Time{})
		_, _ = c.Write(left[n:])
		_, _ = io.Copy(io.Discard, c)
	})
	for _, make := range []func(*testing.T, *urlsession.Session, string) urlsession.Task{dataTask, downloadTask} {
		s := delegated(t, &urlsession.Delegate{
			DidReceiveResponse: func(_ context.Context, task urlsession.Task, _ *urlsession.Response) urlsession.ResponseDisposition {
				task.Suspend()

				return urlsession.ResponseAllow
			},
			DidWriteData: func(task *urlsession.DownloadTask, written, total, _ int64) {
				if written == total {
					task.Suspend()
				}
			},
		}, func(c *urlsession.Configuration) { c.RequestTimeout = timeout })
		task := make(t, s, base)
		task.Resume()
		if err := <-stopped; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the server wrote it all: %v", err)
		}
		wantState(t, task, urlsession.StateSuspended)
		task.Resume()
		if err := wait(t, task); err != nil || task.CountOfBytesReceived() != length {
			t.Errorf("%d bytes, %v", task.CountOfBytesReceived(), err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// inside makes a session in a bubble, whose scheme made: a function loads.
func inside(t *testing.T, d *urlsession.Delegate, load loadFunc, change func(*urlsession.Configuration)) *urlsession.Session {
	t.Helper()

	return delegated(t, d, func(c *urlsession.Configuration) {
		c.Protocols = []protocols.Scheme{{
			Name: "made", Security: protocols.Local,
			New: func(protocols.Client) protocols.URLProtocol { return load },
		}}
		if change != nil {
			change(c)
		}
	})
}

// never does not answer.
func never(ctx context.Context, _ *protocols.Request) (*protocols.Response, error) {
	<-ctx.Done()

	return nil, ctx.Err()
}

func hi(context.Context, *protocols.Request) (*protocols.Response, error) {
	return &protocols.Response{ContentLength: 2, Body: io.NopCloser(strings.NewReader("hi"))}, nil
}

// A server that never answers costs one clock or the other. Neither runs while the
// task is suspended or a question is open.
func TestClocks(t *testing.T) {
	leak.Check(t)
	synctest.Test(t, func(t *testing.T) {
		s := inside(t, nil, never, func(c *urlsession.Configuration) { c.ResourceTimeout = 5 * time.Minute })
		for timeout, want := range map[time.Duration]time.Duration{0: time.Minute, time.Hour: 5 * time.Minute, time.Second: time.Second} {
			req := get(t, "made://host/")
			req.Timeout = timeout
			task := s.DataTask(req)
			began := time.Now()
			task.Resume()
			synctest.Wait()
			<-time.After(want / 2)
			task.Suspend()
			<-time.After(24 * time.Hour)
			wantState(t, task, urlsession.StateSuspended)
			task.Resume()
			<-task.Done()
			wantCode(t, task.Err(), urlsession.TimedOut)
			if took := time.Since(began) - 24*time.Hour; took < want || took > 3*want/2 {
				t.Errorf("Timeout %v: failed after %v, want %v", timeout, took, want)
			}
		}
	})
}

// The clocks stand still during each question that is asked in a load.
func TestClocksDuringAQuestion(t *testing.T) {
	leak.Check(t)
	synctest.Test(t, func(t *testing.T) {
		s := inside(t, &urlsession.Delegate{
			WillPerformHTTPRedirection: func(_ context.Context, _ urlsession.Task, _ *urlsession.Response, next *urlsession.Request) *urlsession.Request {
				<-time.After(time.Hour)

				return next
			},
			DidReceiveResponse: func(context.Context, urlsession.Task, *urlsession.Response) urlsession.ResponseDisposition {
				<-time.After(time.Hour)

				return urlsession.ResponseAllow
			},
			DidReceiveData: func(urlsession.Task, []byte) { <-time.After(time.Hour) },
			DidComplete:    func(urlsession.Task, error) { <-time.After(time.Hour) },
		}, func(ctx context.Context, req *protocols.Request) (*protocols.Response, error) {
			if req.URL.Path == "/" {
				return &protocols.Response{StatusCode: http.StatusFound, Header: http.Header{"Location": {"/hi"}}}, nil
			}

			return hi(ctx, req)
		}, func(c *urlsession.Configuration) { c.ResourceTimeout = 90 * time.Minute }) // what is told takes an hour of it
		task := s.DataTask(get(t, "made://host/"))
		began := time.Now()
		task.Resume()
		<-task.Done()
		if took := time.Since(began); task.Err() != nil || took != 4*time.Hour {
			t.Errorf("after %v: %v", took, task.Err())
		}
	})
}

func TestEarliestBeginDate(t *testing.T) {
	leak.Check(t)
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{}
		s := inside(t, r.delegate(), hi, nil)
		later := func(by time.Duration) urlsession.Task {
			task := s.DataTask(get(t, "made://host/"))
			task.SetEarliestBeginDate(time.Now().Add(by))
			task.Resume()

			return task
		}
		began := time.Now()
		due, suspended, dropped, past := later(time.Hour), later(time.Hour), later(time.Hour), later(-time.Hour)
		suspended.Suspend()
		<-past.Done()
		if past.Err() != nil || time.Since(began) != 0 {
			t.Errorf("a task whose date is past: %v after %v", past.Err(), time.Since(began))
		}
		wantState(t, due, urlsession.StateRunning)
		<-time.After(time.Minute)
		dropped.Cancel()
		<-dropped.Done()
		wantCode(t, dropped.Err(), urlsession.Cancelled, context.Canceled)
		<-due.Done()
		if due.Err() != nil || time.Since(began) != time.Hour {
			t.Errorf("due: %v after %v", due.Err(), time.Since(began))
		}
		<-time.After(time.Hour)
		wantState(t, suspended, urlsession.StateSuspended)
		suspended.Resume()
		<-suspended.Done()
		if suspended.Err() != nil || time.Since(began) != 2*time.Hour {
			t.Errorf("suspended: %v after %v", suspended.Err(), time.Since(began))
		}
		if got := strings.Count(r.String(), "delayed"); got != 3 {
			t.Errorf("WillBeginDelayedRequest was asked %d times, want 3", got)
		}
	})
}

// The answer to WillBeginDelayedRequest is loaded; without one the task is
// cancelled.
func TestWillBeginDelayedRequest(t *testing.T) {
	leak.Check(t)
	var answer *urlsession.Request
	var asked []string
	s := inside(t, &urlsession.Delegate{
		WillBeginDelayedRequest: func(_ context.Context, _ urlsession.Task, req *urlsession.Request) *urlsession.Request {
			asked = append(asked, req.URL.Path)

			return answer
		},
	}, hi, nil)
	for _, answer = range []*urlsession.Request{nil, get(t, "made://host/new")} {
		task := s.DataTask(get(t, "made://host/old"))
		task.SetEarliestBeginDate(time.Now())
		task.Resume()
		err := wait(t, task)
		if answer == nil {
			wantCode(t, err, urlsession.Cancelled, context.Canceled)

			continue
		}
		if err != nil || task.CurrentRequest().URL.Path != "/new" || task.OriginalRequest().URL.Path != "/old" {
			t.Errorf("%v, %v, %v", err, task.OriginalRequest(), task.CurrentRequest())
		}
	}
	if len(asked) != 2 || asked[0] != "/old" {
		t.Errorf("asked for %v", asked)
	}
}

// A task that is suspended by the function that it asks goes on, to the next hop
// too, only when it is resumed.
func TestSuspendedInAQuestion(t *testing.T) {
	leak.Check(t)
	synctest.Test(t, func(t *testing.T) {
		loads := 0
		s := inside(t, &urlsession.Delegate{
			WillPerformHTTPRedirection: func(_ context.Context, task urlsession.Task, _ *urlsession.Response, next *urlsession.Request) *urlsession.Request {
				task.Suspend()

				return next
			},
		}, func(ctx context.Context, req *protocols.Request) (*protocols.Response, error) {
			if loads++; loads == 1 {
				return &protocols.Response{StatusCode: http.StatusFound, Header: http.Header{"Location": {"/"}}}, nil
			}

			return hi(ctx, req)
		}, nil)
		task := s.DataTask(get(t, "made://host/"))
		task.Resume()
		synctest.Wait()
		wantState(t, task, urlsession.StateSuspended)
		if loads != 1 {
			t.Errorf("%d loads of a suspended task", loads)
		}
		<-time.After(24 * time.Hour)
		task.Resume()
		<-task.Done()
		if task.Err() != nil || loads != 2 {
			t.Errorf("%d loads, %v", loads, task.Err())
		}
	})
}

// What a call takes is no time without a byte moving, while a body is sent too.
func TestClocksDuringASlowCall(t *testing.T) {
	leak.Check(t)
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		s := inside(t, &urlsession.Delegate{
			DidSendBodyData: func(urlsession.Task, int64, int64, int64) {
				calls++
				<-time.After(time.Hour)
			},
		}, func(ctx context.Context, req *protocols.Request) (*protocols.Response, error) {
			if err := req.WriteBody(io.Discard); err != nil {
				return nil, err
			}

			return hi(ctx, req)
		}, nil)
		body := urlsession.ReaderBody(io.MultiReader(strings.NewReader("a"), strings.NewReader("b")))
		task := s.UploadTask(request(t, http.MethodPost, "made://host/", nil), body)
		task.Resume()
		<-task.Done()
		if task.Err() != nil || calls != 2 {
			t.Errorf("%d calls, %v", calls, task.Err())
		}
	})
}

// A task's priority goes with its request to whoever loads it.
func TestPriorityOfTheRequest(t *testing.T) {
	leak.Check(t)
	var loaded []float64
	s := inside(t, nil, func(ctx context.Context, req *protocols.Request) (*protocols.Response, error) {
		loaded = append(loaded, req.Priority)

		return hi(ctx, req)
	}, nil)
	for _, priority := range []float64{-1, 0, 0.25, 0.5, 1} {
		task := s.DataTask(get(t, "made://host/"))
		if priority >= 0 {
			task.SetPriority(priority)
		}
		task.Resume()
		if err := wait(t, task); err != nil {
			t.Error(err)
		}
		if got := task.OriginalRequest().Priority; got != 0 {
			t.Errorf("the original request has priority %v", got)
		}
	}
	if len(loaded) != 5 || loaded[0] != 0 || loaded[1] <= 0 || loaded[1] > 1e-9 || loaded[2] != 0.25 || loaded[3] != 0 || loaded[4] != 1 {
		t.Errorf("loaded with %v", loaded)
	}
}
