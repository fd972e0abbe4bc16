package engine

import (
	"net/url"
	"strings"
	"sync"

	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/storage"
)

// hasCookies tells which schemes cookies are for (RFC 6265 §4; a WebSocket's
// handshake is HTTP).
func hasCookies(scheme string) bool {
	switch scheme {
	case "http", "https", "ws", "wss":
		return true
	default:
		return false
	}
}

// attachCookies adds the stored cookies. Stored ones win over a Cookie field of
// the request. A hop inside another that did this already for the same host
// leaves it alone; one for another host does not carry those along.
func (h *hop) attachCookies() {
	held := h.withdrawOuter()
	store := h.of.engine.config.Cookies
	if held || store == nil || h.of.task.OneHop || h.request.OmitsCookies || !hasCookies(h.request.URL.Scheme) {
		return
	}
	h.cookies = true
	if h.of.engine.config.OmitsCookies {
		return // received ones are stored all the same, as Apple's httpShouldSetCookies says
	}
	q := h.query(h.request.URL)
	field := store.CookieHeader(q)
	queries.Put(q)
	if field != "" {
		h.setField("Cookie", field)
		h.attached = field
	}
}

// queries are reused: a store keeps no reference to one.
var queries = sync.Pool{New: func() any { return new(storage.CookieQuery) }}

// query describes the hop to a store. u is its URL, or the one that answered.
func (h *hop) query(u *url.URL) *storage.CookieQuery {
	q, _ := queries.Get().(*storage.CookieQuery)
	*q = storage.CookieQuery{
		URL: u, MainDocumentURL: h.request.MainDocumentURL,
		Method: h.request.Method, Partition: h.request.CookiePartition,
		RedirectedAcrossSites: h.of.acrossSites, AcceptPolicy: h.of.engine.config.CookieAcceptPolicy,
	}

	return q
}

// withdrawOuter takes from an inner hop what the stages had put on the hops
// around it, where it goes to another origin. It tells whether one of them
// handles the cookies of this origin.
func (h *hop) withdrawOuter() bool {
	for o := h.outer; o != nil; o = o.outer {
		if sameOrigin(o.request.URL, h.request.URL) {
			if o.cookies {
				return true
			}

			continue
		}
		withdraw(&h.request, "Cookie", o.attached, nil)
		for _, a := range h.of.answers.Load().onHop(h) {
			withdraw(&h.request, a.field(), o.request.Header.Get(a.field()), nil)
			// A scheme that is composed over another of the same host hands it on.
			if h.request.Credential == a.credential && !strings.EqualFold(o.request.URL.Hostname(), h.request.URL.Hostname()) {
				h.request.Credential = nil
			}
		}
	}

	return false
}

// learnCookies stores the cookies of a response, before a redirect is followed.
func (h *hop) learnCookies(resp *protocols.Response) {
	if !h.cookies || len(resp.Header) == 0 {
		return
	}
	set := resp.Header["Set-Cookie"]
	if len(set) == 0 {
		return
	}
	q := h.query(resp.URL)
	h.of.engine.config.Cookies.StoreCookies(q, set)
	queries.Put(q)
}

// setField sets a header field in the hop's request; the caller's header is left
// as it was.
func (h *hop) setField(name, value string) {
	header := h.request.Header.Clone()
	if header == nil {
		header = make(map[string][]string, 1)
	}
	header[name] = []string{value}
	h.request.Header = header
}

// withdraw puts back a field that a stage had set, where req still has it.
func withdraw(req *protocols.Request, name, set string, given []string) {
	if set == "" || req.Header.Get(name) != set {
		return
	}
	header := req.Header.Clone()
	delete(header, name)
	if len(given) > 0 {
		header[name] = given
	}
	req.Header = header
}
