package otelurlkit_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	otelurlkit "github.com/urlkit/urlkit/contrib/otel"
	"github.com/urlkit/urlkit/urlsession"
)

const secret = "s3cr3t"

// rig is a session that is observed, and what its observer made.
type rig struct {
	session *urlsession.Session
	spans   *tracetest.InMemoryExporter
	tracer  *sdktrace.TracerProvider
	reader  *metric.ManualReader
}

func newRig(t *testing.T, change func(*otelurlkit.Config), delegate *urlsession.Delegate) *rig {
	t.Helper()
	r := &rig{spans: tracetest.NewInMemoryExporter(), reader: metric.NewManualReader()}
	r.tracer = sdktrace.NewTracerProvider(sdktrace.WithSyncer(r.spans))
	config := otelurlkit.Config{
		TracerProvider: r.tracer, MeterProvider: metric.NewMeterProvider(metric.WithReader(r.reader)), Propagator: propagation.TraceContext{},
	}
	if change != nil {
		change(&config)
	}
	observer, err := otelurlkit.New(config)
	if err != nil {
		t.Fatal(err)
	}
	c := urlsession.EphemeralConfiguration()
	c.Observers = []urlsession.Observer{observer}
	if r.session, err = urlsession.New(c, delegate); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.session.Close(); err != nil {
			t.Error(err)
		}
	})

	return r
}

func (r *rig) load(t *testing.T, ctx context.Context, method, url string) error { //nolint:revive // t first, as everywhere
	t.Helper()
	req, err := urlsession.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = r.session.Data(ctx, req)

	return err
}

// histogram gives the points of http.client.request.duration.
func (r *rig) histogram(t *testing.T) []metricdata.HistogramDataPoint[float64] {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := r.reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	for _, s := range all.ScopeMetrics {
		for _, m := range s.Metrics {
			if h, ok := m.Data.(metricdata.Histogram[float64]); ok && m.Name == "http.client.request.duration" && m.Unit == "s" {
				return h.DataPoints
			}
		}
	}

	return nil
}

func text(attributes []attribute.KeyValue) string {
	var words []string
	for _, a := range attributes {
		words = append(words, fmt.Sprintf("%s=%v", a.Key, a.Value.AsInterface()))
	}
	slices.Sort(words)

	return strings.Join(words, " ") + " "
}

// origins are two servers; the first redirects to the second.
type origins struct {
	first, second *httptest.Server

	mu   sync.Mutex
	seen map[string]string // traceparent by path
}

func newOrigins(t *testing.T) *origins {
	t.Helper()
	o := &origins{seen: map[string]string{}}
	handler := func(w http.ResponseWriter, r *http.Request) {
		o.mu.Lock()
		o.seen[r.URL.Path] = r.Header.Get("Traceparent")
		o.mu.Unlock()
		switch r.URL.Path {
		case "/from":
			http.Redirect(w, r, o.second.URL+"/to?token="+secret, http.StatusFound)
		case "/near":
			http.Redirect(w, r, "/there", http.StatusFound)
		case "/missing":
			http.NotFound(w, r)
		default:
			_, _ = w.Write([]byte("hello"))
		}
	}
	o.first, o.second = httptest.NewServer(http.HandlerFunc(handler)), httptest.NewServer(http.HandlerFunc(handler))
	t.Cleanup(o.first.Close)
	t.Cleanup(o.second.Close)

	return o
}

