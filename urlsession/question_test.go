package urlsession_test

import (
	"context"
	"io"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/urlsession"
)

// questions are the functions that a task asks.
func questions() (names []string) {
	for _, name := range functions() {
		field, _ := reflect.TypeFor[urlsession.Delegate]().FieldByName(name)
		if field.Type.NumIn() > 0 && field.Type.In(0) == reflect.TypeFor[context.Context]() {
			names = append(names, name)
		}
	}

	return names
}

// goroutines waits until there are so many, or for a while.
func goroutines(want int) int {
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end) && runtime.NumGoroutine() > want; {
		runtime.Gosched()
	}

	return runtime.NumGoroutine()
}

// A question that is never answered holds up nothing but itself.
func TestQuestionThatIsNotAnswered(t *testing.T) {
	if got := questions(); len(got) != 6 {
		t.Fatalf("the questions are %v", got)
	}
	for _, name := range questions() {
		for _, end := range []func(urlsession.Task, *urlsession.Session){
			func(task urlsession.Task, _ *urlsession.Session) { task.Cancel() },
			func(_ urlsession.Task, s *urlsession.Session) { s.InvalidateAndCancel() },
		} {
			t.Run(name, func(t *testing.T) {
				leak.Check(t)
				base := serve(t, "http/1.1", orderOrigin())
				before := runtime.NumGoroutine()
				asked, answer := make(chan struct{}), make(chan struct{})
				var words recorder
				d := words.delegate()
				if change := causes[name].change; change != nil {
					change(d)
				}
				within(d, func(function string, _ urlsession.Task) {
					if function == name {
						close(asked)
						<-answer
					}
				})
				s := delegated(t, d, nil)
				task := causes[name].make(t, s, base)
				task.Resume()
				<-asked
				other := s.DataTask(get(t, base+"/nothing"))
				if err := other.SetDelegate(&urlsession.Delegate{DidReceiveResponse: allow, WillCacheResponse: unstored}); err != nil {
					t.Error(err)
				}
				other.Resume()
				if err := wait(t, other); err != nil {
					t.Errorf("another task: %v", err)
				}
				end(task, s)
				wantCode(t, wait(t, task), urlsession.Cancelled)
				if err := s.Close(); err != nil {
					t.Error(err)
				}
				if got := goroutines(before + 1); got > before+1 {
					t.Errorf("%d goroutines, %d before", got, before)
				}
				got := words.String()
				close(answer)
				if strings.Count(got, "complete(-999)") != 1 || !strings.HasSuffix(got, " invalid") {
					t.Error(got)
				}
			})
		}
	}
}

func unstored(context.Context, urlsession.Task, *urlsession.CachedResponse) *urlsession.CachedResponse {
	return nil
}

func allow(context.Context, urlsession.Task, *urlsession.Response) urlsession.ResponseDisposition {
	return urlsession.ResponseAllow
}

// The context of a question ends with its task.
func TestContextOfAQuestion(t *testing.T) {
	leak.Check(t)
	base := serve(t, "h2", orderOrigin())
	ended := make(chan error, 1)
	s := delegated(t, &urlsession.Delegate{
		WillPerformHTTPRedirection: func(ctx context.Context, task urlsession.Task, _ *urlsession.Response, _ *urlsession.Request) *urlsession.Request {
			task.Cancel()
			<-ctx.Done()
			ended <- ctx.Err()

			return nil
		},
	}, nil)
	task := s.DataTask(get(t, base+"/redirect"))
	task.Resume()
	wantCode(t, wait(t, task), urlsession.Cancelled, context.Canceled)
	if err := <-ended; err != context.Canceled {
		t.Error(err)
	}
}

// A body that comes too late is closed.
func TestBodyThatComesLate(t *testing.T) {
	leak.Check(t)
	for range 20 { // now before the task is over, now after
		base := serve(t, "http/1.1", orderOrigin())
		var closed, given atomic.Int32
		s := delegated(t, &urlsession.Delegate{
			NeedNewBodyStream: func(_ context.Context, task urlsession.Task) (io.ReadCloser, error) {
				var group sync.WaitGroup
				group.Go(task.Cancel)
				if given.Add(1)%2 == 0 {
					group.Wait()
				}

				return plainReader{strings.NewReader("late"), &closed}, nil
			},
		}, nil)
		for range 2 {
			task := causes["NeedNewBodyStream"].make(t, s, base)
			task.Resume()
			if err := wait(t, task); err != nil {
				wantCode(t, err, urlsession.Cancelled, context.Canceled)
			}
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		for end := time.Now().Add(5 * time.Second); closed.Load() != given.Load() && time.Now().Before(end); {
			runtime.Gosched()
		}
		if closed.Load() != given.Load() {
			t.Fatalf("%d of %d bodies were closed", closed.Load(), given.Load())
		}
	}
}
