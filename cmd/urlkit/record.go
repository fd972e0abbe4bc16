package main

import (
	"crypto/tls"
	"errors"
	"net/http"
	"time"

	"github.com/urlkit/urlkit/urlsession"
)

// record is what --json prints of one URL. Times are milliseconds. Header fields
// and URLs come without secrets.
type record struct {
	URL          string              `json:"url"`
	FinalURL     string              `json:"final_url,omitempty"` // that answered, where it is another
	Status       int                 `json:"status,omitempty"`    // none: the scheme has no such thing, or no head came
	Header       map[string][]string `json:"header,omitempty"`
	Type         string              `json:"type,omitempty"`
	Protocol     string              `json:"protocol,omitempty"` // "http/1.1", "h2", "h3"
	Bytes        int64               `json:"bytes"`              // of the body, decoded
	File         string              `json:"file,omitempty"`
	Redirects    int                 `json:"redirects"`
	Timing       *timing             `json:"timing,omitempty"`
	Transactions []transaction       `json:"transactions"`
	Error        *problem            `json:"error,omitempty"`
}

type timing struct {
	Start string       `json:"start"` // RFC 3339
	Total milliseconds `json:"total"`
}

// transaction is one request and its response.
type transaction struct {
	Method        string              `json:"method"`
	URL           string              `json:"url"`
	RequestHeader map[string][]string `json:"request_header,omitempty"`
	Status        int                 `json:"status,omitempty"`
	Header        map[string][]string `json:"header,omitempty"`
	URLProtocol   string              `json:"url_protocol"`
	Scheme        string              `json:"scheme"`
	Policy        string              `json:"policy,omitempty"`
	Protocol      string              `json:"protocol,omitempty"`
	TLS           string              `json:"tls,omitempty"`
	CipherSuite   string              `json:"cipher_suite,omitempty"`
	Resolution    string              `json:"resolution,omitempty"` // how the name was looked up, where it is known
	Local         string              `json:"local,omitempty"`
	Remote        string              `json:"remote,omitempty"`
	From          string              `json:"from,omitempty"`  // where the response came from
	Cache         string              `json:"cache,omitempty"` // what the cache had to say
	Retry         string              `json:"retry,omitempty"`
	Multipath     bool                `json:"multipath,omitempty"`
	Cellular      bool                `json:"cellular,omitempty"`
	Expensive     bool                `json:"expensive,omitempty"`
	Constrained   bool                `json:"constrained,omitempty"`
	Reused        bool                `json:"reused"`
	Proxied       bool                `json:"proxied"`
	Inner         bool                `json:"inner"`
	HeadSent      int64               `json:"head_bytes_sent"` // -1: the protocol does not tell
	BodySource    int64               `json:"body_bytes_before_encoding"`
	BodySent      int64               `json:"body_bytes_sent"`
	HeadReceived  int64               `json:"head_bytes_received"`
	Received      int64               `json:"bytes_received"`
	Decoded       int64               `json:"bytes_decoded"`
	Start         string              `json:"start,omitempty"` // RFC 3339
	Timing        times               `json:"timing"`
	Error         *problem            `json:"error,omitempty"`
}

// problem is an error. One of this command's own has no code.
type problem struct {
	Code    int    `json:"code,omitempty"` // of NSURLErrorDomain
	Name    string `json:"name,omitempty"` // Apple's
	Message string `json:"message"`
	Exit    int    `json:"exit"` // the exit status that it makes
}

func newProblem(err error) *problem {
	if err == nil {
		return nil
	}
	p := &problem{Message: err.Error(), Exit: exitOf(err)}
	var e *urlsession.Error
	if errors.As(err, &e) {
		p.Code, p.Name = e.Code.Raw(), e.Code.String()
	}

	return p
}

func newRecord(o *outcome) *record {
	r := &record{
		URL: o.url, Bytes: o.bytes, File: o.file, Redirects: o.metrics.RedirectCount,
		Transactions: []transaction{}, Error: newProblem(o.err),
	}
	if !o.metrics.Start.IsZero() {
		r.Timing = &timing{
			Start: moment(o.metrics.Start),
			Total: between(o.metrics.Start, o.metrics.End),
		}
	}
	for i := range o.metrics.Transactions {
		r.Transactions = append(r.Transactions, newTransaction(&o.metrics.Transactions[i]))
	}
	if resp := o.response; resp != nil {
		r.Status, r.Header, r.Type, r.Protocol = resp.StatusCode, showFields(resp.Header), resp.MIMEType, resp.Proto
		if final := showURL(resp.URL); final != r.URL {
			r.FinalURL = final
		}
	}

	return r
}

// moment is a time in the form of RFC 3339.
func moment(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05.000Z07:00") }

func newTransaction(m *urlsession.TransactionMetrics) transaction {
	t := transaction{
		Method: m.Request.Method, URL: showURL(m.Request.URL), RequestHeader: showFields(m.RequestHeader),
		URLProtocol: m.URLProtocol, Scheme: m.Scheme, Policy: m.Policy, Protocol: m.NetworkProtocolName, TLS: m.TLS(),
		Reused: m.ReusedConnection, Proxied: m.ProxyConnection, Inner: m.Inner,
		Received: m.BodyBytesReceived, Decoded: m.BodyBytesAfterDecoding,
		Timing: timesOf(m), Error: newProblem(m.Err), Retry: m.Retry.String(), Cache: m.Cache,
		Resolution: m.DomainResolutionProtocol.String(),
		Multipath:  m.Multipath, Cellular: m.Cellular, Expensive: m.Expensive, Constrained: m.Constrained,
		HeadSent: m.RequestHeaderBytesSent, BodySource: m.BodyBytesBeforeEncoding, BodySent: m.BodyBytesSent,
		HeadReceived: m.ResponseHeaderBytesReceived, Start: moment(m.FetchStart),
	}
	if m.TLSVersion != 0 {
		t.CipherSuite = tls.CipherSuiteName(m.TLSCipherSuite)
	}
	if m.RemoteAddr != nil {
		t.Local, t.Remote = m.LocalAddr.String(), m.RemoteAddr.String()
	}
	if m.Response != nil {
		t.From = originOf(m)
		t.Status, t.Header = m.Response.StatusCode, showFields(m.Response.Header)
	}

	return t
}

func showFields(h http.Header) map[string][]string {
	if len(h) == 0 {
		return nil
	}
	shown := make(map[string][]string, len(h))
	for name, values := range h {
		for _, value := range values {
			shown[name] = append(shown[name], showField(name, value))
		}
	}

	return shown
}
