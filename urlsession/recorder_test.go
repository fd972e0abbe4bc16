package urlsession_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/urlkit/urlkit/storage/altsvc"
	"github.com/urlkit/urlkit/urlsession"
)

// recorder writes down the calls of a delegate, one word each. Repeated calls of one
// kind are one word with a star.
type recorder struct {
	mu    sync.Mutex
	words []string
	data  strings.Builder
}

func (r *recorder) say(format string, args ...any) {
	word := fmt.Sprintf(format, args...)
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.words); n > 0 && strings.HasSuffix(word, "*") && r.words[n-1] == word {
		return
	}
	r.words = append(r.words, word)
}

func (r *recorder) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()

	return strings.Join(r.words, " ")
}

// ending is the word for how a task ended.
func ending(err error) string {
	var e *urlsession.Error
	switch {
	case err == nil:
		return "nil"
	case errors.As(err, &e):
		return fmt.Sprint(int(e.Code))
	default:
		return "?"
	}
}

// ofHandshake tells whether TLS asks: once for each connection, whose number is not
// what most tests are about.
func ofHandshake(c *urlsession.Challenge) bool {
	return c.Space.Method == urlsession.MethodServerTrust || c.Space.Method == urlsession.MethodClientCertificate
}

// delegate records every call, and answers as if the function were nil.
func (r *recorder) delegate() *urlsession.Delegate {
	return &urlsession.Delegate{
		DidReceiveChallenge: func(_ context.Context, _ urlsession.Task, c *urlsession.Challenge) (urlsession.Disposition, *urlsession.Credential) {
			if ofHandshake(c) {
				return urlsession.PerformDefaultHandling, nil
			}
			r.say("challenge(%d)", c.PreviousFailureCount)

			return urlsession.PerformDefaultHandling, nil
		},
		WillPerformHTTPRedirection: func(_ context.Context, _ urlsession.Task, resp *urlsession.Response, next *urlsession.Request) *urlsession.Request {
			r.say("redirect(%d)", resp.StatusCode)

			return next
		},
		WillBeginDelayedRequest: func(_ context.Context, _ urlsession.Task, req *urlsession.Request) *urlsession.Request {
			r.say("delayed")

			return req
		},
		NeedNewBodyStream: func(context.Context, urlsession.Task) (io.ReadCloser, error) {
			r.say("stream")

			return nil, nil
		},
		DidReceiveResponse: func(_ context.Context, _ urlsession.Task, resp *urlsession.Response) urlsession.ResponseDisposition {
			r.say("response(%d)", resp.StatusCode)

			return urlsession.ResponseAllow
		},
		WillCacheResponse: func(_ context.Context, _ urlsession.Task, proposed *urlsession.CachedResponse) *urlsession.CachedResponse {
			r.say("caches(%d)", proposed.Response.StatusCode)

			return proposed
		},
		DidCreateTask:                   func(urlsession.Task) { r.say("created") },
		TaskIsWaitingForConnectivity:    func(urlsession.Task) { r.say("waiting") },
		DidReceiveInformationalResponse: func(_ urlsession.Task, resp *urlsession.Response) { r.say("inform(%d)", resp.StatusCode) },
		DidSendBodyData:                 func(urlsession.Task, int64, int64, int64) { r.say("sent*") },
		DidReceiveData: func(_ urlsession.Task, data []byte) {
			r.say("data*")
			r.mu.Lock()
			defer r.mu.Unlock()
			r.data.Write(data)
		},
		DidBecomeDownloadTask: func(*urlsession.DataTask, *urlsession.DownloadTask) { r.say("became") },
		DidWriteData:          func(*urlsession.DownloadTask, int64, int64, int64) { r.say("written*") },
		DidFinishDownloading: func(*urlsession.DownloadTask, *urlsession.TemporaryFile) error {
			r.say("downloaded")

			return nil
		},
		DidFinishCollecting: func(_ urlsession.Task, m *urlsession.TaskMetrics) { r.say("metrics(%d)", len(m.Transactions)) },
		DidComplete:         func(_ urlsession.Task, err error) { r.say("complete(%s)", ending(err)) },
		DidBecomeInvalid:    func(error) { r.say("invalid") },
	}
}

// delegated makes an ephemeral session with a delegate.
func delegated(t testing.TB, d *urlsession.Delegate, change func(*urlsession.Configuration)) *urlsession.Session {
	t.Helper()
	cfg := urlsession.EphemeralConfiguration()
	cfg.RootCAs, cfg.AlternativeServices = roots(), known{altsvc.NewStore()}
	if change != nil {
		change(&cfg)
	}
	s, err := urlsession.New(cfg, d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})

	return s
}

// wait waits for a task's end, and not for ever.
func wait(t testing.TB, task urlsession.Task) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	err := task.Wait(ctx)
	if ctx.Err() != nil {
		t.Fatalf("task %d is %v after 30 seconds", task.Identifier(), task.State())
	}

	return err
}
