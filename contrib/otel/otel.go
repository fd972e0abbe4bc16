// Package otelurlkit traces and measures the loads of a session with OpenTelemetry:
//
//	observer, err := otelurlkit.New(otelurlkit.Config{})
//	...
//	configuration.Observers = []urlsession.Observer{observer}
//
// A load is a span of kind internal, "load GET", and each of its transactions one
// beneath it: of kind client, with the names of the semantic conventions for HTTP
// client spans, where it is HTTP, else of kind internal. A blocking call's span has its
// parent in the call's context, and a RoundTripper's in the request's; a task, which has
// no context, begins a trace, unless SetParent was told of one. Spans have the times of
// the transactions; they end when the load does.
//
// Each request that went over the network by HTTP counts in the histogram
// http.client.request.duration.
package otelurlkit

import (
	"context"
	"net/url"
	"strings"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/semconv/v1.43.0/httpconv"
	"go.opentelemetry.io/otel/trace"

	"github.com/urlkit/urlkit/har"
	"github.com/urlkit/urlkit/urlsession"
)

// scope names this module in what it makes.
const scope = "github.com/urlkit/urlkit/contrib/otel"

// Config says where spans and measurements go. The zero value uses OpenTelemetry's
// global providers.
type Config struct {
	// TracerProvider makes the spans; nil: otel.GetTracerProvider.
	TracerProvider trace.TracerProvider
	// MeterProvider makes the histogram; nil: otel.GetMeterProvider.
	MeterProvider metric.MeterProvider
	// Propagator writes the span's context into requests ("traceparent"); nil:
	// otel.GetTextMapPropagator.
	Propagator propagation.TextMapPropagator
	// Propagates tells whether a request to u carries it; nil: only one to the origin
	// (RFC 6454) of the load's own URL does, so that neither a redirect nor a composed
	// protocol tells others of it. It is called by several goroutines at once.
	Propagates func(u *url.URL) bool
	// Redaction says what is secret in a URL besides user info, which is never told.
	Redaction har.Redaction
}

// Observer is for Configuration.Observers. It is safe for concurrent use, and several
// sessions may share it.
type Observer struct {
	config   Config
	tracer   trace.Tracer
	duration httpconv.ClientRequestDuration
}

// New makes an observer. Its error is that of the meter, which could not make its
// instrument.
func New(c Config) (*Observer, error) {
	if c.TracerProvider == nil {
		c.TracerProvider = otel.GetTracerProvider()
	}
	if c.MeterProvider == nil {
		c.MeterProvider = otel.GetMeterProvider()
	}
	if c.Propagator == nil {
		c.Propagator = otel.GetTextMapPropagator()
	}
	meter := c.MeterProvider.Meter(scope, metric.WithInstrumentationVersion(urlsession.Version), metric.WithSchemaURL(semconv.SchemaURL))
	duration, err := httpconv.NewClientRequestDuration(meter)
	if err != nil {
		return nil, err
	}

	return &Observer{
		config: c, duration: duration,
		tracer: c.TracerProvider.Tracer(scope, trace.WithInstrumentationVersion(urlsession.Version), trace.WithSchemaURL(semconv.SchemaURL)),
	}, nil
}

// parent is the property of a request under which SetParent keeps the context.
const parent = scope + " parent"

// SetParent makes the span in ctx the parent of the load of req by a task, which is made
// afterwards: tasks have no context of their own. The end of ctx does not cancel it.
func SetParent(ctx context.Context, req *urlsession.Request) {
	req.SetProperty(parent, context.WithoutCancel(ctx))
}

// Observe begins the span of a load.
func (o *Observer) Observe(ctx context.Context, req *urlsession.Request) *urlsession.Observation {
	l := &load{of: o, url: req.URL, spans: make(map[*urlsession.Request][]context.Context)}
	if given, ok := req.Property(parent).(context.Context); ok && !trace.SpanContextFromContext(ctx).IsValid() {
		ctx = given
	}
	method := strings.ToUpper(req.Method)
	if method == "" {
		method = "GET"
	}
	l.ctx, l.span = o.tracer.Start(ctx, "load "+known(method), trace.WithSpanKind(trace.SpanKindInternal), trace.WithAttributes(o.urlOf(req.URL)...))

	return &urlsession.Observation{WillSend: l.willSend, DidFinishCollecting: l.finish}
}

// propagates tells whether a request carries the span's context.
func (l *load) propagates(u *url.URL) bool {
	if decide := l.of.config.Propagates; decide != nil {
		return decide(u)
	}

	return l.url != nil && strings.EqualFold(l.url.Scheme, u.Scheme) && strings.EqualFold(l.url.Hostname(), u.Hostname()) && portOf(l.url) == portOf(u)
}
