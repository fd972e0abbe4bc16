package urlsession_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/urlsession"
)

const mixed = `multipart/x-mixed-replace; boundary="frame"`

// mixedBody is a body of two parts.
const mixedBody = "--frame\r\nContent-Type: image/jpeg\r\nContent-Length: 3\r\nX-Part: 1\r\n\r\none\r\n" +
	"--frame\r\nContent-Type: Text/Plain; charset=UTF-8\r\n\r\ntwo\r\n--frame--\r\n"

// mixedOrigin serves bodies whose parts replace each other, and redirects.
func mixedOrigin() http.Handler {
	mux := http.NewServeMux()
	serve := func(path, contentType, body string) {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			w.Header().Set("X-Whole", "1")
			_, _ = io.WriteString(w, body)
		})
	}
	serve("/two", mixed, mixedBody)
	serve("/unended", mixed, strings.TrimSuffix(mixedBody, "\r\n--frame--\r\n"))
	serve("/none", mixed, "--frame--\r\n")
	serve("/empty", mixed, "")
	serve("/emptypart", mixed, "--frame\r\n\r\n\r\n--frame\r\n\r\ntwo\r\n--frame--")
	serve("/noboundary", "multipart/x-mixed-replace", mixedBody)
	serve("/longboundary", "multipart/x-mixed-replace; boundary="+strings.Repeat("b", 1000), mixedBody)
	serve("/longheader", mixed, "--frame\r\n\r\none\r\n--frame\r\nX: "+strings.Repeat("x", 100000)+"\r\n\r\ntwo")
	serve("/mixed", `multipart/mixed; boundary="frame"`, mixedBody)
	mux.HandleFunc("/cut", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", mixed)
		w.Header().Set("Content-Length", "10000")
		_, _ = io.WriteString(w, mixedBody[:len(mixedBody)-15])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	mux.HandleFunc("/moved", func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "hop", Value: "1"})
		http.Redirect(w, r, "/two", http.StatusSeeOther)
	})
	mux.HandleFunc("/cookie", func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Header.Get("Cookie")) })
	mux.HandleFunc("/setcookie", func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "hop", Value: "1"})
		http.Redirect(w, r, "/cookie", http.StatusTemporaryRedirect)
	})

	return mux
}

// atResponse answers the disposition of the nth response with one, and allows others.
func atResponse(nth int, disposition urlsession.ResponseDisposition) func(*recorder, *urlsession.Delegate) {
	return func(r *recorder, d *urlsession.Delegate) {
		left := nth
		d.DidReceiveResponse = func(_ context.Context, _ urlsession.Task, resp *urlsession.Response) urlsession.ResponseDisposition {
			r.say("response(%s)", resp.MIMEType)
			if left--; left == 0 {
				return disposition
			}

			return urlsession.ResponseAllow
		}
	}
}

// mixedOrders are the rows of reference §4.2 on redirects, cookies and x-mixed-replace.
var mixedOrders = []orders{
	{name: "parts", path: "/two", want: "created response(image/jpeg) data* response(text/plain) data* metrics(1) complete(nil)", change: atResponse(0, 0)},
	{name: "parts without an end", path: "/unended", want: "created response(image/jpeg) data* response(text/plain) data* metrics(1) complete(nil)", change: atResponse(0, 0)},
	{name: "parts, one empty", path: "/emptypart", want: "created response() response() data* metrics(1) complete(nil)", change: atResponse(0, 0)},
	{name: "parts, none", path: "/none", want: "created response(multipart/x-mixed-replace) metrics(1) complete(nil)", change: atResponse(0, 0)},
	{name: "parts, no body", path: "/empty", want: "created response(200) metrics(1) complete(nil)"},
	{name: "parts, no boundary", path: "/noboundary", want: "created response(200) data* metrics(1) complete(nil)"},
	{name: "parts, a long boundary", path: "/longboundary", want: "created response(200) data* metrics(1) complete(nil)"},
	{name: "parts of another kind", path: "/mixed", want: "created response(200) data* caches(200) metrics(1) complete(nil)"},
	{name: "parts, a long header", path: "/longheader", want: "created response(200) data* metrics(1) complete(-1011)"},
	{name: "parts, cut", path: "/cut", want: "created response(200) data* response(200) data* metrics(1) complete(-1005)"},
	{name: "parts after a redirect", path: "/moved", want: "created redirect(303) response(200) data* response(200) data* metrics(2) complete(nil)"},
	{
		name: "parts, the second cancels", path: "/two", change: atResponse(2, urlsession.ResponseCancel),
		want: "created response(image/jpeg) data* response(text/plain) metrics(1) complete(-999)",
	},
	{
		name: "parts, the second becomes a download", path: "/two", change: atResponse(2, urlsession.ResponseBecomeDownload),
		want: "created response(image/jpeg) data* response(text/plain) became written* downloaded metrics(1) complete(nil)",
	},
	{name: "parts into a file", path: "/two", task: downloadTask, want: "created written* downloaded metrics(1) complete(nil)"},
	{name: "completion handler gets all parts", path: "/two", want: "created metrics(1) handler(" + mixedBody + ")"},
	{name: "completion handler gets a redirect's cookie", path: "/setcookie", want: "created redirect(307) caches(200) metrics(2) handler(hop=1)"},
	{
		name: "redirect unanswered", path: "/moved", want: "created redirect metrics(1) complete(-999)",
		change: func(r *recorder, d *urlsession.Delegate) {
			d.WillPerformHTTPRedirection = func(ctx context.Context, task urlsession.Task, _ *urlsession.Response, _ *urlsession.Request) *urlsession.Request {
				r.say("redirect")
				task.Cancel() // nothing else ends it
				<-ctx.Done()

				return nil
			}
		},
	},
	{
		name: "redirect changed", path: "/moved", want: "created redirect response(200) data* caches(200) metrics(2) complete(nil)",
		change: func(r *recorder, d *urlsession.Delegate) {
			d.WillPerformHTTPRedirection = func(_ context.Context, _ urlsession.Task, _ *urlsession.Response, next *urlsession.Request) *urlsession.Request {
				r.say("redirect")
				next.URL = next.URL.JoinPath("../cookie")

				return next
			}
		},
	},
}

