package urlsession_test

import (
	"context"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/urlsession"
)

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

// Over HTTP/2 a host's tasks do not wait for the end of the first six.
func TestTurnsWidenAtTheHead(t *testing.T) {
	leak.Check(t)
	base := serve(t, "h2", orderOrigin())
	s := delegated(t, nil, nil)
	for range 10 {
		s.DataTask(get(t, base+"/hang")).Resume()
	}
	late := s.DataTask(get(t, base+"/plain"))
	late.Resume()
	if err := wait(t, late); err != nil {
		t.Error(err)
	}
	s.InvalidateAndCancel()
}

// The length in the answer to HEAD is not that of a body.
func TestHeadOfALargeBody(t *testing.T) {
	leak.Check(t)
	base := serve(t, "http/1.1", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000000")
	}))
	s := delegated(t, (&recorder{}).delegate(), func(c *urlsession.Configuration) { c.MaximumDataLength = 10 })
	data, resp, err := s.Data(t.Context(), request(t, http.MethodHead, base, nil))
	if err != nil || len(data) != 0 || resp.ContentLength != 1_000_000 {
		t.Errorf("%q, %+v, %v", data, resp, err)
	}
}

// A delegate that moves a download where SaveTo has put it already does no harm; to
// another place it is an error.
func TestMoveToAfterSaveTo(t *testing.T) {
	leak.Check(t)
	base := serve(t, "http/1.1", orderOrigin())
	path := filepath.Join(t.TempDir(), "file")
	for other, code := range map[string]string{"": "nil", ".other": "-3005"} {
		s := delegated(t, &urlsession.Delegate{
			DidFinishDownloading: func(_ *urlsession.DownloadTask, f *urlsession.TemporaryFile) error { return f.MoveTo(path + other) },
		}, nil)
		task := s.DownloadTask(get(t, base+"/plain"))
		task.SaveTo = path
		task.Resume()
		if err := wait(t, task); ending(err) != code {
			t.Errorf("%q: %v", other, err)
		}
	}
}

// A task without a transaction has a beginning and an end.
func TestMetricsWithoutATransaction(t *testing.T) {
	leak.Check(t)
	var metrics []*urlsession.TaskMetrics
	s := delegated(t, &urlsession.Delegate{
		DidFinishCollecting: func(_ urlsession.Task, m *urlsession.TaskMetrics) { metrics = append(metrics, m) },
	}, nil)
	failing := s.DownloadTask(get(t, "data:,x"))
	failing.SaveTo = filepath.Join(t.TempDir(), "no", "such", "folder")
	failing.Resume()
	_ = wait(t, failing)
	never := s.DataTask(get(t, "data:,x"))
	never.Cancel()
	_ = wait(t, never)
	for _, m := range metrics {
		if took := m.End.Sub(m.Start); m.Start.IsZero() || took < 0 || took > time.Minute {
			t.Errorf("from %v to %v", m.Start, m.End)
		}
	}
	if len(metrics) != 2 {
		t.Error(len(metrics))
	}
}
