package http

import (
	"context"
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
	u := urgencyOf(priorityOf(req))
	if len(req.Header) == 0 && !form && u == usualUrgency {
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
	if _, ok := header["Priority"]; !ok && u != usualUrgency {
		header["Priority"] = urgencies[u]
	}

	return header, host
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
