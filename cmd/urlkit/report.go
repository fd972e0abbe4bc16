package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/urlkit/urlkit/urlsession"
)

// report is what -v says of a transfer when it has ended: each request and its
// response as curl marks them, what policy decided, and what took how long.
func report(o *outcome) string {
	var b strings.Builder
	for i := range o.metrics.Transactions {
		t := &o.metrics.Transactions[i]
		reportRequest(&b, i+1, t)
		reportResponse(&b, t)
		if times := timesOf(t).String(); times != "" {
			fmt.Fprintf(&b, "* time: %s\n", times)
		}
	}
	if o.err != nil {
		fmt.Fprintf(&b, "* failed: %s\n", printable(o.err.Error()))
	}
	took := o.metrics.End.Sub(o.metrics.Start)
	fmt.Fprintf(&b, "* %s: %s, %s\n", o.url, count(len(o.metrics.Transactions), "request"), count(o.metrics.RedirectCount, "redirect"))
	if !o.metrics.Start.IsZero() {
		fmt.Fprintf(&b, "* total: %s, body %s\n", brief(took), size(o.bytes))
	}

	return b.String()
}

// outlook is what is known now of HTTP/3 where the transfer ended: that it did not work,
// say, and is left alone for a while; "": nothing is to be said of it.
func (r *runner) outlook(ctx context.Context, o *outcome) string {
	n := len(o.metrics.Transactions)
	if n == 0 {
		return ""
	}
	last := o.metrics.Transactions[n-1].Request
	e, err := r.session.Explain(ctx, &urlsession.Request{URL: last.URL, AssumesHTTP3Capable: last.AssumesHTTP3Capable})
	if err != nil {
		return "" // it stands in the report
	}
	for _, s := range e.Steps {
		if s.Stage == "http/3" {
			return fmt.Sprintf("* http/3, next time: %s\n", printable(s.Verdict))
		}
	}

	return ""
}

func reportRequest(b *strings.Builder, number int, t *urlsession.TransactionMetrics) {
	inner := ""
	if t.Inner {
		inner = ", made by a protocol"
	}
	if why := t.Retry.String(); why != "" {
		inner += ", again (" + why + ")"
	}
	fmt.Fprintf(b, "* request %d: %s takes %q%s\n", number, t.URLProtocol, t.Scheme, inner)
	if t.Policy != "" {
		fmt.Fprintf(b, "* policy: %s\n", printable(t.Policy))
	}
	if t.RemoteAddr != nil {
		fmt.Fprintf(b, "* connection: %s\n", connectionOf(t))
	}
	if by := t.DomainResolutionProtocol; by != urlsession.ResolutionUnknown {
		fmt.Fprintf(b, "* lookup: DNS by %s\n", by)
	}
	method := t.Request.Method
	if method == "" {
		method = http.MethodGet
	}
	fmt.Fprintf(b, "> %s %s\n", printable(method), showURL(t.Request.URL))
	reportFields(b, ">", t.RequestHeader)
}

func reportResponse(b *strings.Builder, t *urlsession.TransactionMetrics) {
	if t.Response != nil {
		if code := t.Response.StatusCode; code != 0 {
			fmt.Fprintf(b, "< %s %d %s\n", protocolName(t.NetworkProtocolName), code, http.StatusText(code))
		} else {
			fmt.Fprintf(b, "< %s\n", printable(t.Response.MIMEType))
		}
		reportFields(b, "<", t.Response.Header)
		fmt.Fprintf(b, "* from: %s\n", originOf(t))
		if t.Cache != "" {
			fmt.Fprintf(b, "* cache: %s\n", printable(t.Cache))
		}
		fmt.Fprintf(b, "* body: %s received, %s decoded\n", size(t.BodyBytesReceived), size(t.BodyBytesAfterDecoding))
	}
	if sent := sentBy(t); sent != "" {
		fmt.Fprintf(b, "* bytes: %s\n", sent)
	}
	if t.Err != nil {
		fmt.Fprintf(b, "* error: %s\n", printable(t.Err.Error()))
	}
}

func reportFields(b *strings.Builder, mark string, h http.Header) {
	for _, name := range fieldNames(h) {
		for _, value := range h[name] {
			fmt.Fprintf(b, "%s %s: %s\n", mark, printable(name), showField(name, value))
		}
	}
	fmt.Fprintf(b, "%s\n", mark)
}

