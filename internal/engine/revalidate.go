package engine

import (
	"net/http"

	"github.com/urlkit/urlkit/internal/httpcache"
	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/storage"
)

// answered takes in what the origin's answer says of stored responses. One of them may
// take its place.
func (h *hop) answered(resp *protocols.Response) (*protocols.Response, error) {
	h.invalidate(resp)
	if h.cached == nil {
		return resp, nil
	}
	h.cached.came = h.of.engine.config.Now()

	return h.validated(resp)
}

// validated takes the origin's answer to a question about a stored response (RFC
// 9111 §4.3.3).
func (h *hop) validated(resp *protocols.Response) (*protocols.Response, error) {
	c, rules := h.cached, h.of.engine.cacheRules
	v := &c.decided
	switch status := resp.StatusCode; {
	case v.Entry == nil:
	case v.Action == httpcache.Validate && status == http.StatusNotModified:
		if !rules.Confirms(v.Entry, resp.Header) {
			return h.reload(resp, "the origin's 304 speaks of another response")
		}

		return h.refreshed(resp)
	case v.Action == httpcache.Complete:
		return h.completed(resp)
	case httpcache.IsError(status) && rules.ServesOnError(&c.query, v.Entry, h.of.engine.config.Now()) && v.Entry.Whole():
		if stale := h.serveStale(); stale != nil {
			h.dropAnswer(resp)

			return stale, nil
		}
	case c.query.Method == http.MethodHead && resp.OK():
		h.freshen(resp)
	}

	return resp, nil
}

// refreshed serves the stored response that a 304 confirms, with the 304's fields.
func (h *hop) refreshed(resp *protocols.Response) (*protocols.Response, error) {
	c, e := h.cached, h.of.engine
	old := c.decided.Entry
	changed := e.cacheRules.Updated(old, resp.Header, c.requested, c.came)
	was := c.decided
	c.served, c.decided.Entry = servedValidated, changed
	fresh, err := h.serve(old) // whose body stays readable, whatever becomes of it
	if err != nil {
		c.served, c.decided = notServed, was

		return h.reload(resp, "the stored response is gone: "+err.Error())
	}
	closeBody(resp) // a 304 has none
	fresh.Header = changed.Header.Clone()
	fresh.MIMEType, fresh.TextEncodingName = changed.MIMEType, changed.TextEncodingName
	fresh.Conn, fresh.Reused = resp.Conn, resp.Reused
	useful := h.keeps(old, resp) && e.config.Cache.Update(h, old, changed) == nil && e.cacheRules.Fresh(changed, c.came)
	e.flights.remember(c.flightKey(), useful)
	h.settle(useful)

	return fresh, nil
}

// keeps tells whether what an answer says of a stored response may be stored (RFC 9111
// §5.2.1.5). One that says no-store ends the storing of that (§5.2.2.5).
func (h *hop) keeps(old *storage.CacheEntry, resp *protocols.Response) bool {
	c, rules := h.cached, h.of.engine.cacheRules
	if h.of.engine.vouched.has(resp) {
		return false
	}
	asked, d := rules.Request(c.query.Header), rules.Response(resp.Header)
	if d.Has(httpcache.NoStore) && !d.Has(httpcache.MustUnderstand) {
		_ = h.of.engine.config.Cache.Remove(h, old.Key, old)

		return false
	}

	return !asked.Has(httpcache.RequestNoStore)
}

// freshen updates the stored response by the answer to a HEAD, or removes it where
// that speaks of another (RFC 9111 §4.3.5).
func (h *hop) freshen(resp *protocols.Response) {
	c, e := h.cached, h.of.engine
	old := c.decided.Entry
	switch {
	case e.vouched.has(resp): // nobody else has accepted what it says
	case !e.cacheRules.HeadConfirms(old, resp.StatusCode, resp.Header):
		_ = e.config.Cache.Remove(h, old.Key, old)
	case h.keeps(old, resp):
		_ = e.config.Cache.Update(h, old, e.cacheRules.Updated(old, resp.Header, c.requested, c.came))
	}
}

// completed joins what is stored of a body with the rest (RFC 9111 §3.4). Two
// versions are never mixed: the origin sends the rest only where the validator holds,
// and what it sends is looked at.
func (h *hop) completed(resp *protocols.Response) (*protocols.Response, error) {
	c, e := h.cached, h.of.engine
	v := &c.decided
	part, ok := e.cacheRules.ContentRangeOf(resp.Header)
	switch {
	case resp.StatusCode == http.StatusOK:
		return resp, nil // another version
	case resp.StatusCode == http.StatusPartialContent:
		if length := resp.KnownLength(); !ok || part != v.Part || !e.cacheRules.SameVersion(v.Entry, resp.Header, part) ||
			length >= 0 && length != part.End-part.Start {
			return h.reload(resp, "the origin's part is of another response")
		}
	case resp.StatusCode == http.StatusNotModified, resp.StatusCode == http.StatusRequestedRangeNotSatisfiable,
		resp.StatusCode == http.StatusPreconditionFailed:
		return h.reload(resp, "the origin has not the rest of it")
	default:
		return resp, nil
	}
	reader, err := e.config.Cache.Open(h, v.Entry, 0)
	if err != nil {
		return h.reload(resp, "the stored response is gone: "+err.Error())
	}
	c.served = servedCompleted
	h.settle(false)
	joined := new(protocols.Response)
	h.storedHead(joined, e.cacheRules.Updated(v.Entry, resp.Header, c.requested, c.came))
	joined.Conn, joined.Reused = resp.Conn, resp.Reused
	if h.keeps(v.Entry, resp) {
		h.extend(resp, v.Entry, part)
	}
	joined.Body = &joinedBody{&storedBody{reader: reader, ctx: h.of.ctx, left: part.Start}, resp.Body}

	return joined, nil
}

// staleIfError serves the stored response where the origin cannot be reached (RFC
// 5861 §4). What the caller or the session ended is no such case.
func (h *hop) staleIfError(err error) (*protocols.Response, error) {
	c, e := h.cached, h.of.engine
	if c == nil || h.of.ctx.Err() != nil {
		return nil, err
	}
	entry := c.decided.Entry
	if entry == nil || !entry.Whole() || !e.cacheRules.ServesOnError(&c.query, entry, e.config.Now()) {
		return nil, err
	}
	if resp := h.serveStale(); resp != nil {
		return resp, nil
	}

	return nil, err
}

// serveStale serves the stored response in place of an error; nil: the store has
// lost it.
func (h *hop) serveStale() *protocols.Response {
	c, e := h.cached, h.of.engine
	was := c.decided
	c.served = servedStale
	c.decided.Age = e.cacheRules.Age(was.Entry, e.config.Now())
	c.decided.Why = "the origin failed, and stale-if-error allows it"
	resp, err := h.serve(was.Entry)
	if err != nil {
		c.served, c.decided = notServed, was

		return nil
	}
	h.settle(false)

	return resp
}

// dropAnswer reports the answer of the origin in whose place a stored response is
// served.
func (h *hop) dropAnswer(resp *protocols.Response) {
	c := h.cached
	served := c.served
	c.served = notServed
	h.drain(resp)
	c.served = served
}
