package urlsession_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/urlsession"
)

// watching is an Observer that keeps what it is told.
type watching struct {
	urlsession.Observation

	mu      sync.Mutex
	began   []string
	sent    []*urlsession.Request
	metrics []*urlsession.TaskMetrics
}

func (w *watching) Observe(_ context.Context, req *urlsession.Request) *urlsession.Observation {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.began = append(w.began, req.URL.Path)
	o := w.Observation
	o.WillSend = func(req *urlsession.Request) http.Header {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.sent = append(w.sent, req)
		if w.WillSend == nil {
			return nil
		}

		return w.WillSend(req)
	}
	o.DidFinishCollecting = func(m *urlsession.TaskMetrics) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.metrics = append(w.metrics, m)
	}

	return &o
}

// waysToLoad are the ways to load a URL to its end.
func waysToLoad(t *testing.T) map[string]func(s *urlsession.Session, url string) error {
	t.Helper()

	return map[string]func(s *urlsession.Session, url string) error{
		"Data": func(s *urlsession.Session, url string) error {
			_, _, err := s.Data(t.Context(), get(t, url))

			return err
		},
		"Bytes": func(s *urlsession.Session, url string) error {
			stream, err := s.Bytes(t.Context(), get(t, url))
			if err != nil {
				return err
			}
			defer stream.Close()
			_, err = io.Copy(io.Discard, stream)

			return err
		},
		"RoundTripper": func(s *urlsession.Session, url string) error {
			resp, err := (&http.Client{Transport: s.RoundTripper()}).Get(url)
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			_, err = io.Copy(io.Discard, resp.Body)

			return err
		},
		"task": func(s *urlsession.Session, url string) error {
			task := s.DataTask(get(t, url))
			task.Resume()

			return wait(t, task)
		},
		"delegate": func(s *urlsession.Session, url string) error {
			_, _, err := s.Data(urlsession.WithTaskDelegate(t.Context(), &urlsession.Delegate{}), get(t, url))

			return err
		},
	}
}

// Every way to load is observed once, from its beginning to its end.
func TestObserver(t *testing.T) {
	leak.Check(t)
	base := serve(t, "http/1.1", measureOrigin())
	none := &watching{}
	for name, load := range waysToLoad(t) {
		w := &watching{}
		s := session(t, func(c *urlsession.Configuration) {
			c.Observers = []urlsession.Observer{w, nobody{}, none}
		})
		if err := load(s, base+"/plain"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		failed := load(s, "nothing:x")
		if len(w.began) != 2 || len(w.metrics) != 2 || len(w.sent) != 1 || failed == nil {
			t.Fatalf("%s: %d began, %d ended, %d were sent, %v", name, len(w.began), len(w.metrics), len(w.sent), failed)
		}
		m := w.metrics[0]
		if len(m.Transactions) != 1 || m.Transactions[0].Request != w.sent[0] || m.Err != nil || m.Transactions[0].BodyBytesAfterDecoding != 5 || m.Transactions[0].ResponseBody != nil {
			t.Errorf("%s: %+v", name, m)
		}
		if m := w.metrics[1]; !errors.Is(m.Err, urlsession.UnsupportedURL) || len(m.Transactions) != 1 || m.End.Before(m.Start) {
			t.Errorf("%s: %+v", name, m)
		}
		none.metrics = nil
	}
}

type nobody struct{}

func (nobody) Observe(context.Context, *urlsession.Request) *urlsession.Observation { return nil }

// A load without a URL begins and ends too.
func TestObserverOfNoURL(t *testing.T) {
	leak.Check(t)
	w := &watching{}
	s := session(t, func(c *urlsession.Configuration) { c.Observers = []urlsession.Observer{w} })
	if _, _, err := s.Data(t.Context(), &urlsession.Request{URL: get(t, "data:,").URL, Method: "a b"}); err == nil {
		t.Error("a method with a space was loaded")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := s.Data(ctx, get(t, "data:,x")); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if len(w.metrics) != 2 || w.metrics[0].Err == nil || !errors.Is(w.metrics[1].Err, context.Canceled) {
		t.Errorf("%+v", w.metrics)
	}
}

// Bodies are kept as far as somebody asks, of all who ask the most.
func TestObserverKeepsBodies(t *testing.T) {
	leak.Check(t)
	base := serve(t, "http/1.1", measureOrigin())
	few, many := &watching{}, &watching{}
	few.Bodies, many.Bodies = 10, 1500
	s := session(t, func(c *urlsession.Configuration) { c.Observers = []urlsession.Observer{few, many} })
	load(t, s, get(t, base+"/chunked"))
	load(t, s, request(t, "POST", base+"/upload", urlsession.BytesBody(bytes.Repeat([]byte("ab"), 1000))))
	x := many.metrics[0].Transactions[0]
	if string(x.ResponseBody) != strings.Repeat("x", 1500) || len(x.RequestBody) != 0 {
		t.Errorf("%d and %d bytes are kept", len(x.RequestBody), len(x.ResponseBody))
	}
	x = many.metrics[1].Transactions[0]
	if string(x.RequestBody) != strings.Repeat("ab", 750) || string(x.ResponseBody) != "2000" {
		t.Errorf("%d bytes and %q are kept", len(x.RequestBody), x.ResponseBody)
	}
}

// Fields that an observer adds are on each transaction anew; neither the redirect that
// follows nor an inner load inherits them, and the app's own win.
func TestObserverAddsFields(t *testing.T) {
	leak.Check(t)
	var mu sync.Mutex
	var seen []string
	note := func(r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, r.URL.Path+"="+strings.Join(r.Header["X-Trace"], ","))
	}
	elsewhere := serve(t, "http/1.1", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { note(r) }))
	base := serve(t, "http/1.1", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		note(r)
		if r.URL.Path == "/first" {
			http.Redirect(w, r, elsewhere+"/second", http.StatusFound)
		}
	}))
	w := &watching{}
	w.WillSend = func(req *urlsession.Request) http.Header {
		if strings.HasPrefix(req.URL.Path, "/first") {
			return http.Header{"x-trace": {"1"}}
		}

		return nil
	}
	inner := protocols.Scheme{Name: "inner", Security: protocols.Local, New: func(c protocols.Client) protocols.URLProtocol { return innerLoad{c, base} }}
	s := session(t, func(c *urlsession.Configuration) {
		c.Observers = []urlsession.Observer{w}
		c.Protocols = []protocols.Scheme{inner}
	})
	load(t, s, get(t, base+"/first"))
	own := get(t, base+"/first-own")
	own.Header.Set("X-Trace", "mine")
	load(t, s, own)
	load(t, s, get(t, "inner:/first-inner"))
	want := "/first=1 /second= /first-own=mine /other="
	if got := strings.Join(seen, " "); got != want {
		t.Errorf("the servers saw %q, want %q", got, want)
	}
	if len(own.Header["X-Trace"]) != 1 || own.Header.Get("X-Trace") != "mine" {
		t.Errorf("the app's request has %q", own.Header)
	}
}

