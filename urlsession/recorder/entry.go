package recorder

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"mime"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/urlkit/urlkit/har"
	"github.com/urlkit/urlkit/urlsession"
)

// Entry is a transaction as an entry of a log, secrets included: a har.Writer redacts
// them.
func Entry(t *urlsession.TransactionMetrics) *har.Entry {
	e := &har.Entry{
		StartedDateTime: t.FetchStart, Request: requestOf(t), Response: responseOf(t), Timings: timingsOf(t), Notes: custom(),
	}
	for _, part := range []float64{e.Timings.Blocked, e.Timings.DNS, e.Timings.Connect, e.Timings.Send, e.Timings.Wait, e.Timings.Receive} {
		e.Time += max(part, 0)
	}
	e.Time = math.Round(e.Time*1000) / 1000 // as its parts
	if t.RemoteAddr != nil && !t.ProxyConnection {
		e.ServerIPAddress, _, _ = net.SplitHostPort(t.RemoteAddr.String())
	}
	if t.LocalAddr != nil {
		_, e.Connection, _ = net.SplitHostPort(t.LocalAddr.String())
	}
	note(e.Custom, "_protocol", t.NetworkProtocolName)
	note(e.Custom, "_policy", t.Policy)
	note(e.Custom, "_tls", t.TLS())
	note(e.Custom, "_resolution", t.DomainResolutionProtocol.String())
	note(e.Custom, "_retry", t.Retry.String())
	note(e.Custom, "_cache", t.Cache)
	note(e.Custom, "_fromCache", t.ResourceFetchType == urlsession.FetchLocalCache)
	note(e.Custom, "_reused", t.ReusedConnection)
	note(e.Custom, "_proxied", t.ProxyConnection)
	note(e.Custom, "_inner", t.Inner)
	note(e.Custom, "_multipath", t.Multipath)
	note(e.Custom, "_cellular", t.Cellular)
	note(e.Custom, "_expensive", t.Expensive)
	note(e.Custom, "_constrained", t.Constrained)

	return e
}

func custom() har.Notes { return har.Notes{Custom: har.Custom{}} }

// note adds a custom field that says something.
func note[T comparable](c har.Custom, name string, value T) {
	var zero T
	if value == zero {
		return
	}
	data, err := json.Marshal(value)
	if err == nil {
		c[name] = data
	}
}

func requestOf(t *urlsession.TransactionMetrics) har.Request {
	req := t.Request
	r := har.Request{
		Method: req.Method, HTTPVersion: version(t), Headers: fieldsOf(t.RequestHeader),
		HeadersSize: t.RequestHeaderBytesSent, BodySize: t.BodyBytesSent,
	}
	if req.URL != nil {
		r.URL = req.URL.String()
		r.QueryString = pairs(req.URL.RawQuery)
	}
	for _, line := range t.RequestHeader["Cookie"] {
		cookies, _ := http.ParseCookie(line) // what cannot be read stands among the fields
		for _, c := range cookies {
			r.Cookies = append(r.Cookies, har.Cookie{Name: c.Name, Value: c.Value})
		}
	}
	if len(t.RequestBody) == 0 {
		return r
	}
	p := &har.PostData{MIMEType: t.RequestHeader.Get("Content-Type"), Notes: custom()}
	truncated := int64(len(t.RequestBody)) < t.BodyBytesBeforeEncoding
	p.Text, p.Encoding = textOf(t.RequestBody, truncated)
	note(p.Custom, "_truncated", truncated)
	if kind, _, _ := mime.ParseMediaType(p.MIMEType); kind == "application/x-www-form-urlencoded" && p.Encoding == "" {
		for _, pair := range pairs(p.Text) {
			p.Params = append(p.Params, har.Param{Name: pair.Name, Value: pair.Value})
		}
	}
	r.PostData = p

	return r
}

