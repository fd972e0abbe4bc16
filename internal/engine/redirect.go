package engine

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/urlkit/urlkit/protocols"
)

// redirected tells what is to be loaded next; nil: the response is the result.
// The rules are those of RFC 9110 §15.4 with the decisions of DESIGN.md.
func (l *load) redirected(h *hop, resp *protocols.Response) (*protocols.Request, error) {
	if l.task.OneHop || resp.Upgraded != nil || resp.Messages != nil {
		return nil, nil
	}
	next := resp.Redirect
	if next == nil {
		if next = httpRedirect(&h.request, resp); next == nil {
			return nil, nil
		}
	} else {
		next = next.Clone()
		next.Header = canonicalHeader(next.Header)
		next.RequiresDNSSEC = next.RequiresDNSSEC || h.request.RequiresDNSSEC // a protocol does not lift it
	}
	h.own(next)
	if next.URL == nil {
		return nil, protocols.Errorf(protocols.RedirectToNonExistentLocation, "the redirect names no URL")
	}
	if limit := l.engine.config.RedirectLimit; limit > 0 && int(l.redirects) >= limit {
		l.failing = next.URL

		return nil, protocols.Errorf(protocols.HTTPTooManyRedirects, "%d redirects were followed", l.redirects)
	}
	restrict(&h.request, next)
	next, err := l.askRedirect(h, resp, next)
	if next == nil || err != nil {
		return nil, err
	}
	if err := l.mayLand(h, next); err != nil {
		return nil, err
	}
	h.logRedirect(resp, next)
	h.store(resp)
	h.drain(resp)
	l.redirects++
	l.acrossSites = l.acrossSites || site(h.request.URL) != site(next.URL)
	if !sameOrigin(h.request.URL, next.URL) {
		l.answers.Load().forget(l.engine)
	}

	return next, nil
}

// own takes from the next request what the stages had put on this one: the app's
// fields and body come back, and cookies and credentials are found anew.
func (h *hop) own(next *protocols.Request) {
	given := canonicalHeader(h.given.Header)
	withdraw(next, "Cookie", h.attached, given["Cookie"])
	h.cached.withdraw(next, given)
	for _, a := range h.of.answers.Load().onHop(h) {
		withdraw(next, a.field(), h.request.Header.Get(a.field()), given[a.field()])
	}
	for name, values := range h.added {
		withdraw(next, name, values[0], nil)
	}
	if next.Body == h.request.Body {
		next.Body = h.given.Body
	}
	if next.Bind == h.request.Bind {
		next.Bind = h.given.Bind
	}
	if next.Credential == h.request.Credential {
		next.Credential = h.given.Credential
	}
	next.Trace, next.Reprioritization, next.Route, next.DefaultPort = nil, nil, protocols.Route{}, 0
}

func (l *load) askRedirect(h *hop, resp *protocols.Response, next *protocols.Request) (answer *protocols.Request, err error) {
	if l.task.Redirect == nil {
		return next, nil
	}
	l.ask(func() { answer, err = l.task.Redirect(h, resp, next) })

	return answer, err
}

// mayLand refuses a redirect from another scheme that the target does not
// expect: http must not reach file.
func (l *load) mayLand(h *hop, next *protocols.Request) error {
	if next.URL == nil {
		return protocols.Errorf(protocols.BadURL, "%w", errNoURL)
	}
	if strings.EqualFold(next.URL.Scheme, h.request.URL.Scheme) {
		return nil
	}
	match, err := find(l.instances, next, nil)
	if err == nil && !match.Redirectable {
		err = protocols.Errorf(protocols.UnsupportedURL,
			"a redirect from %s to %s is refused", h.request.URL.Scheme, next.URL.Scheme)
	}
	if err != nil {
		l.failing = next.URL
	}

	return err
}

// httpRedirect builds the request that an HTTP response redirects to; nil: it
// does not.
func httpRedirect(req *protocols.Request, resp *protocols.Response) *protocols.Request {
	switch resp.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
	default:
		return nil
	}
	location := locationOf(resp.Header["Location"])
	if location == "" {
		return nil
	}
	target, err := url.Parse(location)
	if err != nil {
		return nil
	}
	target.RawQuery = sendable(target.RawQuery)
	next := req.Clone()
	next.URL = resp.URL.ResolveReference(target) // of the URL that answered
	if target.Fragment == "" && next.URL.Fragment == "" {
		next.URL.Fragment, next.URL.RawFragment = req.URL.Fragment, req.URL.RawFragment
	}
	if method := redirectMethod(req.Method, resp.StatusCode); method != req.Method {
		next.Method = method
		next.Body = nil
		for _, name := range contentFields {
			next.Header.Del(name)
		}
	}
	next.Header.Del("Host") // that of the new URL

	return next
}

// contentFields speak of a request's body, and go with it (RFC 9110 §15.4; digests:
// RFC 9530).
var contentFields = []string{
	"Content-Length", "Content-Type", "Content-Encoding", "Content-Language", "Content-Location", "Content-Range",
	"Content-Digest", "Repr-Digest", "Digest", "Last-Modified", "Transfer-Encoding", "Trailer", "Expect",
}

// locationOf is the one target that the Location fields name; "" where they name
// none, or disagree. Empty fields say nothing (some servers send one before the
// real one).
func locationOf(fields []string) string {
	const longest = 64 << 10
	location := ""
	for _, field := range fields {
		switch {
		case field == "" || field == location:
		case location == "" && len(field) <= longest:
			location = field
		default:
			return ""
		}
	}

	return location
}

// sendable is a query with what no request line can hold in percent-encoding (the
// query percent-encode set of the URL standard); the rest stays as it is.
func sendable(query string) string {
	var b strings.Builder
	for i := range len(query) {
		if c := query[i]; c <= ' ' || c >= 0x7f || strings.IndexByte("\"<>", c) >= 0 {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}

	return b.String()
}

// redirectMethod: 303 makes GET of every method but HEAD; 301 and 302 make GET
// of POST; the others keep it.
func redirectMethod(method string, status int) string {
	switch {
	case status == http.StatusSeeOther && method != http.MethodHead,
		(status == http.StatusMovedPermanently || status == http.StatusFound) && method == http.MethodPost:
		return http.MethodGet
	default:
		return method
	}
}

// drain reads what is left of a short body, so that its connection can be used
// again, closes it, and reports the hop.
func (h *hop) drain(resp *protocols.Response) {
	const short = 16 << 10
	e := ending{resp: resp, whole: resp.Body == protocols.NoBody}
	if n := resp.KnownLength(); n >= 0 && n <= short || h.request.Bind != "" { // which is of no use on another connection
		var err error
		e.received, err = io.CopyN(io.Discard, resp.Body, short+1)
		e.whole = err == io.EOF //nolint:errorlint // a Reader returns io.EOF bare
	}
	closeBody(resp)
	h.report(e)
}

// Redirection says in words what the rules would do with a status, for Explain.
func redirection(method string) string {
	return fmt.Sprintf("301, 302: %s; 303: %s; 307, 308: %s",
		redirectMethod(method, 301), redirectMethod(method, 303), redirectMethod(method, 307))
}
