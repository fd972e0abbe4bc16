package http

import (
	"bufio"
	nethttp "net/http"
	"net/http/httptrace"
	"slices"
	"strings"
)

// head writes the heads of plain requests, as net/http's Request.Write does but
// without its allocations.
type head struct {
	names []string // kept from one request to the next
}

// write writes a request without a body; false: it is not plain, and nothing was
// written.
func (h *head) write(w *bufio.Writer, r *nethttp.Request) (bool, error) {
	host := r.Host
	if host == "" {
		host = r.URL.Host
	}
	if r.Body != nil || !plainMethod(r.Method) || !plainHost(host) {
		return false, nil
	}
	target := r.URL.RequestURI()
	for i := range len(target) {
		if target[i] < ' ' || target[i] == 0x7f {
			return false, nil
		}
	}
	put(w, r.Method, " ", target)
	put(w, " HTTP/1.1\r\nHost: ", host, "\r\n")
	h.fields(w, r)
	_, err := w.WriteString("\r\n")
	if trace := httptrace.ContextClientTrace(r.Context()); trace != nil && trace.WroteRequest != nil {
		trace.WroteRequest(httptrace.WroteRequestInfo{Err: err})
	}

	return true, err
}

// fields writes the header, in the order of the names but for two that go first.
func (h *head) fields(w *bufio.Writer, r *nethttp.Request) {
	if agent := r.Header["User-Agent"]; len(agent) > 0 && agent[0] != "" {
		put(w, "User-Agent: ", strings.Trim(agent[0], " \t"), "\r\n")
	}
	if r.Close && !wantsClose(first(r.Header["Connection"])) {
		put(w, "Connection: close", "\r\n", "")
	}
	h.names = h.names[:0]
	for name := range r.Header {
		switch name {
		case "Host", "User-Agent", "Content-Length", "Transfer-Encoding", "Trailer":
		default:
			h.names = append(h.names, name)
		}
	}
	slices.Sort(h.names)
	for _, name := range h.names {
		for _, value := range r.Header[name] {
			put(w, name, ": ", strings.Trim(value, " \t"))
			put(w, "\r\n", "", "")
		}
	}
	clear(h.names) // which are the app's
}

func first(values []string) []string { return values[:min(len(values), 1)] }

// put writes three strings; a bufio.Writer tells of an error at its end.
func put(w *bufio.Writer, a, b, c string) {
	_, _ = w.WriteString(a)
	_, _ = w.WriteString(b)
	_, _ = w.WriteString(c)
}

// plainMethod tells the methods without a body that tell no length.
func plainMethod(method string) bool {
	switch method {
	case nethttp.MethodGet, nethttp.MethodHead, nethttp.MethodDelete, nethttp.MethodOptions:
		return true
	default:
		return false
	}
}

// plainHost tells whether a host goes out as it stands: no zone of IPv6 and
// nothing to encode.
func plainHost(host string) bool {
	for i := range len(host) {
		c := host[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte(".-_:[]", c) >= 0) {
			return false
		}
	}

	return host != ""
}
