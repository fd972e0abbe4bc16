package otelurlkit

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/semconv/v1.43.0/httpconv"
	"go.opentelemetry.io/otel/trace"

	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/urlsession"
)

// load is a load that is observed.
type load struct {
	of   *Observer
	url  *url.URL
	ctx  context.Context
	span trace.Span

	mu    sync.Mutex
	spans map[*urlsession.Request][]context.Context // of transactions that were begun, in order
}

// willSend begins the span of a transaction, and gives the fields that propagate it.
func (l *load) willSend(req *urlsession.Request) http.Header {
	ctx := l.begin(req, req.Trace.Time(protocols.FetchStart))
	l.mu.Lock()
	l.spans[req] = append(l.spans[req], ctx) // a cache may have the same request sent once more
	l.mu.Unlock()
	if !l.propagates(req.URL) {
		return nil
	}
	fields := make(http.Header)
	l.of.config.Propagator.Inject(ctx, propagation.HeaderCarrier(fields))

	return fields
}

// begin begins a span with what is known before the answer, which samplers see.
func (l *load) begin(req *urlsession.Request, at time.Time) context.Context {
	options := []trace.SpanStartOption{trace.WithAttributes(l.of.urlOf(req.URL)...)}
	if !at.IsZero() {
		options = append(options, trace.WithTimestamp(at))
	}
	name := req.Method
	if isHTTP(req.URL) {
		name = known(req.Method)
		options = append(options, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(methodOf(req.Method)...))
	} else if req.URL != nil {
		name += " " + req.URL.Scheme + ":"
	}
	ctx, _ := l.of.tracer.Start(l.ctx, name, options...)

	return ctx
}

// finish ends the spans.
func (l *load) finish(m *urlsession.TaskMetrics) {
	sent, inner := 0, false
	for i := range m.Transactions {
		inner = inner || m.Transactions[i].Inner
	}
	for i := range m.Transactions {
		t := &m.Transactions[i]
		ctx := l.begun(t.Request)
		if ctx == nil { // it came to no protocol: refused, or out of the cache
			ctx = l.begin(t.Request, t.FetchStart)
		}
		facts := factsOf(t)
		if isHTTP(t.Request.URL) && sent > 0 && !t.Inner {
			facts = append(facts, semconv.HTTPRequestResendCount(sent))
		}
		if !t.Inner {
			sent++
		}
		end := endOf(m, i)
		conclude(trace.SpanFromContext(ctx), facts, t, end)
		if composed := inner && !t.Inner && t.RequestStart.IsZero(); !composed {
			l.measure(ctx, t, end)
		}
	}
	l.endRest(m.End)
	l.span.SetAttributes(attribute.Int("urlkit.redirect_count", m.RedirectCount), attribute.Int("urlkit.transaction_count", len(m.Transactions)))
	if m.Err != nil {
		l.span.SetAttributes(errorType(m.Err))
		l.span.SetStatus(codes.Error, m.Err.Error()) // names a URL without secrets
	}
	l.span.End(trace.WithTimestamp(m.End))
}

// begun is the first span that was begun for a request and not taken; nil: there is none.
func (l *load) begun(req *urlsession.Request) context.Context {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := l.spans[req]
	if len(list) == 0 {
		return nil
	}
	l.spans[req] = list[1:]

	return list[0]
}

// endRest ends the spans of transactions that were begun and never told.
func (l *load) endRest(at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, list := range l.spans {
		for _, ctx := range list {
			trace.SpanFromContext(ctx).End(trace.WithTimestamp(at))
		}
	}
	clear(l.spans)
}

// endOf is when a transaction was over: at its last byte, else when the next one began
// or the load was over.
func endOf(m *urlsession.TaskMetrics, i int) time.Time {
	t := &m.Transactions[i]
	if !t.ResponseEnd.IsZero() {
		return t.ResponseEnd
	}
	for _, next := range m.Transactions[i+1:] {
		if next.Inner == t.Inner && next.FetchStart.After(t.FetchStart) {
			return next.FetchStart
		}
	}

	return m.End
}

func conclude(span trace.Span, facts []attribute.KeyValue, t *urlsession.TransactionMetrics, end time.Time) {
	span.SetAttributes(facts...)
	switch {
	case t.Err != nil:
		span.SetStatus(codes.Error, t.Err.Error())
	case t.Response != nil && t.Response.StatusCode >= 400:
		span.SetStatus(codes.Error, "")
	}
	span.End(trace.WithTimestamp(end))
}

// measure counts a request that went over the network.
func (l *load) measure(ctx context.Context, t *urlsession.TransactionMetrics, end time.Time) {
	if t.ResourceFetchType != urlsession.FetchNetworkLoad || !isHTTP(t.Request.URL) {
		return
	}
	method, _ := methodOf(t.Request.Method)[0].Value.AsInterface().(string)
	attributes := append(protocolOf(t), outcomeOf(t)...)
	attributes = append(attributes, semconv.URLScheme(t.Request.URL.Scheme))
	l.of.duration.Record(ctx, max(end.Sub(t.FetchStart), 0).Seconds(), httpconv.RequestMethodAttr(method),
		t.Request.URL.Hostname(), portOf(t.Request.URL), attributes...)
}

// errorType is error.type: the name of an error's code.
func errorType(err error) attribute.KeyValue {
	var e *urlsession.Error
	var code urlsession.Code
	switch {
	case errors.As(err, &e):
		return semconv.ErrorTypeKey.String(e.Code.String())
	case errors.As(err, &code):
		return semconv.ErrorTypeKey.String(code.String())
	default:
		return semconv.ErrorType(err)
	}
}
