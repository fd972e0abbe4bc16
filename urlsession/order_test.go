package urlsession_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/urlsession"
)

// orderOrigin serves what the rows of the callback orders ask for.
func orderOrigin() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/plain", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })
	mux.HandleFunc("/empty", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/notmodified", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotModified) })
	mux.HandleFunc("/early", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		_, _ = io.WriteString(w, "hello")
	})
	mux.HandleFunc("/redirect", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/plain", http.StatusFound)
	})
	mux.HandleFunc("/again", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Location", "/upload")
		w.WriteHeader(http.StatusTemporaryRedirect)
	})
	mux.HandleFunc("/loop", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/loop", http.StatusFound) })
	mux.HandleFunc("/secret", func(w http.ResponseWriter, r *http.Request) {
		if _, password, _ := r.BasicAuth(); password != "right" {
			w.Header().Set("WWW-Authenticate", `Basic realm="r"`)
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, "who are you?")

			return
		}
		_, _ = io.WriteString(w, "hello")
	})
	mux.HandleFunc("/upload", func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, strings.Repeat(".", int(n%7)+1))
	})
	mux.HandleFunc("/cut", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "only this")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	mux.HandleFunc("/hang", func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})

	return mux
}

type orders struct {
	name   string
	want   string
	path   string
	change func(r *recorder, d *urlsession.Delegate)
	task   func(t *testing.T, s *urlsession.Session, url string) urlsession.Task // nil: a data task
}

func dataTask(t *testing.T, s *urlsession.Session, url string) urlsession.Task {
	return s.DataTask(get(t, url))
}

func downloadTask(t *testing.T, s *urlsession.Session, url string) urlsession.Task {
	return s.DownloadTask(get(t, url))
}

func answering(first string) func(r *recorder, d *urlsession.Delegate) {
	return func(r *recorder, d *urlsession.Delegate) {
		password := first
		d.DidReceiveChallenge = func(_ context.Context, task urlsession.Task, c *urlsession.Challenge) (urlsession.Disposition, *urlsession.Credential) {
			if ofHandshake(c) {
				return urlsession.PerformDefaultHandling, nil
			}
			r.say("challenge(%d)", c.PreviousFailureCount)
			if c.PreviousFailureCount > 0 {
				password = "right"
			}

			return urlsession.UseCredential, &urlsession.Credential{User: "u", Password: password}
		}
	}
}

