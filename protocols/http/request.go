package http

import (
	"context"
	"math"
	nethttp "net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/urlkit/urlkit/protocols"
)

// keyOf gives the key of a request's connections.
func keyOf(req *protocols.Request, secure bool) key {
	k := key{
		route: req.Route,
		host:  strings.ToLower(req.URL.Host),
		bind:  req.Bind,
		http1: req.Bind != "" || len(req.Header["Upgrade"]) > 0,
	}
	if req.Route.Forward != "" {
		k.host = "" // one connection to the proxy serves all hosts
	}
	port := ":80"
	if secure {
		port = ":443"
	}
	k.host = strings.TrimSuffix(strings.TrimSuffix(k.host, port), ":")

	return k
}

// outgoing makes the codec's request. It shares no map with the app's, since the
// codec may look at it for a moment after a load is cancelled.
func (x *exchange) outgoing(ctx context.Context, req *protocols.Request, defaults nethttp.Header) *nethttp.Request {
	header, host := fields(req, defaults)
	if x.conn.altUsed != "" {
		header = header.Clone()
		header["Alt-Used"] = []string{x.conn.altUsed}
	}
	u := req.URL
	if req.Route.Forward != "" {
		u = absolute(u)
	}
	out := nethttp.Request{
		Method: req.Method, URL: u, Host: host, Header: header,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Close: wantsClose(header["Connection"]),
	}
	if length := req.Body.KnownLength(); length != 0 {
		x.upload = &upload{source: req.Body}
		out.Body, out.ContentLength = x.upload, length
	}

	x.out = *out.WithContext(ctx) // beside the rest of the exchange: no allocation of its own

	return &x.out
}

// fields gives the header and the Host of a request. A request that brings no
// fields gets the defaults themselves, which nobody changes.
func fields(req *protocols.Request, defaults nethttp.Header) (header nethttp.Header, host string) {
	form := req.Method == nethttp.MethodPost && req.Body.KnownLength() != 0
	urgency := urgencyOf(req.Priority)
	if len(req.Header) == 0 && !form && urgency == nil {
		return defaults, ""
	}
	header = make(nethttp.Header, len(req.Header)+len(defaults)+1)
	for name, values := range req.Header {
		name = nethttp.CanonicalHeaderKey(name)
		if name == "Host" {
			if len(values) > 0 {
				host = values[0]
			}

			continue
		}
		if old, twice := header[name]; twice {
			values = append(slices.Clip(old), values...)
		}
		header[name] = values
	}
	_, part := header["Range"]
	for name, values := range defaults {
		if _, ok := header[name]; ok || part && name == "Accept-Encoding" {
			continue // a part of a coded body means nothing by itself
		}
		header[name] = values
	}
	if _, ok := header["Content-Type"]; !ok && form {
		header["Content-Type"] = formType
	}
	if _, ok := header["Priority"]; !ok && urgency != nil {
		header["Priority"] = urgency
	}

	return header, host
}

// urgencies are the values of the field Priority (RFC 9218 §4.1), the most urgent
// first. The default is not sent.
var urgencies = [8][]string{{"u=0"}, {"u=1"}, {"u=2"}, nil, {"u=4"}, {"u=5"}, {"u=6"}, {"u=7"}}

// urgencyOf tells the server of a priority between 0 and 1: 1 is urgency 0, 0.75 is 2,
// 0.5 the default 3, 0.25 is 5, and what is next to nothing 7.
func urgencyOf(priority float64) []string {
	const usual = 3
	switch {
	case priority <= 0 || priority > 1:
		return nil
	case priority >= 0.5:
		return urgencies[int(math.Round((1-priority)*2*usual))]
	default:
		return urgencies[usual+int(math.Round((1-priority*2)*4))]
	}
}

// formType is what Apple's URLSession calls a POST body that has no type.
var formType = []string{"application/x-www-form-urlencoded"}

// absolute is the URL in the form that a proxy is asked with (RFC 9112 §3.2.2).
func absolute(u *url.URL) *url.URL {
	path := u.EscapedPath()
	if path == "" || path[0] != '/' {
		path = "/" + path
	}

	return &url.URL{Scheme: u.Scheme, Host: u.Host, Opaque: "//" + u.Host + path, RawQuery: u.RawQuery, ForceQuery: u.ForceQuery}
}

// wantsClose tells whether the app asked for the end of the connection.
func wantsClose(connection []string) bool {
	for _, line := range connection {
		for option := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(option), "close") {
				return true
			}
		}
	}

	return false
}
