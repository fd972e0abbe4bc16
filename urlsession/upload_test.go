package urlsession_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/urlsession"
)

const uploaded = 300 << 10

// plainReader hides what else a reader can do, and tells when it is closed.
type plainReader struct {
	io.Reader

	closed *atomic.Int32
}

func (r plainReader) Close() error {
	r.closed.Add(1)

	return nil
}

// bodies are the kinds of bodies, each of so many bytes; again: they can be sent
// twice.
func bodies(t *testing.T) map[string]struct {
	body  *urlsession.Body
	again bool
	total int64
} {
	t.Helper()
	content := bytes.Repeat([]byte("0123456789"), uploaded/10)
	name := filepath.Join(t.TempDir(), "body")
	put(t, string(content), 0o600, name)
	type kind = struct {
		body  *urlsession.Body
		again bool
		total int64
	}

	return map[string]kind{
		"bytes":  {urlsession.BytesBody(content), true, uploaded},
		"file":   {urlsession.FileBody(name), true, uploaded},
		"seeker": {urlsession.ReaderBody(bytes.NewReader(content)), true, uploaded},
		"reader": {urlsession.ReaderBody(plainReader{bytes.NewReader(content), new(atomic.Int32)}), false, -1},
		"function": {urlsession.FuncBody(-1, func(offset int64) (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(content[offset:])), nil
		}), true, -1},
	}
}

// receiver says how many bytes came, at the end of what redirects and challenges.
func receiver() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/count", func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		_, _ = fmt.Fprint(w, n, err)
	})
	mux.HandleFunc("/redirect", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Location", "/count")
		w.WriteHeader(http.StatusTemporaryRedirect)
	})
	mux.HandleFunc("/secret", func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		if _, password, _ := r.BasicAuth(); password != "right" {
			w.Header().Set("WWW-Authenticate", `Basic realm="r"`)
			w.WriteHeader(http.StatusUnauthorized)

			return
		}
		_, _ = fmt.Fprint(w, n, err)
	})

	return mux
}

// progress checks what DidSendBodyData tells, and gives the last total.
type progress struct {
	t        *testing.T
	expected int64
	total    int64
	begun    int // times
}

func (p *progress) sent(_ urlsession.Task, sent, total, expected int64) {
	switch {
	case total == sent:
		p.begun++
	case total != p.total+sent:
		p.t.Errorf("%d bytes sent, %d after %d", sent, total, p.total)
	}
	if p.total = total; sent <= 0 || expected != p.expected {
		p.t.Errorf("%d bytes sent, %d expected; want %d", sent, expected, p.expected)
	}
}

// Each kind of body goes out whole, counted; again after a redirect or a challenge
// if it can be made again.
func TestUploadTask(t *testing.T) {
	onEachWire(t, receiver(), func(t *testing.T, base string) {
		for path, times := range map[string]int{"/count": 1, "/redirect": 2, "/secret": 2} {
			for name, kind := range bodies(t) {
				t.Run(path[1:]+" "+name, func(t *testing.T) {
					leak.Check(t)
					leak.CheckFiles(t)
					p := &progress{t: t, expected: kind.total}
					var answer strings.Builder
					s := delegated(t, &urlsession.Delegate{
						DidSendBodyData: p.sent,
						DidReceiveData:  func(_ urlsession.Task, data []byte) { answer.Write(data) },
						DidReceiveChallenge: func(context.Context, urlsession.Task, *urlsession.Challenge) (urlsession.Disposition, *urlsession.Credential) {
							return urlsession.UseCredential, &urlsession.Credential{User: "u", Password: "right"}
						},
					}, nil)
					task := s.UploadTask(request(t, http.MethodPut, base+path, urlsession.StringBody("replaced")), kind.body)
					if got := task.CountOfBytesExpectedToSend(); got != kind.total {
						t.Errorf("%d bytes are expected to be sent, want %d", got, kind.total)
					}
					task.Resume()
					err := wait(t, task)
					if times == 2 && !kind.again {
						wantCode(t, err, urlsession.RequestBodyStreamExhausted)

						return
					}
					if want := fmt.Sprint(uploaded, nil); err != nil || answer.String() != want {
						t.Errorf("%q, %v; want %q", answer.String(), err, want)
					}
					if p.begun != times || p.total != uploaded || task.CountOfBytesSent() != uploaded {
						t.Errorf("sent %d times, %d bytes at last, %d counted", p.begun, p.total, task.CountOfBytesSent())
					}
				})
			}
		}
	})
}