// callbackOrders are the rows of reference §4.2 that need no WebSocket, stream, resume
// data or background session.
var callbackOrders = []orders{
	{name: "plain GET", path: "/plain", want: "created response(200) data* caches(200) metrics(1) complete(nil)"},
	{name: "empty body", path: "/empty", want: "created response(200) caches(200) metrics(1) complete(nil)"},
	{name: "304", path: "/notmodified", want: "created response(304) metrics(1) complete(nil)"},
	{
		name: "HEAD", path: "/plain", want: "created response(200) metrics(1) complete(nil)",
		task: func(t *testing.T, s *urlsession.Session, url string) urlsession.Task {
			return s.DataTask(request(t, http.MethodHead, url, nil))
		},
	},
	{name: "informational", path: "/early", want: "created inform(103) response(200) data* caches(200) metrics(1) complete(nil)"},
	{name: "redirect followed", path: "/redirect", want: "created redirect(302) response(200) data* caches(200) metrics(2) complete(nil)"},
	{
		name: "redirect refused", path: "/redirect", want: "created redirect(302) response(302) data* metrics(1) complete(nil)",
		change: func(r *recorder, d *urlsession.Delegate) {
			d.WillPerformHTTPRedirection = func(context.Context, urlsession.Task, *urlsession.Response, *urlsession.Request) *urlsession.Request {
				r.say("redirect(302)")

				return nil
			}
		},
	},
	{
		name: "too many redirects", path: "/loop",
		want: "created" + strings.Repeat(" redirect(302)", 20) + " metrics(21) complete(-1007)",
	},
	{
		name: "401, answered", path: "/secret", change: answering("right"),
		want: "created challenge(0) response(200) data* caches(200) metrics(2) complete(nil)",
	},
	{
		name: "401, wrong first", path: "/secret", change: answering("wrong"),
		want: "created challenge(0) challenge(1) response(200) data* caches(200) metrics(3) complete(nil)",
	},
	{name: "401, default handling", path: "/secret", want: "created challenge(0) response(401) data* metrics(1) complete(nil)"},
	{
		name: "challenge cancelled", path: "/secret", want: "created challenge(0) metrics(1) complete(-999)",
		change: func(r *recorder, d *urlsession.Delegate) {
			d.DidReceiveChallenge = func(context.Context, urlsession.Task, *urlsession.Challenge) (urlsession.Disposition, *urlsession.Credential) {
				r.say("challenge(0)")

				return urlsession.CancelAuthenticationChallenge, nil
			}
		},
	},
	{
		name: "upload, data", path: "/upload", want: "created sent* response(200) data* metrics(1) complete(nil)",
		task: func(t *testing.T, s *urlsession.Session, url string) urlsession.Task {
			return s.UploadTask(request(t, http.MethodPost, url, nil), urlsession.StringBody("some data"))
		},
	},
	{
		name: "upload, streamed, asked again after a redirect", path: "/again",
		want:   "created stream sent* redirect(307) stream sent* response(200) data* metrics(2) complete(nil)",
		change: streaming,
		task: func(t *testing.T, s *urlsession.Session, url string) urlsession.Task {
			return s.StreamedUploadTask(request(t, http.MethodPut, url, nil))
		},
	},
	{
		name: "upload, no stream", path: "/upload", want: "created stream metrics(1) complete(-1021)",
		task: func(t *testing.T, s *urlsession.Session, url string) urlsession.Task {
			return s.StreamedUploadTask(request(t, http.MethodPut, url, nil))
		},
	},
	{name: "download", path: "/plain", task: downloadTask, want: "created written* downloaded metrics(1) complete(nil)"},
	{name: "download of a 404", path: "/nothing", task: downloadTask, want: "created written* downloaded metrics(1) complete(nil)"},
	{name: "download, cut", path: "/cut", task: downloadTask, want: "created written* metrics(1) complete(-1005)"},
	{
		name: "become download", path: "/plain", want: "created response(200) became written* downloaded metrics(1) complete(nil)",
		change: func(r *recorder, d *urlsession.Delegate) {
			d.DidReceiveResponse = func(context.Context, urlsession.Task, *urlsession.Response) urlsession.ResponseDisposition {
				r.say("response(200)")

				return urlsession.ResponseBecomeDownload
			}
		},
	},
	{
		name: "cancelled at the response", path: "/plain", want: "created response(200) metrics(1) complete(-999)",
		change: func(r *recorder, d *urlsession.Delegate) {
			d.DidReceiveResponse = func(context.Context, urlsession.Task, *urlsession.Response) urlsession.ResponseDisposition {
				r.say("response(200)")

				return urlsession.ResponseCancel
			}
		},
	},
	{name: "transport error", path: "/cut", want: "created response(200) data* metrics(1) complete(-1005)"},
	{
		name: "cancel", path: "/hang", want: "created response(200) metrics(1) complete(-999)",
		change: func(r *recorder, d *urlsession.Delegate) {
			d.DidReceiveResponse = func(_ context.Context, task urlsession.Task, _ *urlsession.Response) urlsession.ResponseDisposition {
				r.say("response(200)")
				task.Cancel()
				task.Cancel()

				return urlsession.ResponseAllow
			}
		},
	},
	{
		name: "cancel before Resume", path: "/plain", want: "created metrics(0) complete(-999)",
		task: func(t *testing.T, s *urlsession.Session, url string) urlsession.Task {
			task := s.DataTask(get(t, url))
			task.Cancel()

			return task
		},
	},
	{
		name: "unsupported scheme", path: "/", want: "created metrics(1) complete(-1002)",
		task: func(t *testing.T, s *urlsession.Session, _ string) urlsession.Task {
			return s.DataTask(get(t, "nobody-has-this://x/"))
		},
	},
	{
		name: "delayed", path: "/plain", want: "created delayed response(200) data* caches(200) metrics(1) complete(nil)",
		task: func(t *testing.T, s *urlsession.Session, url string) urlsession.Task {
			task := s.DataTask(get(t, url))
			task.SetEarliestBeginDate(time.Now().Add(50 * time.Millisecond))

			return task
		},
	},
	{
		name: "GET with a body", path: "/upload", want: "created sent* response(200) data* metrics(1) complete(nil)",
		task: func(t *testing.T, s *urlsession.Session, url string) urlsession.Task {
			return s.DataTask(request(t, http.MethodGet, url, urlsession.StringBody("query")))
		},
	},
	{
		name: "completion handler", path: "/redirect", want: "created redirect(302) caches(200) metrics(2) handler(hello)",
		task: nil,
	},
}

