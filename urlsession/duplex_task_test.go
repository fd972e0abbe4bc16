package urlsession_test

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
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

// The delegate of a blocking call may load while the call has the only connection.
func TestLoadInACallbackOfACall(t *testing.T) {
	leak.Check(t)
	base := serve(t, "http/1.1", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := 5
		if r.URL.Path == "/large" {
			n = 8 << 20
		}
		_, _ = w.Write(make([]byte, n))
	}))
	s := delegated(t, nil, func(c *urlsession.Configuration) {
		c.MaximumConnectionsPerHost, c.RequestTimeout = 1, 5*time.Second
	})
	var once sync.Once
	var inner error
	ctx := urlsession.WithTaskDelegate(t.Context(), &urlsession.Delegate{DidReceiveData: func(urlsession.Task, []byte) {
		once.Do(func() { _, _, inner = s.Data(t.Context(), get(t, base+"/small")) })
	}})
	if _, _, err := s.Data(ctx, get(t, base+"/large")); err != nil || inner != nil {
		t.Error(err, inner)
	}
}

// So may a callback while tasks that wait for it have all streams of a connection.
func TestLoadInACallbackWithAllStreamsTaken(t *testing.T) {
	leak.Check(t)
	const streams = 3
	arrived := make(chan struct{}, streams)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/small" {
			_, _ = io.WriteString(w, "hello")

			return
		}
		_, _ = w.Write(make([]byte, 8<<20)) // more than a stream's window, so that it stays open
	}))
	server.EnableHTTP2 = true
	server.Config.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: streams}
	server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate()}}
	server.StartTLS()
	t.Cleanup(server.Close)
	var once sync.Once
	inner := make(chan error, 1)
	var s *urlsession.Session
	s = delegated(t, &urlsession.Delegate{
		DidReceiveResponse: func(context.Context, urlsession.Task, *urlsession.Response) urlsession.ResponseDisposition {
			arrived <- struct{}{}

			return urlsession.ResponseAllow
		},
		DidReceiveData: func(urlsession.Task, []byte) {
			once.Do(func() {
				for range streams {
					<-arrived
				}
				_, _, err := s.Data(t.Context(), get(t, server.URL+"/small"))
				inner <- err
			})
		},
	}, func(c *urlsession.Configuration) { c.RequestTimeout = 5 * time.Second })
	for range streams {
		s.DataTask(get(t, server.URL+"/large")).Resume()
	}
	if err := <-inner; err != nil {
		t.Error(err)
	}
	s.InvalidateAndCancel()
}