// A body that fails half-way fails the task, and is closed.
func TestUploadThatBreaks(t *testing.T) {
	onEachWire(t, receiver(), func(t *testing.T, base string) {
		leak.Check(t)
		var closed atomic.Int32
		broken := func() io.ReadCloser {
			return plainReader{io.MultiReader(strings.NewReader(strings.Repeat("x", uploaded)), breaks{}), &closed}
		}
		var words recorder
		d := words.delegate()
		d.NeedNewBodyStream = func(context.Context, urlsession.Task) (io.ReadCloser, error) { return broken(), nil }
		s := delegated(t, d, nil)
		req := request(t, http.MethodPost, base+"/count", nil)
		for i, task := range []urlsession.Task{s.UploadTask(req, urlsession.ReaderBody(broken())), s.StreamedUploadTask(req)} {
			task.Resume()
			err := wait(t, task)
			var e *urlsession.Error
			if !errors.As(err, &e) || !errors.Is(err, errOfTheApp) {
				t.Errorf("%d: %v", i, err)
			}
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if got := closed.Load(); got != 2 {
			t.Errorf("%d of 2 bodies were closed", got)
		}
		if got := words.String(); strings.Count(got, "complete(") != 2 || strings.Contains(got, "complete(nil)") {
			t.Error(got)
		}
	})
}

// What cannot be sent is said before, or instead.
func TestUploadWithoutABody(t *testing.T) {
	leak.Check(t)
	base := serve(t, "http/1.1", receiver())
	var answer func() (io.ReadCloser, error)
	s := delegated(t, &urlsession.Delegate{
		NeedNewBodyStream: func(context.Context, urlsession.Task) (io.ReadCloser, error) { return answer() },
	}, nil)
	req := request(t, http.MethodPost, base+"/count", nil)
	missing := s.UploadTask(req, urlsession.FileBody(filepath.Join(t.TempDir(), "missing")))
	folder := s.UploadTask(req, urlsession.FileBody(t.TempDir()))
	none := s.StreamedUploadTask(req)
	failed := s.StreamedUploadTask(req)
	for _, row := range []struct {
		task   urlsession.Task
		answer func() (io.ReadCloser, error)
		code   urlsession.Code
		cause  error
	}{
		{missing, nil, urlsession.FileDoesNotExist, os.ErrNotExist},
		{folder, nil, urlsession.FileIsDirectory, nil},
		{none, func() (io.ReadCloser, error) { return nil, nil }, urlsession.RequestBodyStreamExhausted, nil},
		{failed, func() (io.ReadCloser, error) { return nil, errOfTheApp }, urlsession.Unknown, errOfTheApp},
	} {
		answer = row.answer
		row.task.Resume()
		err := wait(t, row.task)
		wantCode(t, err, row.code)
		if row.cause != nil && !errors.Is(err, row.cause) {
			t.Errorf("%v does not wrap %v", err, row.cause)
		}
	}
}

// A body that was given with a task is closed, whatever becomes of the task.
func TestUnsentBodiesAreClosed(t *testing.T) {
	leak.Check(t)
	var closed atomic.Int32
	body := func() *urlsession.Body { return urlsession.ReaderBody(plainReader{strings.NewReader("x"), &closed}) }
	req := request(t, http.MethodPost, "nobody-has-this://x/", nil)
	s := delegated(t, &urlsession.Delegate{}, nil)
	never, unsupported := s.UploadTask(req, body()), s.UploadTask(req, body())
	never.Cancel()
	unsupported.Resume()
	wantCode(t, wait(t, never), urlsession.Cancelled)
	wantCode(t, wait(t, unsupported), urlsession.UnsupportedURL)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	wantCode(t, s.UploadTask(req, body()).Err(), urlsession.Cancelled, urlsession.ErrSessionInvalidated)
	handled := s.UploadTaskWithHandler(req, body(), func([]byte, *urlsession.Response, error) {})
	wantCode(t, wait(t, handled), urlsession.Cancelled, urlsession.ErrSessionInvalidated)
	_, _, err := s.Upload(t.Context(), req, body())
	wantCode(t, err, urlsession.Cancelled, urlsession.ErrSessionInvalidated)
	_, err = s.Explain(t.Context(), &urlsession.Request{URL: req.URL, Body: body()}) // sends nothing
	wantCode(t, err, urlsession.Cancelled, urlsession.ErrSessionInvalidated)
	if got := closed.Load(); got != 5 {
		t.Errorf("%d of 5 bodies were closed", got)
	}
}

// An answer may come while the body is on its way, and ends the sending. (HTTP/3 forbids
// the field Connection.)
func TestEarlyAnswer(t *testing.T) {
	onWires(t, wires, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		_, _ = io.WriteString(w, "too large")
	}), func(t *testing.T, base string) {
		leak.Check(t)
		var words recorder
		d := words.delegate()
		d.DidSendBodyData = nil
		d.NeedNewBodyStream = func(context.Context, urlsession.Task) (io.ReadCloser, error) { return io.NopCloser(zeros{}), nil }
		s := delegated(t, d, nil)
		task := s.StreamedUploadTask(request(t, http.MethodPost, base, nil))
		task.Resume()
		if err := wait(t, task); err != nil || words.data.String() != "too large" {
			t.Errorf("%q, %v", words.data.String(), err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if got, want := words.String(), "created response(413) data* metrics(1) complete(nil) invalid"; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// A suspended upload stops sending.
func TestSuspendedUpload(t *testing.T) {
	onEachWire(t, receiver(), func(t *testing.T, base string) {
		leak.Check(t)
		const length = 8 << 20
		var suspended atomic.Bool
		reads := make(chan struct{}, 1)
		body := bytes.NewReader(make([]byte, length))
		s := delegated(t, &urlsession.Delegate{
			DidSendBodyData: func(task urlsession.Task, _, total, _ int64) {
				if suspended.Load() {
					t.Error("sends while it is suspended")
				}
				if total > length/2 && suspended.CompareAndSwap(false, true) {
					task.Suspend()
					reads <- struct{}{}
				}
			},
		}, nil)
		task := s.UploadTask(request(t, http.MethodPost, base+"/count", nil), urlsession.ReaderBody(struct{ io.ReadSeeker }{body}))
		task.Resume()
		<-reads
		for range 20 {
			_, _ = load(t, s, get(t, base+"/count"))
		}
		wantState(t, task, urlsession.StateSuspended)
		if sent := task.CountOfBytesSent(); sent <= length/2 || sent == length {
			t.Errorf("%d bytes sent", sent)
		}
		suspended.Store(false)
		task.Resume()
		<-reads // suspended again
		suspended.Store(false)
		task.Cancel()
		wantCode(t, wait(t, task), urlsession.Cancelled, context.Canceled)
	})
}

// A blocking upload is an upload task to its delegate.
func TestBlockingUpload(t *testing.T) {
	leak.Check(t)
	base := serve(t, "h2", receiver())
	p := &progress{t: t, expected: uploaded}
	ctx := urlsession.WithTaskDelegate(t.Context(), &urlsession.Delegate{
		DidSendBodyData: func(task urlsession.Task, sent, total, expected int64) {
			if _, ok := task.(*urlsession.UploadTask); !ok {
				t.Errorf("the task is a %T", task)
			}
			p.sent(task, sent, total, expected)
		},
	})
	data, _, err := session(t, nil).Upload(ctx, request(t, http.MethodPut, base+"/count", nil), bodies(t)["file"].body)
	if want := fmt.Sprint(uploaded, nil); err != nil || string(data) != want || p.total != uploaded {
		t.Errorf("%q, %v, %d bytes told", data, err, p.total)
	}
}

// A stream has the length that the request declares, or its load fails.
func TestStreamWithALength(t *testing.T) {
	onEachWire(t, receiver(), func(t *testing.T, base string) {
		leak.Check(t)
		for length, want := range map[string]string{
			"4": "created sent(4,4) response(200) data* metrics(1) complete(nil)",
			"5": "created sent(5,5) response(200) data* metrics(1) complete(nil)",
			"6": "created sent(5,6) metrics(1) complete(-1005)",
		} {
			var words recorder
			d := words.delegate()
			d.DidSendBodyData = func(_ urlsession.Task, _, total, expected int64) { words.say("sent(%d,%d)", total, expected) }
			d.NeedNewBodyStream = func(context.Context, urlsession.Task) (io.ReadCloser, error) {
				return io.NopCloser(strings.NewReader("12345")), nil
			}
			s := delegated(t, d, nil)
			req := request(t, http.MethodPost, base+"/count", nil)
			req.Header.Set("Content-Length", length)
			task := s.StreamedUploadTask(req)
			task.Resume()
			_ = wait(t, task)
			if got := words.String(); got != want {
				t.Errorf("length %s\ngot  %s\nwant %s", length, got, want)
			}
		}
	})
}