// innerLoad loads what it is asked for elsewhere, with the header that it got.
type innerLoad struct {
	client protocols.Client
	base   string
}

func (i innerLoad) Load(ctx context.Context, req *protocols.Request) (*protocols.Response, error) {
	next := req.Clone()
	u := *req.URL
	u.Path, u.Opaque = "/other", ""
	next.URL = &u
	base, err := protocols.NewRequest("GET", i.base+"/other", nil)
	if err != nil {
		return nil, err
	}
	next.URL = base.URL

	return i.client.Load(ctx, next)
}

// A panic of an observer's is told, and harms no load.
func TestObserverPanics(t *testing.T) {
	leak.Check(t)
	var out syncBuffer
	w := &watching{}
	w.WillSend = func(*urlsession.Request) http.Header { panic("oh") }
	s := session(t, func(c *urlsession.Configuration) {
		c.Observers = []urlsession.Observer{w}
		c.Logger = slog.New(slog.NewTextHandler(&out, nil))
	})
	if got, _ := load(t, s, get(t, "data:,x")); got != "x" || !strings.Contains(out.String(), "an observer panicked") || len(w.metrics) != 1 {
		t.Errorf("%q, %q", got, out.String())
	}
}

const secret = "s3cr3t"

// beginner is an Observer that panics where a load begins.
type beginner struct{}

func (beginner) Observe(context.Context, *urlsession.Request) *urlsession.Observation { panic("oh") }

