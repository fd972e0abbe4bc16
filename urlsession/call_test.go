package urlsession_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/urlsession"
)

// calls are the blocking calls, and what the delegate of one is told.
var calls = []struct {
	name, path, want string
	load             func(ctx context.Context, t *testing.T, s *urlsession.Session, url string) (string, error)
}{
	{"Data", "/redirect", "created redirect(302) data* caches(200) metrics(2) complete(nil)", callData},
	{"Data that fails", "/cut", "created data* metrics(1) complete(-1005)", callData},
	{"Data with a challenge", "/secret", "created challenge(0) data* metrics(1) complete(nil)", callData},
	{
		"Upload", "/again", "created sent* redirect(307) sent* data* metrics(2) complete(nil)",
		func(ctx context.Context, t *testing.T, s *urlsession.Session, url string) (string, error) {
			data, _, err := s.Upload(ctx, request(t, http.MethodPut, url, nil), urlsession.StringBody("some data"))

			return string(data), err
		},
	},
	{
		"Download", "/early", "created inform(103) written* metrics(1) complete(nil)",
		func(ctx context.Context, t *testing.T, s *urlsession.Session, url string) (string, error) {
			path := filepath.Join(t.TempDir(), "file")
			_, err := s.Download(ctx, get(t, url), path)
			holds(t, "hello", path)

			return "hello", err
		},
	},
	{"Bytes", "/redirect", "created redirect(302) caches(200) metrics(2) complete(nil)", callBytes},
	{"Bytes that fail", "/cut", "created metrics(1) complete(-1005)", callBytes},
}

func callData(ctx context.Context, t *testing.T, s *urlsession.Session, url string) (string, error) {
	data, _, err := s.Data(ctx, get(t, url))

	return string(data), err
}

func callBytes(ctx context.Context, t *testing.T, s *urlsession.Session, url string) (string, error) {
	stream, err := s.Bytes(ctx, get(t, url))
	if err != nil {
		return "", err
	}
	data, err := io.ReadAll(stream)
	if cerr := stream.Close(); err == nil {
		err = cerr
	}

	return string(data), err
}

// A blocking call's own delegate is told of that call, and the session's only that
// it was made. It is measured twice, for two who ask.
func TestTaskDelegateOfACall(t *testing.T) {
	for _, row := range calls {
		t.Run(row.name, func(t *testing.T) {
			onWires(t, wiresFor(row.path), orderOrigin(), func(t *testing.T, base string) {
				leak.Check(t)
				var own, sessions recorder
				s := delegated(t, sessions.delegate(), nil)
				d := own.delegate()
				var told *urlsession.TaskMetrics
				finished := d.DidFinishCollecting
				d.DidFinishCollecting = func(task urlsession.Task, m *urlsession.TaskMetrics) {
					told = m
					finished(task, m)
				}
				var metrics urlsession.TaskMetrics
				ctx := urlsession.WithMetrics(urlsession.WithTaskDelegate(t.Context(), d), &metrics)
				data, err := row.load(ctx, t, s, base+row.path)
				if (err != nil) != strings.Contains(row.name, "fail") {
					t.Errorf("%q, %v", data, err)
				}
				if got := own.String(); got != row.want {
					t.Errorf("got  %s\nwant %s", got, row.want)
				}
				if told == nil || len(told.Transactions) != len(metrics.Transactions) || metrics.Transactions[0].Scheme == "" || metrics.End.Before(metrics.Start) {
					t.Errorf("metrics %+v, told %+v", metrics, told)
				}
				if err := s.Close(); err != nil {
					t.Error(err)
				}
				if got := sessions.String(); got != "invalid" {
					t.Errorf("the session's delegate: %s", got)
				}
			})
		})
	}
}

