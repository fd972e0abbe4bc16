package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/urlkit/urlkit/internal/engine"
	"github.com/urlkit/urlkit/protocols"
)

// flaky gives its answers one after another, the last one for ever.
type flaky struct {
	answers []any // an error, or a status
	header  []string
	loads   int
	times   []time.Time
	sent    []string // the bodies
}

func (f *flaky) load(_ context.Context, _ protocols.Client, req *protocols.Request) (*protocols.Response, error) {
	answer := f.answers[min(f.loads, len(f.answers)-1)]
	f.loads++
	f.times = append(f.times, time.Now())
	if err, ok := answer.(unopened); ok {
		return nil, err.error
	}
	body, err := sentBody(req)
	if err != nil {
		return nil, err
	}
	f.sent = append(f.sent, body)
	if err, ok := answer.(error); ok {
		return nil, err
	}
	status, _ := answer.(int)

	return reply(status, fmt.Sprint("answer ", f.loads), f.header...), nil
}

// unopened is an error of a load that did not read the request's body.
type unopened struct{ error }

var reset error = &net.OpError{Op: "read", Err: syscall.ECONNRESET}

// noPause makes the attempts follow at once.
var noPause = engine.Retry{Attempts: 3, FirstDelay: -1}

func policy(change func(*engine.Retry)) engine.Retry {
	r := noPause
	change(&r)

	return r
}

var retryTests = []struct {
	name    string
	method  string
	header  []string // of the request
	retry   engine.Retry
	answers []any
	loads   int
	want    string // the answer, or the name of the code
}{
	{"nothing is repeated without a policy", "GET", nil, engine.Retry{}, []any{503, 200}, 1, "answer 1"},
	{"nor an error", "GET", nil, engine.Retry{}, []any{reset, 200}, 1, "networkConnectionLost"},
	{"one attempt is none more", "GET", nil, engine.Retry{Attempts: 1}, []any{503, 200}, 1, "answer 1"},
	{"a second attempt succeeds", "GET", nil, noPause, []any{503, 200}, 2, "answer 2"},
	{"the last answer is the result", "GET", nil, noPause, []any{503}, 3, "answer 3"},
	{"the last error is the result", "GET", nil, noPause, []any{503, reset}, 3, "networkConnectionLost"},
	{"no bound", "GET", nil, policy(func(r *engine.Retry) { r.Attempts = -1 }), append(slices.Repeat([]any{503}, 50), 200), 51, "answer 51"},
	{"an error", "GET", nil, noPause, []any{reset, reset, 200}, 3, "answer 3"},
	{"408", "GET", nil, noPause, []any{408, 200}, 2, "answer 2"},
	{"425", "GET", nil, noPause, []any{425, 200}, 2, "answer 2"},
	{"429", "GET", nil, noPause, []any{429, 200}, 2, "answer 2"},
	{"502", "GET", nil, noPause, []any{502, 200}, 2, "answer 2"},
	{"504", "GET", nil, noPause, []any{504, 200}, 2, "answer 2"},
	{"not 500", "GET", nil, noPause, []any{500, 200}, 1, "answer 1"},
	{"not 404", "GET", nil, noPause, []any{404, 200}, 1, "answer 1"},
	{"not 501", "GET", nil, noPause, []any{501, 200}, 1, "answer 1"},
	{"500 where asked for", "GET", nil, policy(func(r *engine.Retry) { r.Statuses = []int{500} }), []any{500, 200}, 2, "answer 2"},
	{"no other then", "GET", nil, policy(func(r *engine.Retry) { r.Statuses = []int{500} }), []any{503, 200}, 1, "answer 1"},
	{"none", "GET", nil, policy(func(r *engine.Retry) { r.Statuses = []int{} }), []any{503, 200}, 1, "answer 1"},
	{
		"codes where asked for", "GET", nil, policy(func(r *engine.Retry) { r.Codes = []protocols.Code{protocols.CannotFindHost} }),
		[]any{&net.DNSError{IsNotFound: true}, 200},
		2, "answer 2",
	},
	{"no code", "GET", nil, policy(func(r *engine.Retry) { r.Codes = []protocols.Code{} }), []any{reset, 200}, 1, "networkConnectionLost"},
	{"not a name that does not exist", "GET", nil, noPause, []any{&net.DNSError{IsNotFound: true}, 200}, 1, "cannotFindHost"},
	{"not an answer that is garbage", "GET", nil, noPause, []any{protocols.CannotParseResponse, 200}, 1, "cannotParseResponse"},
	{"not what cannot be trusted", "GET", nil, noPause, []any{protocols.ServerCertificateUntrusted, 200}, 1, "serverCertificateUntrusted"},
	{"HEAD", "HEAD", nil, noPause, []any{503, 200}, 2, "answer 2"},
	{"PUT", "PUT", nil, noPause, []any{503, 200}, 2, "answer 2"},
	{"DELETE", "DELETE", nil, noPause, []any{reset, 200}, 2, "answer 2"},
	{"OPTIONS", "OPTIONS", nil, noPause, []any{503, 200}, 2, "answer 2"},
	{"not POST", "POST", nil, noPause, []any{503, 200}, 1, "answer 1"},
	{"not PATCH", "PATCH", nil, noPause, []any{503, 200}, 1, "answer 1"},
	{"not an own method", "PURGE", nil, noPause, []any{503, 200}, 1, "answer 1"},
	{"not POST after an error", "POST", nil, noPause, []any{reset, 200}, 1, "networkConnectionLost"},
	{"POST with an Idempotency-Key", "POST", []string{"Idempotency-Key", `"8e03978e"`}, noPause, []any{503, reset, 200}, 3, "answer 3"},
	{
		"POST of which nothing was sent, more often than is certainly safe", "POST", nil, policy(func(r *engine.Retry) { r.Attempts = 4 }),
		[]any{protocols.ErrNotSent, protocols.ErrNotSent, protocols.ErrNotSent, protocols.ErrNotSent, 200},
		5, "answer 5",
	},
}