func responseOf(t *urlsession.TransactionMetrics) har.Response {
	r := har.Response{
		HTTPVersion: version(t), HeadersSize: t.ResponseHeaderBytesReceived, BodySize: t.BodyBytesReceived, Notes: custom(),
	}
	if t.Err != nil {
		note(r.Custom, "_error", t.Err.Error())
	}
	if t.Response == nil {
		r.BodySize = har.Unknown

		return r
	}
	header := t.Response.Header
	r.Status, r.StatusText = t.Response.StatusCode, http.StatusText(t.Response.StatusCode)
	r.Headers, r.RedirectURL = fieldsOf(header), header.Get("Location")
	for _, line := range header["Set-Cookie"] {
		if c, err := http.ParseSetCookie(line); err == nil {
			r.Cookies = append(r.Cookies, har.Cookie{
				Name: c.Name, Value: c.Value, Path: c.Path, Domain: c.Domain, Expires: c.Expires, HTTPOnly: c.HttpOnly, Secure: c.Secure,
			})
		}
	}
	r.Content = har.Content{Size: t.BodyBytesAfterDecoding, MIMEType: header.Get("Content-Type"), Notes: custom()}
	if r.Content.MIMEType == "" {
		r.Content.MIMEType = t.Response.MIMEType
	}
	if header.Get("Content-Encoding") != "" && t.BodyBytesAfterDecoding > 0 && t.BodyBytesReceived > 0 {
		r.Content.Compression = t.BodyBytesAfterDecoding - t.BodyBytesReceived
	}
	truncated := int64(len(t.ResponseBody)) < t.BodyBytesAfterDecoding
	if len(t.ResponseBody) > 0 {
		r.Content.Text, r.Content.Encoding = textOf(t.ResponseBody, truncated)
		note(r.Content.Custom, "_truncated", truncated)
	}
	if t.ResponseHeaderBytesReceived >= 0 {
		note(r.Custom, "_transferSize", t.ResponseHeaderBytesReceived+t.BodyBytesReceived)
	}

	return r
}

// version is a protocol as the format writes it.
func version(t *urlsession.TransactionMetrics) string {
	switch name := t.NetworkProtocolName; name {
	case "http/1.0", "http/1.1":
		return strings.ToUpper(name)
	case "h2":
		return "HTTP/2"
	case "h3":
		return "HTTP/3"
	default:
		return name
	}
}

// fieldsOf are the fields of a header, sorted by name.
func fieldsOf(h http.Header) []har.NameValue {
	var fields []har.NameValue
	for name, values := range h {
		for _, value := range values {
			fields = append(fields, har.NameValue{Name: name, Value: value})
		}
	}
	slices.SortStableFunc(fields, func(a, b har.NameValue) int { return strings.Compare(a.Name, b.Name) })

	return fields
}

// pairs are the parameters of a query, in their order.
func pairs(query string) []har.NameValue {
	var list []har.NameValue
	for pair := range strings.SplitSeq(query, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		list = append(list, har.NameValue{Name: unescaped(name), Value: unescaped(value)})
	}

	return list
}

func unescaped(s string) string {
	if plain, err := url.QueryUnescape(s); err == nil {
		return plain
	}

	return s
}

// textOf is a body as text, or in Base64 where it is none. A truncated one may end
// within a character, which is dropped.
func textOf(body []byte, truncated bool) (text, encoding string) {
	if truncated {
		for cut := 0; cut < utf8.UTFMax && cut < len(body); cut++ {
			if whole := body[:len(body)-cut]; utf8.Valid(whole) {
				return string(whole), ""
			}
		}
	} else if utf8.Valid(body) {
		return string(body), ""
	}

	return base64.StdEncoding.EncodeToString(body), "base64"
}

// timingsOf are the phases in milliseconds; those that an open connection spared the
// transaction are har.Unknown.
func timingsOf(t *urlsession.TransactionMetrics) har.Timings {
	began := t.RequestStart
	for _, earlier := range []time.Time{t.ConnectStart, t.DomainLookupStart} {
		if !earlier.IsZero() {
			began = earlier
		}
	}

	return har.Timings{
		Blocked: between(t.FetchStart, began),
		DNS:     between(t.DomainLookupStart, t.DomainLookupEnd),
		Connect: between(t.ConnectStart, t.ConnectEnd),
		SSL:     between(t.SecureConnectionStart, t.SecureConnectionEnd),
		Send:    max(between(t.RequestStart, t.RequestEnd), 0),
		Wait:    max(between(t.RequestEnd, t.ResponseStart), 0),
		Receive: max(between(t.ResponseStart, t.ResponseEnd), 0),
	}
}

func between(from, to time.Time) float64 {
	if from.IsZero() || to.Before(from) {
		return har.Unknown
	}

	return float64(to.Sub(from).Microseconds()) / 1000
}
