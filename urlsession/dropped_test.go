package urlsession_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"weak"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/urlsession"
)

// gone waits until the garbage collector has done something, and tells whether it
// has.
func gone(done func() bool) bool {
	for end := time.Now().Add(5 * time.Second); !done(); runtime.Gosched() {
		if time.Now().After(end) {
			return false
		}
		runtime.GC()
	}

	return true
}

// With DidBecomeInvalid the delegate is let go, whoever still has the session.
func TestDelegateIsReleased(t *testing.T) {
	leak.Check(t)
	base := serve(t, "h2", orderOrigin())
	make := func() (*urlsession.Session, urlsession.Task, weak.Pointer[recorder], weak.Pointer[urlsession.Delegate]) {
		r := &recorder{}
		d := r.delegate()
		s, err := urlsession.New(urlsession.Configuration{RootCAs: roots()}, d)
		if err != nil {
			t.Fatal(err)
		}
		task := s.DataTask(get(t, base+"/redirect"))
		task.Resume()
		if err := wait(t, task); err != nil {
			t.Error(err)
		}
		fresh := s.DataTask(get(t, base+"/plain"))
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		wantCode(t, fresh.Err(), urlsession.Cancelled)

		return s, task, weak.Make(r), weak.Make(d)
	}
	s, task, r, d := make()
	if !gone(func() bool { return r.Value() == nil && d.Value() == nil }) {
		t.Error("the delegate is still there")
	}
	runtime.KeepAlive(s)
	runtime.KeepAlive(task)
}

// syncBuffer is a log that several goroutines write.
type syncBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()

	return b.buffer.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()

	return b.buffer.String()
}

// A session that is dropped warns once, names who made it, and closes its
// connections. One that was invalidated does not warn.
func TestDroppedSessionWarns(t *testing.T) {
	for _, wire := range wires {
		for name, use := range dropped {
			t.Run(wire+" "+name, func(t *testing.T) {
				leak.Check(t)
				base := serve(t, wire, orderOrigin())
				var log syncBuffer
				drop(t, &log, func(s *urlsession.Session) { use(t, s, base) })
				warnings := func() int { return strings.Count(log.String(), "dropped without") }
				if !gone(func() bool { return warnings() > 0 }) {
					t.Fatal("no warning")
				}
				got := log.String()
				if warnings() != 1 || !strings.Contains(got, "urlsession_test.drop") || !strings.Contains(got, "mine") {
					t.Error(got)
				}
			})
		}
	}
	t.Run("invalidated", func(t *testing.T) {
		leak.Check(t)
		var log syncBuffer
		var collected atomic.Bool
		drop(t, &log, func(s *urlsession.Session) {
			runtime.AddCleanup(s, func(c *atomic.Bool) { c.Store(true) }, &collected)
			s.FinishTasksAndInvalidate()
		})
		if !gone(collected.Load) || log.String() != "" {
			t.Errorf("collected %v; %s", collected.Load(), log.String())
		}
	})
}

// dropped are the ways in which a session is used before it is dropped.
var dropped = map[string]func(t *testing.T, s *urlsession.Session, base string){
	"unused": func(*testing.T, *urlsession.Session, string) {},
	"Data": func(t *testing.T, s *urlsession.Session, base string) {
		_, _ = load(t, s, get(t, base+"/plain"))
	},
	"Data with a delegate": func(t *testing.T, s *urlsession.Session, base string) {
		ctx := urlsession.WithTaskDelegate(t.Context(), &urlsession.Delegate{})
		if _, _, err := s.Data(ctx, get(t, base+"/plain")); err != nil {
			t.Error(err)
		}
	},
	"tasks": func(t *testing.T, s *urlsession.Session, base string) {
		s.DataTask(get(t, base+"/plain")) // never resumed
		for _, task := range []urlsession.Task{upload(t, s, base+"/upload"), downloadTask(t, s, base+"/plain")} {
			task.Resume()
			if err := wait(t, task); err != nil {
				t.Error(err)
			}
		}
	},
}

// drop makes a session, uses it, and forgets it.
//
//go:noinline
func drop(t *testing.T, log *syncBuffer, use func(*urlsession.Session)) {
	cfg := urlsession.EphemeralConfiguration()
	cfg.RootCAs = roots()
	cfg.Logger = slog.New(slog.NewTextHandler(log, nil))
	s, err := urlsession.New(cfg, &urlsession.Delegate{DidComplete: func(urlsession.Task, error) {}})
	if err != nil {
		t.Fatal(err)
	}
	s.SetDescription("mine")
	use(s)
}

// A stream outlives the session that it came from.
func TestStreamOutlivesADroppedSession(t *testing.T) {
	leak.Check(t)
	server := newHeld(t, "http/1.1")
	var log syncBuffer
	open := func() *http.Response {
		cfg := urlsession.EphemeralConfiguration()
		cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
		s, err := urlsession.New(cfg, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := (&http.Client{Transport: s.RoundTripper()}).Get(server.base + "/body")
		if err != nil {
			t.Fatal(err)
		}

		return resp
	}
	resp := open()
	defer resp.Body.Close()
	if !gone(func() bool { return log.String() != "" }) {
		t.Log("the session is still there") // which is as good
	}
	server.answer <- struct{}{}
	var data bytes.Buffer
	if _, err := data.ReadFrom(resp.Body); err != nil || data.String() != "begunhello" {
		t.Errorf("%q, %v", data.String(), err)
	}
}