func TestRetry(t *testing.T) {
	for _, tt := range retryTests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := &flaky{answers: tt.answers}
				e := open(t, engine.Config{Retry: tt.retry}, scheme("https", protocols.Encrypted, f.load))
				req := request(t, tt.method, "https://a.example/", tt.header...)
				if tt.method == "PUT" || tt.method == "POST" {
					req.Body = protocols.StringBody("payload")
				}
				began := time.Now()
				got, _, err := fetch(e, req, nil)
				if err != nil {
					got = engine.Classify(err).String()
				}
				if got != tt.want || f.loads != tt.loads {
					t.Errorf("%q after %d loads, want %q after %d (%v)", got, f.loads, tt.want, tt.loads, err)
				}
				for _, sent := range f.sent {
					if want := map[bool]string{true: "payload"}[req.Body != nil]; sent != want {
						t.Errorf("sent %q, want %q", sent, want)
					}
				}
				if since := time.Since(began); since > time.Millisecond {
					t.Errorf("it paused for %v", since)
				}
			})
		})
	}
}

// A body that can be read once is sent once, unless nobody has opened it.
func TestRetryOfReaders(t *testing.T) {
	tests := []struct {
		answers []any
		loads   int
	}{
		{[]any{503, 200}, 1},
		{[]any{reset, 200}, 1},
		{[]any{unopened{reset}, 200}, 2},
	}
	for _, tt := range tests {
		f := &flaky{answers: tt.answers}
		e := open(t, engine.Config{Retry: noPause}, scheme("https", protocols.Encrypted, f.load))
		req := request(t, "PUT", "https://a.example/")
		req.Body = protocols.ReaderBody(io.MultiReader(strings.NewReader("once")))
		_, _, err := fetch(e, req, nil)
		if f.loads != tt.loads || len(f.sent) != 1 || f.sent[0] != "once" {
			t.Errorf("%v: %d loads, sent %q (%v)", tt.answers, f.loads, f.sent, err)
		}
	}
}

