package httpcache

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/storage"
)

// Unstorable tells why a response must not be stored, or why that is not worth it
// (RFC 9111 §3); "": it may be. The caller has seen to the method.
func (r Rules) Unstorable(q *Query, resp *protocols.Response) string {
	asked, d := r.Request(q.Header), r.Response(resp.Header)
	understood := statusUnderstood(resp.StatusCode)
	switch status := resp.StatusCode; {
	case len(q.Header["Host"]) > 0 && r.on(Host):
		return "the request has a Host of its own"
	case asked.Has(RequestNoStore):
		return "the request says no-store"
	case status == http.StatusUnauthorized || status == http.StatusProxyAuthRequired:
		return "the status is a question for a credential"
	case status == http.StatusNotModified || status != 0 && status < 200:
		return "the status is no answer"
	case aboutRequest(status):
		return "the status is about the request's conditions"
	case status == http.StatusPartialContent && !r.on(ContentRange):
		return "ranges are not understood"
	case d.Has(MustUnderstand) && !understood:
		return "must-understand, and the status is not understood"
	case d.Has(NoStore) && !(d.Has(MustUnderstand) && understood):
		return "no-store"
	case !r.explicit(resp.Header, &d) && !d.Has(Public|Private) && !heuristicallyCacheable(status):
		return "nothing allows a response of this status to be stored"
	}
	if _, ok := r.varyNames(resp.Header); !ok {
		return "Vary is *, or too long"
	}
	if authorization := q.Header.Get("Authorization"); r.on(Authorization) && oneTime(authorization) && !forAll(&d) {
		return "the request's credential is for one request"
	}

	return ""
}

// aboutRequest are the statuses that answer a field which another request for the same
// may not have (RFC 9110 §15.5.13, §15.5.17, §15.5.18).
func aboutRequest(status int) bool {
	switch status {
	case http.StatusPreconditionFailed, http.StatusRequestedRangeNotSatisfiable, http.StatusExpectationFailed:
		return true
	default:
		return false
	}
}

// statusUnderstood are the statuses of RFC 9110 (must-understand, RFC 9111
// §5.2.2.3).
func statusUnderstood(status int) bool {
	switch {
	case status == 0, 200 <= status && status <= 206, 300 <= status && status <= 308, 400 <= status && status <= 417,
		status == 421, status == 422, status == 426, 500 <= status && status <= 505:
		return true
	default:
		return false
	}
}

// forAll tells whether a response to a request with Authorization says that it may
// be reused for others (RFC 9111 §3.5). A private one is not for them, whatever else
// it says: must-revalidate often stands beside that.
func forAll(d *Directives) bool { return d.Has(Public|MustRevalidate) && !d.Has(Private) }

// oneTime tells whether a credential differs from request to request, so that no
// other carries the same.
func oneTime(authorization string) bool {
	scheme, _, _ := strings.Cut(authorization, " ")
	switch strings.ToLower(scheme) {
	case "digest", "ntlm", "negotiate":
		return true
	default:
		return false
	}
}

// NewEntry describes a response that may be stored. Both times are those of the wall
// clock alone: the other one stands still while a machine sleeps.
func (r Rules) NewEntry(q *Query, resp *protocols.Response, requested, came time.Time) *storage.CacheEntry {
	d := r.Response(resp.Header)
	made := &struct { // one allocation
		entry storage.CacheEntry
		url   url.URL
	}{}
	e := &made.entry
	*e = storage.CacheEntry{
		Key: q.Key, StatusCode: resp.StatusCode,
		Header: r.stored(resp.Header, &d), Proto: resp.Proto, MIMEType: resp.MIMEType, TextEncodingName: resp.TextEncodingName,
		RequestTime: requested.Round(0), ResponseTime: came.Round(0),
		Length:       resp.KnownLength(),
		InMemoryOnly: resp.CacheStoragePolicy == protocols.StorageAllowedInMemoryOnly,
	}
	if resp.URL != nil {
		made.url = *resp.URL
		made.url.User, made.url.Fragment, made.url.RawFragment = nil, "", ""
		e.URL = &made.url
	}
	r.setVariant(q, e, &d)

	return e
}

// hopByHop are the fields that speak of one connection (RFC 9111 §3.1).
var hopByHop = []string{
	"Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authentication-Info", "Proxy-Authorization", "Proxy-Connection",
	"Te", "Trailer", "Transfer-Encoding", "Upgrade",
}

// stored is a response's header without what is not to be stored: fields of the
// connection, and those that no-cache names (RFC 9111 §3.1, §5.2.2.4).
func (r Rules) stored(h http.Header, d *Directives) http.Header {
	kept := h.Clone()
	if kept == nil {
		kept = make(http.Header)
	}
	if r.on(Connection) {
		for _, name := range r.connectionFields(h) {
			delete(kept, name)
		}
	}
	if d.Has(NoCacheFields) {
		for _, name := range d.fields {
			delete(kept, name)
		}
	}

	return kept
}

// connectionFields are hopByHop, and what Connection names.
func (r Rules) connectionFields(h http.Header) []string {
	names := hopByHop
	for _, line := range h["Connection"] {
		names = append(names[:len(names):len(names)], fieldNames(line)...)
	}

	return names
}