// originOf says where a response came from.
func originOf(t *urlsession.TransactionMetrics) string {
	switch t.ResourceFetchType {
	case urlsession.FetchNetworkLoad:
		return "the network"
	case urlsession.FetchUnknown:
		return "the protocol itself"
	default:
		return "the cache"
	}
}

// sentBy counts what a transaction sent and the head that it received, as far as the
// protocol tells; "": nothing.
func sentBy(t *urlsession.TransactionMetrics) string {
	var parts []string
	if t.RequestHeaderBytesSent >= 0 {
		parts = append(parts, size(t.RequestHeaderBytesSent)+" head sent")
	}
	if t.BodyBytesSent > 0 {
		parts = append(parts, fmt.Sprintf("%s body sent, of %s", size(t.BodyBytesSent), size(t.BodyBytesBeforeEncoding)))
	}
	if t.ResponseHeaderBytesReceived >= 0 {
		parts = append(parts, size(t.ResponseHeaderBytesReceived)+" head received")
	}

	return strings.Join(parts, ", ")
}

// connectionOf names the ends of a connection and what was negotiated on it.
func connectionOf(t *urlsession.TransactionMetrics) string {
	text := fmt.Sprintf("%s to %s", t.LocalAddr, t.RemoteAddr)
	if t.ProxyConnection {
		text += " (a proxy)"
	}
	if t.TLSVersion != 0 {
		text += fmt.Sprintf(", %s with %s", t.TLS(), tls.CipherSuiteName(t.TLSCipherSuite))
	} else {
		text += ", no TLS"
	}
	if t.NetworkProtocolName != "" {
		text += ", " + printable(t.NetworkProtocolName)
	}
	if t.ReusedConnection {
		text += ", used before"
	}
	for _, kind := range []struct {
		name string
		is   bool
	}{{"multipath", t.Multipath}, {"cellular", t.Cellular}, {"expensive", t.Expensive}, {"constrained", t.Constrained}} {
		if kind.is {
			text += ", " + kind.name
		}
	}

	return text
}

// times are the parts of a transaction; those that it did not come to, or that an
// open connection spared it, are 0.
type times struct {
	Queue   milliseconds `json:"queue,omitempty"` // for a connection, or a place on one
	Lookup  milliseconds `json:"lookup,omitempty"`
	Connect milliseconds `json:"connect,omitempty"` // with TLS
	TLS     milliseconds `json:"tls,omitempty"`
	Send    milliseconds `json:"send,omitempty"`
	Wait    milliseconds `json:"wait,omitempty"` // from the request's end to the first byte
	Receive milliseconds `json:"receive,omitempty"`
	Total   milliseconds `json:"total"`
}

// milliseconds have a fraction.
type milliseconds float64

func between(from, to time.Time) milliseconds {
	if from.IsZero() || to.Before(from) {
		return 0
	}

	return milliseconds(to.Sub(from).Microseconds()) / 1000
}

func timesOf(t *urlsession.TransactionMetrics) times {
	began := t.RequestStart
	for _, earlier := range []time.Time{t.ConnectStart, t.DomainLookupStart} {
		if !earlier.IsZero() {
			began = earlier
		}
	}

	return times{
		Queue:   between(t.FetchStart, began),
		Lookup:  between(t.DomainLookupStart, t.DomainLookupEnd),
		Connect: between(t.ConnectStart, t.ConnectEnd),
		TLS:     between(t.SecureConnectionStart, t.SecureConnectionEnd),
		Send:    between(t.RequestStart, t.RequestEnd),
		Wait:    between(t.RequestEnd, t.ResponseStart),
		Receive: between(t.ResponseStart, t.ResponseEnd),
		Total:   between(t.FetchStart, t.ResponseEnd),
	}
}

// String leaves out what took no time.
func (t times) String() string {
	var parts []string
	for _, part := range []struct {
		name string
		took milliseconds
	}{
		{"queue", t.Queue},
		{"lookup", t.Lookup},
		{"connect", t.Connect},
		{"tls", t.TLS},
		{"send", t.Send},
		{"wait", t.Wait},
		{"receive", t.Receive},
	} {
		if part.took > 0 {
			parts = append(parts, fmt.Sprintf("%s %.1f ms", part.name, part.took))
		}
	}

	return strings.Join(parts, ", ")
}

func brief(d time.Duration) string { return d.Round(100 * time.Microsecond).String() }

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}

	return fmt.Sprintf("%d %ss", n, noun)
}