func TestSpans(t *testing.T) {
	o := newOrigins(t)
	r := newRig(t, nil, nil)
	ctx, parent := r.tracer.Tracer("test").Start(t.Context(), "parent")
	if err := r.load(t, ctx, "GET", strings.Replace(o.first.URL, "://", "://user:"+secret+"@", 1)+"/from?api_key="+secret+"&q=1#f"); err != nil {
		t.Fatal(err)
	}
	spans := r.spans.GetSpans()
	if len(spans) != 3 {
		t.Fatalf("%d spans", len(spans))
	}
	from, to, load := spans[0], spans[1], spans[2]
	first, _ := url.Parse(o.first.URL)
	if load.Name != "load GET" || load.SpanKind != trace.SpanKindInternal || load.Parent.SpanID() != parent.SpanContext().SpanID() || load.Status.Code != codes.Unset {
		t.Errorf("%+v", load)
	}
	for i, s := range []tracetest.SpanStub{from, to} {
		if s.Name != "GET" || s.SpanKind != trace.SpanKindClient || s.Parent.SpanID() != load.SpanContext.SpanID() || s.EndTime.Before(s.StartTime) ||
			s.StartTime.Before(load.StartTime) || s.EndTime.After(load.EndTime) || i == 1 && s.StartTime.Before(from.EndTime) {
			t.Errorf("%+v", s)
		}
	}
	for _, want := range []string{
		"http.request.method=GET ", "url.full=" + strings.Replace(o.first.URL, "://", "://REDACTED:REDACTED@", 1) + "/from?api_key=REDACTED&q=1 ",
		"server.address=127.0.0.1 ", "server.port=" + first.Port() + " ", "network.protocol.name=http ", "network.protocol.version=1.1 ",
		"http.response.status_code=302 ", "network.peer.address=127.0.0.1 ", "network.peer.port=" + first.Port() + " ", "urlkit.fetch_type=network ",
	} {
		if !strings.Contains(text(from.Attributes), want) {
			t.Errorf("no %q in %s", want, text(from.Attributes))
		}
	}
	if got := text(to.Attributes); !strings.Contains(got, "http.request.resend_count=1 ") || !strings.Contains(got, "http.response.body.size=5 ") || strings.Contains(text(from.Attributes), "resend") {
		t.Errorf("%s", got)
	}
	if got := fmt.Sprintf("%+v", spans); strings.Contains(got, secret) {
		t.Errorf("a secret is in %s", got)
	}
	points := r.histogram(t)
	if len(points) != 2 || points[0].Count != 1 || points[0].Sum <= 0 {
		t.Fatalf("%+v", points)
	}
	got := text(points[0].Attributes.ToSlice()) + text(points[1].Attributes.ToSlice())
	for _, want := range []string{"http.response.status_code=302 ", "http.response.status_code=200 ", "url.scheme=http ", "network.protocol.version=1.1 ", "server.port=" + first.Port() + " "} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in %s", want, got)
		}
	}
}

// A failure has its type on the span and in the histogram: the status, or the name of
// the code.
func TestErrors(t *testing.T) {
	o := newOrigins(t)
	gone := httptest.NewServer(nil)
	gone.Close()
	for _, row := range []struct {
		method, url, name, want string
		spans, points           int
		failed                  bool
	}{
		{"GET", o.first.URL + "/missing", "GET", "error.type=404 ", 2, 1, false},
		{"GET", gone.URL, "GET", "error.type=cannotConnectToHost ", 2, 1, true},
		{"BREW", o.first.URL + "/x", "HTTP", "http.request.method=_OTHER http.request.method_original=BREW ", 2, 1, false},
		{"GET", "http://example.com/", "GET", "error.type=appTransportSecurityRequiresSecureConnection ", 2, 1, true},
		{"GET", "data:,s3cr3t", "GET data:", "url.full=data:,... ", 2, 0, false},
		{"GET", "nothing:x", "GET nothing:", "error.type=unsupportedURL ", 2, 0, true},
	} {
		r := newRig(t, nil, nil)
		err := r.load(t, t.Context(), row.method, row.url)
		spans := r.spans.GetSpans()
		if len(spans) != row.spans || (err != nil) != row.failed {
			t.Fatalf("%s: %d spans, %v", row.url, len(spans), err)
		}
		s, load := spans[0], spans[1]
		if s.Name != row.name || !strings.Contains(text(s.Attributes), row.want) || (load.Status.Code == codes.Error) != row.failed ||
			strings.Contains(row.want, "error") != (s.Status.Code == codes.Error) {
			t.Errorf("%s: %q, %v, %s, load %v", row.url, s.Name, s.Status, text(s.Attributes), load.Status)
		}
		points := r.histogram(t)
		if len(points) != row.points || row.points > 0 && strings.HasPrefix(row.want, "error") && !strings.Contains(text(points[0].Attributes.ToSlice()), row.want) {
			t.Errorf("%s: points %+v", row.url, points)
		}
	}
}

// The span's context goes to the origin that was asked, and to no other unless the app
// says so.
func TestPropagation(t *testing.T) {
	o := newOrigins(t)
	r := newRig(t, nil, nil)
	for _, path := range []string{"/from", "/near"} {
		if err := r.load(t, t.Context(), "GET", o.first.URL+path); err != nil {
			t.Fatal(err)
		}
	}
	spans := r.spans.GetSpans()
	id := func(s tracetest.SpanStub) string {
		return fmt.Sprintf("00-%s-%s-01", s.SpanContext.TraceID(), s.SpanContext.SpanID())
	}
	for path, want := range map[string]string{"/from": id(spans[0]), "/to": "", "/near": id(spans[3]), "/there": id(spans[4])} {
		if got := o.seen[path]; got != want {
			t.Errorf("%s was sent %q, want %q", path, got, want)
		}
	}
	r = newRig(t, func(c *otelurlkit.Config) {
		c.Propagates = func(u *url.URL) bool { return u.Path == "/to" }
	}, nil)
	if err := r.load(t, t.Context(), "GET", o.first.URL+"/from"); err != nil {
		t.Fatal(err)
	}
	if o.seen["/from"] != "" || o.seen["/to"] != id(r.spans.GetSpans()[1]) {
		t.Errorf("%q", o.seen)
	}
}