// The pauses are random within bounds that grow, and no more than the Retry-After
// and its step.
func TestRetryDelays(t *testing.T) {
	const first, longest = 100 * time.Millisecond, time.Second
	tests := []struct {
		name   string
		header []string
		least  time.Duration
	}{
		{"by itself", nil, 0},
		{"seconds", []string{"Retry-After", "7"}, 7 * time.Second},
		{"a date", []string{"Retry-After", "Fri, 31 Dec 1999 23:59:59 GMT", "Date", "Fri, 31 Dec 1999 23:59:50 GMT"}, 9 * time.Second},
		{"a date that is past", []string{"Retry-After", "Fri, 31 Dec 1999 23:59:59 GMT"}, 0},
		{"garbage", []string{"Retry-After", "-3"}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				different := map[time.Duration]bool{}
				for range 20 {
					f := &flaky{answers: []any{503}, header: tt.header}
					retry := engine.Retry{Attempts: 7, FirstDelay: first, LongestDelay: longest, Factor: 3}
					e := open(t, engine.Config{Retry: retry, RequestTimeout: time.Second}, scheme("https", protocols.Encrypted, f.load))
					if _, _, err := fetch(e, request(t, "GET", "https://a.example/"), nil); err != nil || f.loads != 7 {
						t.Fatalf("%d loads, %v", f.loads, err)
					}
					bound := first
					for i, at := range f.times[1:] {
						pause := at.Sub(f.times[i]) - tt.least
						if pause < 0 || pause > bound {
							t.Errorf("pause %d took %v beyond %v, at most %v wanted", i, pause, tt.least, bound)
						}
						different[pause] = true
						bound = min(3*bound, longest)
					}
				}
				if len(different) < 60 {
					t.Errorf("%d different pauses of 120: they are not random", len(different))
				}
			})
		})
	}
}

// A wait that is longer than the load's time, or than the policy allows, is not
// begun: the answer is the result at once.
func TestRetryIsBounded(t *testing.T) {
	tests := []struct {
		name     string
		after    string
		longest  time.Duration
		resource time.Duration
		deadline time.Duration
		loads    int
	}{
		{"all is well", "50", 0, 0, 0, 2},
		{"longer than a minute", "61", 0, 0, 0, 1},
		{"longer than is allowed", "6", 5 * time.Second, 0, 0, 1},
		{"any time", "86400", -1, -1, 0, 2},
		{"no bound but the resource's time", "61", -1, time.Minute, 0, 1},
		{"longer than the resource's time", "20", 0, 20 * time.Second, 0, 1},
		{"longer than the context", "20", 0, 0, 20 * time.Second, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := &flaky{answers: []any{503, 200}, header: []string{"Retry-After", tt.after}}
				retry := engine.Retry{Attempts: 2, FirstDelay: -1, LongestRetryAfter: tt.longest}
				e := open(t, engine.Config{Retry: retry, ResourceTimeout: tt.resource}, scheme("https", protocols.Encrypted, f.load))
				ctx := t.Context()
				if tt.deadline > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, tt.deadline)
					defer cancel()
				}
				began := time.Now()
				resp, err := e.Load(ctx, request(t, "GET", "https://a.example/"), nil)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := engine.ReadAll(resp, -1); err != nil || f.loads != tt.loads {
					t.Errorf("%d loads, %v", f.loads, err)
				}
				if waited := time.Since(began); (waited > 0) != (tt.loads == 2) {
					t.Errorf("waited %v", waited)
				}
			})
		})
	}
}

// What ends a load ends its pause.
func TestRetryEndsWithItsLoad(t *testing.T) {
	for name, answer := range map[string]any{"status": 503, "error": reset} {
		for how, code := range map[string]protocols.Code{"cancel": protocols.Cancelled, "close": protocols.Cancelled} {
			t.Run(name+" "+how, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					f := &flaky{answers: []any{answer}, header: []string{"Retry-After", "50"}}
					e := open(t, engine.Config{Retry: engine.Retry{Attempts: -1, FirstDelay: time.Hour, LongestDelay: time.Hour}}, scheme("https", protocols.Encrypted, f.load))
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					const after = time.Millisecond
					time.AfterFunc(after, func() {
						if how == "cancel" {
							cancel()
						} else {
							_ = e.Close()
						}
					})
					began := time.Now()
					_, err := e.Load(ctx, request(t, "GET", "https://a.example/"), nil)
					if failure(t, err, code); time.Since(began) != after {
						t.Errorf("ended after %v", time.Since(began))
					}
				})
			})
		}
	}
}

// The task may be suspended meanwhile, and the resource's clock runs.
func TestRetryWaitsForTheTask(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := &flaky{answers: []any{503, 503, 200}}
		e := open(t, engine.Config{Retry: policy(func(r *engine.Retry) { r.Attempts = 5 })}, scheme("https", protocols.Encrypted, f.load))
		held := 0
		task := &engine.Task{Held: func() error {
			if held++; held > 1 {
				return context.Canceled
			}

			return nil
		}}
		_, _, err := fetch(e, request(t, "GET", "https://a.example/"), task)
		if failure(t, err, protocols.Cancelled); f.loads != 2 || held != 2 {
			t.Errorf("%d loads, held %d times", f.loads, held)
		}
	})
}