func streaming(r *recorder, d *urlsession.Delegate) {
	d.NeedNewBodyStream = func(context.Context, urlsession.Task) (io.ReadCloser, error) {
		r.say("stream")

		return io.NopCloser(strings.NewReader("streamed")), nil
	}
}

// Every task calls back in the stated order, over each wire.
func TestCallbackOrder(t *testing.T) { checkOrders(t, orderOrigin(), callbackOrders) }

func checkOrders(t *testing.T, origin http.Handler, rows []orders) {
	t.Helper()
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			onWires(t, wiresFor(row.path), origin, func(t *testing.T, base string) { checkOrder(t, base, row) })
		})
	}
}

func checkOrder(t *testing.T, base string, row orders) {
	t.Helper()
	leak.Check(t)
	r := &recorder{}
	d := r.delegate()
	if row.change != nil {
		row.change(r, d)
	}
	s := delegated(t, d, nil)
	make := row.task
	switch {
	case strings.HasPrefix(row.name, "completion handler"):
		make = func(t *testing.T, s *urlsession.Session, url string) urlsession.Task {
			return s.DataTaskWithHandler(get(t, url), func(data []byte, _ *urlsession.Response, _ error) { r.say("handler(%s)", data) })
		}
	case make == nil:
		make = dataTask
	}
	task := make(t, s, base+row.path)
	task.Resume()
	_ = wait(t, task)
	s.FinishTasksAndInvalidate()
	if err := s.Finish(t.Context()); err != nil {
		t.Error(err)
	}
	if got := r.String(); got != row.want+" invalid" {
		t.Errorf("got  %s\nwant %s invalid", got, row.want)
	}
}

// What a task's delegate leaves nil is taken from the session's; what it has, the
// session's is not told.
func TestTaskDelegateIsAskedFirst(t *testing.T) {
	leak.Check(t)
	base := serve(t, "http/1.1", orderOrigin())
	session, own := &recorder{}, &recorder{}
	s := delegated(t, session.delegate(), nil)
	task := s.DataTask(get(t, base+"/redirect"))
	if err := task.SetDelegate(&urlsession.Delegate{
		WillPerformHTTPRedirection: own.delegate().WillPerformHTTPRedirection,
		DidComplete:                own.delegate().DidComplete,
	}); err != nil {
		t.Fatal(err)
	}
	task.Resume()
	if err := wait(t, task); err != nil {
		t.Fatal(err)
	}
	if got := own.String(); got != "redirect(302) complete(nil)" {
		t.Errorf("the task's own: %s", got)
	}
	if got := session.String(); got != "created response(200) data* caches(200) metrics(2)" {
		t.Errorf("the session's: %s", got)
	}
	if task.Delegate() != nil {
		t.Error("a complete task keeps its delegate")
	}
	if err := task.SetDelegate(own.delegate()); err == nil {
		t.Error("a delegate is set on a complete task")
	}
}

// Waiting for a way to the host is told once.
func TestWaitingForConnectivity(t *testing.T) {
	leak.Check(t)
	base := serve(t, "h2", orderOrigin())
	r := &recorder{}
	s := delegated(t, r.delegate(), func(c *urlsession.Configuration) {
		c.WaitsForConnectivity = true
		c.Resolver = &away{attempts: 2}
	})
	task := s.DataTask(get(t, strings.Replace(base, "127.0.0.1", "origin.test", 1)+"/plain"))
	task.Resume()
	if err := wait(t, task); err != nil {
		t.Fatal(err)
	}
	if got := r.String(); !strings.HasPrefix(got, "created waiting response(200) data* caches(200) metrics(") {
		t.Error(got)
	}
}

// away is a network that comes up after some attempts.
type away struct {
	mu       sync.Mutex
	attempts int
}

func (a *away) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.attempts--; a.attempts >= 0 {
		return nil, &net.DNSError{Err: "dial udp: connect: " + syscall.ENETUNREACH.Error(), Name: "origin.test"}
	}

	return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
}
