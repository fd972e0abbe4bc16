package urlsession_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/urlsession"
)

// echo answers while it reads.
func echo(w http.ResponseWriter, r *http.Request) {
	c := http.NewResponseController(w)
	_ = c.EnableFullDuplex()
	_ = c.Flush()
	buffer := make([]byte, 32<<10)
	for {
		n, err := r.Body.Read(buffer)
		if _, werr := w.Write(buffer[:n]); err != nil || werr != nil {
			return
		}
		_ = c.Flush()
	}
}

// What goes out and what comes in is told one call at a time, of a blocking call
// too.
func TestSendingWhileReceiving(t *testing.T) {
	leak.Check(t)
	const length = 8 << 20
	base := serve(t, "h2", http.HandlerFunc(echo))
	var sent, received, calls int64 // without a lock: the calls come one after another
	d := &urlsession.Delegate{
		DidSendBodyData: func(_ urlsession.Task, _, total, _ int64) { sent, calls = total, calls+1 },
		DidReceiveData:  func(_ urlsession.Task, data []byte) { received, calls = received+int64(len(data)), calls+1 },
	}
	body := func() *urlsession.Body {
		return urlsession.ReaderBody(io.MultiReader(io.LimitReader(zeros{}, length))) // of unknown length
	}
	s := delegated(t, d, nil)
	task := s.UploadTask(request(t, http.MethodPost, base, nil), body())
	task.Resume()
	if err := wait(t, task); err != nil || sent != length || received != length {
		t.Errorf("%d sent, %d received, %v", sent, received, err)
	}
	sent, received = 0, 0
	data, _, err := s.Upload(urlsession.WithTaskDelegate(t.Context(), d), request(t, http.MethodPost, base, nil), body())
	if err != nil || len(data) != length || sent != length || received != length {
		t.Errorf("%d bytes, %d sent, %d received, %v", len(data), sent, received, err)
	}
}

// What is still sent after a data task has become a download is told of the
// download.
func TestSendingWhileBecomingADownload(t *testing.T) {
	leak.Check(t)
	t.Setenv("TMPDIR", t.TempDir())
	const length = 8 << 20
	base := serve(t, "h2", http.HandlerFunc(echo))
	var last int64
	var became *urlsession.DownloadTask
	s := delegated(t, &urlsession.Delegate{
		DidReceiveResponse: func(context.Context, urlsession.Task, *urlsession.Response) urlsession.ResponseDisposition {
			return urlsession.ResponseBecomeDownload
		},
		DidBecomeDownloadTask: func(_ *urlsession.DataTask, d *urlsession.DownloadTask) { became = d },
		DidSendBodyData: func(task urlsession.Task, _, total, _ int64) {
			if _, data := task.(*urlsession.DataTask); data == (became != nil) {
				t.Errorf("told of %T", task)
			}
			last = total
		},
	}, nil)
	task := s.DataTask(request(t, http.MethodPost, base, urlsession.ReaderBody(io.MultiReader(io.LimitReader(zeros{}, length)))))
	task.Resume()
	if err := s.Finish(t.Context()); err != nil {
		t.Error(err)
	}
	if became == nil || became.Err() != nil || last != length || became.CountOfBytesSent() != length || became.CountOfBytesReceived() != length {
		t.Errorf("%d bytes told, download %+v", last, became)
	}
	nothingLeft(t)
}

// A callback may need a connection while its own task, and those that wait to be
// told, have all of them.
func TestLoadInACallbackWithAllConnectionsTaken(t *testing.T) {
	leak.Check(t)
	base := serve(t, "http/1.1", orderOrigin())
	var words recorder
	var s *urlsession.Session
	s = delegated(t, &urlsession.Delegate{
		DidReceiveResponse: func(context.Context, urlsession.Task, *urlsession.Response) urlsession.ResponseDisposition {
			data, _, err := s.Data(t.Context(), get(t, base+"/plain"))
			words.say("blocking(%s,%s)", data, ending(err))

			return urlsession.ResponseAllow
		},
	}, func(c *urlsession.Configuration) { c.MaximumConnectionsPerHost, c.RequestTimeout = 1, time.Second })
	task := s.DataTask(get(t, base+"/plain"))
	task.Resume()
	if err := wait(t, task); err != nil {
		t.Error(err)
	}
	if got := words.String(); !strings.Contains(got, "blocking(hello,nil)") {
		t.Error(got)
	}
}