// The metrics say why each hop was loaded again; a dropped response is closed.
func TestRetryReasons(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := &flaky{answers: []any{protocols.ErrNotSent, protocols.ErrStaleConnection, reset, 429, 302, 503, 200}, header: []string{"Location", "/next"}}
		var bodies []*content
		load := func(ctx context.Context, c protocols.Client, req *protocols.Request) (*protocols.Response, error) {
			resp, err := f.load(ctx, c, req)
			if err == nil {
				body, _ := resp.Body.(*content)
				bodies = append(bodies, body)
			}

			return resp, err
		}
		e := open(t, engine.Config{Retry: policy(func(r *engine.Retry) { r.Attempts = 4 })}, scheme("https", protocols.Encrypted, load))
		var reasons []engine.RetryReason
		body, resp, err := fetch(e, request(t, "GET", "https://a.example/"), &engine.Task{Collect: func(m *engine.Transaction) { reasons = append(reasons, m.Retry) }})
		if err != nil || body != "answer 7" || resp.StatusCode != http.StatusOK {
			t.Fatalf("%q, %v", body, err)
		}
		want := []engine.RetryReason{
			engine.RetryNone, engine.RetryNotSent, engine.RetryStaleConnection, engine.RetryError, engine.RetryStatus, engine.RetryNone, engine.RetryStatus,
		}
		if !slices.Equal(reasons, want) {
			t.Errorf("reasons %v, want %v", reasons, want)
		}
		for i, body := range bodies {
			if body.closes() == 0 {
				t.Errorf("response %d was not closed", i)
			}
		}
	})
}

// A RoundTripper's caller is given every response, and no error that the policy
// repeats.
func TestRetryOfOneHop(t *testing.T) {
	f := &flaky{answers: []any{reset, 503, 200}}
	e := open(t, engine.Config{Retry: noPause}, scheme("https", protocols.Encrypted, f.load))
	_, resp, err := fetch(e, request(t, "GET", "https://a.example/"), &engine.Task{OneHop: true})
	if err != nil || resp.StatusCode != 503 || f.loads != 2 {
		t.Errorf("%v, %v after %d loads", resp, err, f.loads)
	}
}

// An inner load is not repeated by itself: what was loaded is.
func TestRetryOfComposedSchemes(t *testing.T) {
	f := &flaky{answers: []any{503, reset, 200}}
	outer := 0
	e := open(t, engine.Config{Retry: noPause}, scheme("https", protocols.Encrypted, f.load),
		scheme("custom", protocols.Local, func(ctx context.Context, c protocols.Client, _ *protocols.Request) (*protocols.Response, error) {
			outer++

			return c.Load(ctx, request(t, "POST", "https://a.example/"))
		}))
	body, _, err := fetch(e, request(t, "GET", "custom:x"), nil)
	if err != nil || body != "answer 3" || outer != 3 {
		t.Errorf("%q after %d loads, %v", body, outer, err)
	}
	f.loads, outer = 0, 0
	_, resp, err := fetch(e, request(t, "POST", "custom:x"), nil)
	if err != nil || resp.StatusCode != 503 || outer != 1 {
		t.Errorf("a POST: %d loads, %v", outer, err)
	}
}

// A POST whose connection could not be made is repeated; one of which a part may
// have been sent is not.
func TestRetryOfDials(t *testing.T) {
	for _, works := range []int{0, 1} {
		d := &unplugged{plugged: time.Now().Add(time.Hour), err: syscall.ECONNREFUSED, works: works}
		e := open(t, engine.Config{Dialer: d, Retry: noPause}, scheme("https", protocols.Encrypted,
			func(ctx context.Context, c protocols.Client, req *protocols.Request) (*protocols.Response, error) {
				var err error
				for range 1 + works {
					var conn net.Conn
					if conn, err = c.Dial(ctx, "tcp", req.HostPort()); err == nil {
						err = conn.Close()
					}
				}

				return nil, errors.Join(err)
			}))
		_, _, err := fetch(e, request(t, "POST", "https://a.example/"), nil)
		if failure(t, err, protocols.CannotConnectToHost); d.dials != map[int]int{0: 3, 1: 2}[works] {
			t.Errorf("%d dials that work: %d dials in all", works, d.dials)
		}
	}
}