// A panic where a load begins is told, and harms neither the load nor who else
// watches it.
func TestObserverPanicsAtOnce(t *testing.T) {
	leak.Check(t)
	for way, load := range waysToLoad(t) {
		var out syncBuffer
		w := &watching{}
		s := session(t, func(c *urlsession.Configuration) {
			c.Observers = []urlsession.Observer{beginner{}, w}
			c.Logger = slog.New(slog.NewTextHandler(&out, nil))
		})
		if err := load(s, "data:,x"); err != nil {
			t.Errorf("%s: %v", way, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if !strings.Contains(out.String(), "an observer panicked") || len(w.metrics) != 1 {
			t.Errorf("%s: %d measurements, told %q", way, len(w.metrics), out.String())
		}
	}
}

// An Observer that is none is refused, before it is asked.
func TestObserverMissing(t *testing.T) {
	cfg := urlsession.EphemeralConfiguration()
	cfg.Observers = []urlsession.Observer{&watching{}, nil}
	if _, err := urlsession.New(cfg, nil); err == nil || !strings.Contains(err.Error(), "Observers[1]") {
		t.Errorf("New gave %v", err)
	}
}

// secretOrigin redirects, asks for a password, and tells secrets wherever it can.
func secretOrigin(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Set-Cookie", "id="+secret)
	switch _, _, ok := r.BasicAuth(); {
	case r.URL.Path == "/from":
		http.Redirect(w, r, "/to?token="+secret, http.StatusFound)
	case !ok:
		w.Header().Set("WWW-Authenticate", `Basic realm="the realm"`)
		w.WriteHeader(http.StatusUnauthorized)
	default:
		_, _ = io.WriteString(w, secret)
	}
}

// At debug level each step of a load has its record, without a secret in any of them;
// at any other none has.
func TestDebugRecords(t *testing.T) {
	leak.Check(t)
	base := serve(t, "http/1.1", http.HandlerFunc(secretOrigin))
	failing := []net.Listener{
		rawServer(t, ""), rawServer(t, "nonsense\r\n\r\n"), rawServer(t, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello"),
		rawServer(t, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\nhello"), rawServer(t, "HTTP/1.1 302 Found\r\nLocation: http://me:"+secret+"@example.com/?q="+secret+"\r\nContent-Length: 0\r\n\r\n"),
	}
	for level, want := range map[slog.Level][]string{
		slog.LevelInfo: nil,
		slog.LevelDebug: {
			"msg=begin load=1 task=1 method=POST", "msg=request", "msg=redirect load=1 task=1 status=302", "realm=\"the realm\"", `disposition="use credential"`,
			"msg=response load=1 task=1", "status=401", "status=200", "msg=end load=1 task=1", "msg=failed load=2", fmt.Sprintf("msg=end load=%d task=%[1]d ", 3+len(failing)), `code="unsupportedURL (-1002)"`,
		},
	} {
		var out syncBuffer
		s := delegated(t, &urlsession.Delegate{
			DidReceiveChallenge: func(context.Context, urlsession.Task, *urlsession.Challenge) (urlsession.Disposition, *urlsession.Credential) {
				return urlsession.UseCredential, &urlsession.Credential{User: "user", Password: secret}
			},
		}, func(c *urlsession.Configuration) {
			c.Logger = slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: level}))
		})
		req := request(t, "POST", base+"/from?key="+secret, urlsession.StringBody("password="+secret))
		req.Header.Set("X-Api-Key", secret)
		req.Header.Set("Cookie", "a="+secret)
		load(t, s, req)
		_, _, _ = s.Data(t.Context(), get(t, "nothing://user:"+secret+"@host/?q="+secret))
		for _, origin := range failing {
			failed := get(t, "http://user:"+secret+"@"+origin.Addr().String()+"/?q="+secret+"#"+secret)
			failed.Header.Set("Authorization", "Bearer "+secret)
			if _, _, err := s.Data(t.Context(), failed); err == nil || strings.Contains(err.Error(), secret) {
				t.Errorf("the error is %v", err)
			}
		}
		task := s.DataTask(get(t, "data:,x"))
		task.Resume()
		_ = wait(t, task)
		got := out.String()
		if strings.Contains(got, secret) {
			t.Errorf("a secret is in\n%s", got)
		}
		for _, part := range want {
			if !strings.Contains(got, part) {
				t.Errorf("no %q in\n%s", part, got)
			}
		}
		if want == nil && got != "" {
			t.Errorf("at %v: %s", level, got)
		}
	}
}

// Who is not interested costs nothing: neither an observer that says so nor a logger
// that is enabled for warnings only.
func TestNobodyMeasuresForFree(t *testing.T) {
	if raced {
		t.Skip("the race detector allocates too")
	}
	allocations := func(change func(*urlsession.Configuration)) float64 {
		s, req := session(t, change), get(t, "data:,x")

		return testing.AllocsPerRun(200, func() {
			if _, _, err := s.Data(t.Context(), req); err != nil {
				t.Error(err)
			}
		})
	}
	none := allocations(nil)
	for name, change := range map[string]func(*urlsession.Configuration){
		"observer": func(c *urlsession.Configuration) { c.Observers = []urlsession.Observer{nobody{}} },
		"logger": func(c *urlsession.Configuration) {
			c.Logger = slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelWarn}))
		},
	} {
		if got := allocations(change); got != none {
			t.Errorf("%s: %v allocations, %v without", name, got, none)
		}
	}
	measuring := allocations(func(c *urlsession.Configuration) { c.Observers = []urlsession.Observer{nothing{}} })
	if measuring <= none || measuring > none+25 {
		t.Errorf("a load that is measured costs %v allocations, another %v", measuring, none)
	}
}
