package urlsession_test

import (
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/urlsession"
)

// busy answers 503 so often, and then with what it was sent.
func busy(times int32, after string) http.HandlerFunc {
	var requests atomic.Int32

	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if requests.Add(1) <= times {
			w.Header().Set("Retry-After", after)
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		fmt.Fprintf(w, "%s %s", r.Method, body)
	}
}

// To its delegate a task that was repeated had one response.
func TestRetriedTask(t *testing.T) {
	leak.Check(t)
	for _, wire := range allWires {
		t.Run(wire, func(t *testing.T) {
			var words recorder
			delegate := words.delegate()
			metrics := make(chan *urlsession.TaskMetrics, 1)
			delegate.DidFinishCollecting = func(_ urlsession.Task, m *urlsession.TaskMetrics) { metrics <- m }
			delegate.NeedNewBodyStream = func(context.Context, urlsession.Task) (io.ReadCloser, error) {
				words.say("stream")

				return io.NopCloser(strings.NewReader("payload")), nil
			}
			s := delegated(t, delegate, func(c *urlsession.Configuration) {
				c.Retry = urlsession.RetryPolicy{Attempts: 3, FirstDelay: time.Millisecond}
			})
			task := s.StreamedUploadTask(request(t, http.MethodPut, serve(t, wire, busy(2, "0")), nil))
			task.Resume()
			if err := wait(t, task); err != nil {
				t.Fatal(err)
			}
			const want = "created stream sent* stream sent* stream sent* response(200) data* complete(nil)"
			if got := words.String(); got != want {
				t.Errorf("it was told\n%s, want\n%s", got, want)
			}
			if got := words.data.String(); got != "PUT payload" {
				t.Errorf("it got %q", got)
			}
			var got []string
			for _, transaction := range (<-metrics).Transactions {
				got = append(got, fmt.Sprint(transaction.Response.StatusCode, " ", transaction.Retry))
			}
			if want := []string{"503 ", "503 status", "200 status"}; !slices.Equal(got, want) {
				t.Errorf("transactions %q, want %q", got, want)
			}
		})
	}
}

// A task that waits for its next attempt can be suspended, cancelled, and ended with
// its session.
func TestWaitingForAnAttempt(t *testing.T) {
	leak.Check(t)
	tests := []struct {
		name string
		end  func(*urlsession.Session, urlsession.Task)
		code urlsession.Code
	}{
		{"cancel", func(_ *urlsession.Session, task urlsession.Task) { task.Cancel() }, urlsession.Cancelled},
		{"invalidate", func(s *urlsession.Session, _ urlsession.Task) { s.InvalidateAndCancel() }, urlsession.Cancelled},
		{"suspend and cancel", func(_ *urlsession.Session, task urlsession.Task) {
			task.Suspend()
			task.Cancel()
		}, urlsession.Cancelled},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			answered := make(chan struct{}, 9)
			handler := busy(9, "50")
			base := serve(t, "http/1.1", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				handler(w, r)
				answered <- struct{}{}
			}))
			s := session(t, func(c *urlsession.Configuration) { c.Retry.Attempts = 2 })
			task := s.DataTask(get(t, base))
			task.Resume()
			<-answered
			began := time.Now()
			tt.end(s, task)
			wantCode(t, wait(t, task), tt.code)
			if took := time.Since(began); took > 20*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

// A suspended task sends nothing, and goes on when it is resumed.
func TestSuspendedTaskIsNotRetried(t *testing.T) {
	leak.Check(t)
	requests := make(chan struct{}, 2)
	handler := busy(1, "0")
	s := session(t, func(c *urlsession.Configuration) {
		c.Retry = urlsession.RetryPolicy{Attempts: 2, FirstDelay: 20 * time.Millisecond}
	})
	var task *urlsession.DataTask
	var once sync.Once
	base := serve(t, "http/1.1", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		once.Do(task.Suspend) // before there is an answer
		requests <- struct{}{}
		handler(w, r)
	}))
	task = s.DataTask(get(t, base))
	task.Resume()
	select {
	case <-requests:
	case <-time.After(20 * time.Second):
		t.Fatal("no request")
	}
	select {
	case <-requests:
		t.Fatal("a suspended task sent a request")
	case <-time.After(100 * time.Millisecond): // several times the pause
	}
	task.Resume()
	if err := wait(t, task); err != nil || task.Response().StatusCode != http.StatusOK {
		t.Errorf("%v, %v", task.Response(), err)
	}
}

func TestRetryPolicyIsChecked(t *testing.T) {
	for _, policy := range []urlsession.RetryPolicy{{Factor: 0.5}, {Factor: -1}, {Factor: math.NaN()}, {Statuses: []int{200}}, {Statuses: []int{600}}} {
		c := urlsession.EphemeralConfiguration()
		c.Retry = policy
		if s, err := urlsession.New(c, nil); err == nil {
			_ = s.Close()
			t.Errorf("%+v is accepted", policy)
		}
	}
}

func TestRetryPolicyIsCopied(t *testing.T) {
	c := urlsession.EphemeralConfiguration()
	c.Retry = urlsession.RetryPolicy{Statuses: []int{503}, Codes: []urlsession.Code{urlsession.TimedOut}}
	clone := c.Clone()
	clone.Retry.Statuses[0], clone.Retry.Codes[0] = 502, urlsession.DNSLookupFailed
	if c.Retry.Statuses[0] != 503 || c.Retry.Codes[0] != urlsession.TimedOut {
		t.Errorf("a change of the clone is one of the original: %+v", c.Retry)
	}
}