func TestMixedOrder(t *testing.T) { checkOrders(t, mixedOrigin(), mixedOrders) }

// A part's response has the part's own header fields, and others of the whole.
func TestParts(t *testing.T) {
	leak.Check(t)
	onEachWire(t, mixedOrigin(), func(t *testing.T, base string) {
		var got []string
		s := delegated(t, &urlsession.Delegate{
			DidReceiveResponse: func(_ context.Context, task urlsession.Task, r *urlsession.Response) urlsession.ResponseDisposition {
				got = append(got, fmt.Sprintf("%d %s %s %s %d %s%s:", r.StatusCode, r.URL.Path, r.MIMEType, r.TextEncodingName, r.ContentLength, r.Header.Get("X-Whole"), r.Header.Get("X-Part")))
				if task.Response() != r {
					t.Error("the task's response is another")
				}

				return urlsession.ResponseAllow
			},
			DidReceiveData: func(_ urlsession.Task, data []byte) { got[len(got)-1] += string(data) },
		}, nil)
		task := s.DataTask(get(t, base+"/two"))
		task.Resume()
		if err := wait(t, task); err != nil {
			t.Fatal(err)
		}
		if all := strings.Join(got, "|"); all != "200 /two image/jpeg  3 11:one|200 /two text/plain utf-8 -1 1:two" {
			t.Errorf("got %s", all)
		}
		if n := task.CountOfBytesReceived(); n != 6 || task.CountOfBytesExpectedToReceive() != -1 {
			t.Errorf("%d bytes received of %d", n, task.CountOfBytesExpectedToReceive())
		}
		if data, resp := load(t, session(t, nil), get(t, base+"/two")); data != mixedBody || resp.MIMEType != "multipart/x-mixed-replace" {
			t.Errorf("Data gives %q", data)
		}
	})
}

// A part is delivered before the next one comes, however long that takes.
func TestPartsArePrompt(t *testing.T) {
	leak.Check(t)
	go1, go2 := make(chan struct{}), make(chan struct{})
	onEachWire(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", mixed)
		for i, next := range []chan struct{}{go1, go2} {
			fmt.Fprintf(w, "--frame\r\n\r\npart %d", i)
			_ = http.NewResponseController(w).Flush()
			<-next
			_, _ = io.WriteString(w, "\r\n")
		}
		_, _ = io.WriteString(w, "--frame--\r\n")
	}), func(t *testing.T, base string) {
		s := delegated(t, &urlsession.Delegate{
			DidReceiveData: func(_ urlsession.Task, data []byte) {
				switch string(data) {
				case "part 0":
					go1 <- struct{}{}
				case "part 1":
					go2 <- struct{}{}
				default:
					t.Errorf("data %q", data)
				}
			},
		}, nil)
		task := s.DataTask(get(t, base))
		task.Resume()
		if err := wait(t, task); err != nil {
			t.Error(err)
		}
	})
}