// Tasks and answers to challenges have their spans too, also at once.
func TestTasks(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, _, ok := r.BasicAuth(); !ok {
			w.Header().Set("WWW-Authenticate", `Basic realm="r"`)
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	defer s.Close()
	r := newRig(t, nil, &urlsession.Delegate{
		DidReceiveChallenge: func(context.Context, urlsession.Task, *urlsession.Challenge) (urlsession.Disposition, *urlsession.Credential) {
			return urlsession.UseCredential, &urlsession.Credential{User: "u", Password: secret}
		},
	})
	ctx, root := r.tracer.Tracer("test").Start(t.Context(), "parent")
	var tasks []*urlsession.DataTask
	for i := range 8 {
		req, err := urlsession.NewRequest("GET", s.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			otelurlkit.SetParent(ctx, req)
		}
		task := r.session.DataTask(req)
		task.Resume()
		tasks = append(tasks, task)
	}
	for _, task := range tasks {
		if err := task.Wait(t.Context()); err != nil {
			t.Error(err)
		}
	}
	roots, children, resent := 0, 0, 0
	for _, s := range r.spans.GetSpans() {
		if !s.Parent.IsValid() {
			roots++
		}
		if s.Parent.SpanID() == root.SpanContext().SpanID() {
			children++
		}
		if strings.Contains(text(s.Attributes), "http.request.resend_count=1 ") {
			resent++
		}
	}
	if spans := r.spans.GetSpans(); len(spans) != 24 || roots != 4 || children != 4 || resent != 8 {
		t.Errorf("%d spans, %d roots, %d children, %d sent again", len(spans), roots, children, resent)
	}
}

// What the cache answers has a span, and is no request over the network.
func TestCacheHit(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		_, _ = w.Write([]byte("hello"))
	}))
	defer s.Close()
	r := newRig(t, nil, nil)
	for range 2 {
		if err := r.load(t, t.Context(), "GET", s.URL); err != nil {
			t.Fatal(err)
		}
	}
	spans := r.spans.GetSpans()
	if len(spans) != 4 {
		t.Fatalf("%d spans", len(spans))
	}
	if got := text(spans[2].Attributes); !strings.Contains(got, "urlkit.fetch_type=cache ") || !strings.Contains(got, "urlkit.cache=hit: ") || strings.Contains(got, "network.peer") {
		t.Error(got)
	}
	if points := r.histogram(t); len(points) != 1 || points[0].Count != 1 {
		t.Errorf("%+v", points)
	}
}

// A part that does not fit what is stored has the whole asked for once more: each of
// the two requests has its own span.
func TestAskedOnceMore(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"1"`)
		w.Header().Set("Cache-Control", "max-age=60")
		switch r.Header.Get("Range") {
		case "":
			_, _ = w.Write([]byte("0123456789"))
		case "bytes=0-4":
			w.Header().Set("Content-Range", "bytes 0-4/10")
			w.WriteHeader(http.StatusPartialContent)
			_, _ = w.Write([]byte("01234"))
		default:
			w.Header().Set("Content-Range", "bytes 6-9/10") // not what was asked for
			w.WriteHeader(http.StatusPartialContent)
			_, _ = w.Write([]byte("6789"))
		}
	}))
	defer s.Close()
	r := newRig(t, nil, nil)
	for _, part := range []string{"bytes=0-4", ""} {
		req, err := urlsession.NewRequest("GET", s.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		if part != "" {
			req.Header = http.Header{"Range": {part}}
		}
		if _, _, err := r.session.Data(t.Context(), req); err != nil {
			t.Fatal(err)
		}
	}
	var statuses []string
	for _, span := range r.spans.GetSpans() {
		if span.SpanKind != trace.SpanKindClient {
			continue
		}
		for _, a := range span.Attributes {
			if a.Key == "http.response.status_code" {
				statuses = append(statuses, fmt.Sprint(a.Value.AsInterface()))
			}
		}
		if span.EndTime.Before(span.StartTime) {
			t.Errorf("a span ends at %v, after %v", span.EndTime, span.StartTime)
		}
	}
	if got := strings.Join(statuses, " "); got != "206 206 200" {
		t.Errorf("the spans tell %q", got)
	}
}