// What a call's own delegate leaves nil the session's is asked, and not told.
func TestSessionDelegateOfACall(t *testing.T) {
	leak.Check(t)
	base := serve(t, "h2", orderOrigin())
	for _, row := range calls {
		var words recorder
		s := delegated(t, words.delegate(), nil)
		_, err := row.load(urlsession.WithTaskDelegate(t.Context(), &urlsession.Delegate{}), t, s, base+row.path)
		if (err != nil) != strings.Contains(row.name, "fail") {
			t.Errorf("%s: %v", row.name, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		got := strings.Fields(strings.NewReplacer("created", "", "invalid", "").Replace(words.String()))
		var want []string
		for _, word := range strings.Fields(row.want) {
			if strings.HasPrefix(word, "redirect") || strings.HasPrefix(word, "challenge") || strings.HasPrefix(word, "caches") {
				want = append(want, word)
			}
		}
		if strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("%s: the session's delegate: %s", row.name, words.String())
		}
	}
}

// A call's task can be cancelled and suspended by its delegate.
func TestTaskOfACall(t *testing.T) {
	leak.Check(t)
	base := serve(t, "http/1.1", bodyOf(1<<20))
	for _, row := range calls[:1] {
		s := delegated(t, nil, nil)
		resumed := false
		_, err := row.load(urlsession.WithTaskDelegate(t.Context(), &urlsession.Delegate{
			DidReceiveData: func(task urlsession.Task, _ []byte) {
				if resumed {
					task.Cancel()

					return
				}
				resumed = true
				task.Suspend()
				go task.Resume()
			},
		}), t, s, base)
		wantCode(t, err, urlsession.Cancelled, context.Canceled)
	}
}

// The context of a call ends it, with its cause.
func TestContextOfACall(t *testing.T) {
	for _, row := range calls {
		leak.Check(t)
		server := newHeld(t, "h2")
		var words recorder
		s := delegated(t, words.delegate(), nil)
		ctx, cancel := context.WithCancelCause(urlsession.WithTaskDelegate(t.Context(), words.delegate()))
		go func() {
			<-server.arrived
			cancel(errOfTheApp)
		}()
		t.Run(row.name, func(t *testing.T) {
			if row.name == "Download" {
				_, err := s.Download(ctx, get(t, server.base+"/"), filepath.Join(t.TempDir(), "file"))
				wantCode(t, err, urlsession.Cancelled, context.Canceled, errOfTheApp)

				return
			}
			_, err := row.load(ctx, t, s, server.base+"/")
			wantCode(t, err, urlsession.Cancelled, context.Canceled, errOfTheApp)
		})
		if got := words.String(); strings.Count(got, "complete(-999)") != 1 {
			t.Errorf("%s: %s", row.name, got)
		}
	}
}

// A stream that is closed before its end is a call that was cancelled; one that was
// read to its end, or has nothing to read, is not.
func TestClosedStreamOfACall(t *testing.T) {
	leak.Check(t)
	base := serve(t, "http/1.1", orderOrigin())
	s := delegated(t, nil, nil)
	for _, row := range []struct {
		path string
		read int64
		want error
	}{
		{"/plain", 0, urlsession.Cancelled},
		{"/plain", 3, urlsession.Cancelled},
		{"/plain", 5, nil}, // all there is, though not its end
		{"/empty", 0, nil},
		{"/notmodified", 0, nil},
	} {
		var ends []error
		ctx := urlsession.WithTaskDelegate(t.Context(), &urlsession.Delegate{
			DidComplete: func(_ urlsession.Task, err error) { ends = append(ends, err) },
		})
		stream, err := s.Bytes(ctx, get(t, base+row.path))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(io.Discard, stream, row.read); err != nil {
			t.Error(err)
		}
		if err := errors.Join(stream.Close(), stream.Close()); err != nil {
			t.Error(err)
		}
		if len(ends) != 1 || !errors.Is(ends[0], row.want) {
			t.Errorf("%s, %d bytes: complete with %v", row.path, row.read, ends)
		}
	}
}

// Trailer fields are there with the end of a task, too.
func TestTrailerOfATask(t *testing.T) {
	leak.Check(t)
	t.Setenv("TMPDIR", t.TempDir())
	onEachWire(t, http.HandlerFunc(late), func(t *testing.T, base string) {
		s := delegated(t, nil, nil)
		for _, path := range []string{"/announced", "/late"} {
			for _, task := range []urlsession.Task{dataTask(t, s, base+path), downloadTask(t, s, base+path)} {
				task.Resume()
				if err := wait(t, task); err != nil || task.Response().Trailer.Get("X-Sum") != "42" {
					t.Errorf("%s: %v, trailer %v", path, err, task.Response().Trailer)
				}
			}
			_, resp, err := s.Data(urlsession.WithTaskDelegate(t.Context(), &urlsession.Delegate{}), get(t, base+path))
			if err != nil || resp.Trailer.Get("X-Sum") != "42" {
				t.Errorf("%s: %v, trailer %v", path, err, resp.Trailer)
			}
		}
	})
}
