package engine

import (
	"context"
	"errors"
	"maps"
	"net/http"

	"github.com/urlkit/urlkit/internal/httpcache"
	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/storage"
)

// mostVariants bounds the responses of one key: a peer chooses what Vary names.
const mostVariants = 32

// store sees to it that the response is stored while it is read, if it may be (RFC
// 9111 §3).
func (h *hop) store(resp *protocols.Response) {
	c, e := h.cached, h.of.engine
	if c == nil || c.served != notServed || c.query.Method != http.MethodGet || c.decided.Action == httpcache.Refuse {
		return
	}
	if e.vouched.has(resp) {
		c.note(false, "the app alone trusts its server")
		h.useful(false)

		return
	}
	h.chooseByAdded()
	if why := h.unstorable(resp); why != "" {
		h.unstored(resp, why)

		return
	}
	if resp.StatusCode == http.StatusPartialContent {
		h.storePart(resp)

		return
	}
	entry := e.cacheRules.NewEntry(&c.query, resp, c.requested, c.came)
	if resp.Body == protocols.NoBody {
		entry.Length = 0
	}
	useful := e.cacheRules.Fresh(entry, c.came)
	h.useful(useful)
	e.limitVariants(h, entry)
	writer, err := e.config.Cache.Create(h, entry)
	if err != nil {
		h.unstored(resp, unwritten(err))

		return
	}
	h.write(resp, &storing{writer: writer, entry: entry, expected: entry.Length, useful: useful})
}

// chooseByAdded counts the fields that were added to the transaction among the
// request's: Vary may name one, and one may be a credential.
func (h *hop) chooseByAdded() {
	q := &h.cached.query
	if len(h.added) == 0 {
		return
	}
	header := make(http.Header, len(q.Header)+len(h.added))
	maps.Copy(header, q.Header)
	maps.Copy(header, h.added)
	q.Header = header
}

// unstorable tells why a response is not stored; "": it may be.
func (h *hop) unstorable(resp *protocols.Response) string {
	c, e := h.cached, h.of.engine
	scheme := h.request.URL.Scheme
	switch {
	case scheme != "http" && scheme != "https" && resp.CacheStoragePolicy == protocols.StorageNotAllowed:
		return "its protocol does not allow it"
	case resp.Upgraded != nil || resp.Messages != nil:
		return "it is a connection"
	case resp.Redirect != nil || len(resp.Challenges) > 0:
		return "it is a question of its protocol"
	case resp.MIMEType == "multipart/x-mixed-replace" || resp.MIMEType == "text/event-stream":
		return "it is a stream of news"
	case h.of.task.Cache != nil && httpRedirect(&h.request, resp) != nil:
		return "it is a redirect, of which the delegate is not asked"
	case resp.KnownLength() > e.config.Cache.MaximumBody():
		return unwritten(storage.ErrTooLarge)
	}

	return e.cacheRules.Unstorable(&c.query, resp)
}

// unstored notes why, and lets go what is stored for the same request: it is of an
// earlier version.
func (h *hop) unstored(resp *protocols.Response, why string) {
	c, e := h.cached, h.of.engine
	c.note(false, why)
	h.useful(false)
	asked := e.cacheRules.Request(c.query.Header)
	if asked.Has(httpcache.RequestNoStore) || resp.StatusCode == http.StatusNotModified ||
		resp.StatusCode >= 400 && resp.StatusCode != http.StatusNotFound && resp.StatusCode != http.StatusGone {
		return
	}
	if old := h.earlier(); old != nil {
		_ = e.config.Cache.Remove(h, old.Key, old)
	}
}

// earlier is what is stored for the same request; nil: nothing is. A reload has not
// looked yet, and a part says nothing of the whole.
func (h *hop) earlier() *storage.CacheEntry {
	c, e := h.cached, h.of.engine
	switch c.query.Policy {
	case protocols.ReloadIgnoringLocalCache, protocols.ReloadIgnoringLocalAndRemoteCache:
	default:
		return c.decided.Entry
	}
	if len(c.query.Header["Range"]) > 0 {
		return nil
	}
	entries, _ := e.config.Cache.Lookup(h, c.query.Key)
	old, _ := e.cacheRules.Select(&c.query, entries)

	return old
}

// unwritten is the reason that the store has.
func unwritten(err error) string {
	if errors.Is(err, storage.ErrTooLarge) {
		return "it is longer than what the cache stores of one response"
	}

	return "the cache cannot be written: " + err.Error()
}

// useful says whether the response will be of use to those who wait for it.
func (h *hop) useful(useful bool) {
	h.of.engine.flights.remember(h.cached.flightKey(), useful)
	switch {
	case !useful:
		h.settle(false)
	case h.outer == nil:
		h.of.promise()
	}
}

// limitVariants makes room for one more response of a key.
func (e *Engine) limitVariants(ctx context.Context, entry *storage.CacheEntry) {
	if entry.Variant == "" {
		return
	}
	entries, err := e.config.Cache.Lookup(ctx, entry.Key)
	if err != nil || len(entries) < mostVariants {
		return
	}
	oldest := entries[0]
	for _, other := range entries {
		if other.Variant == entry.Variant {
			return // which it replaces
		}
		if other.ResponseTime.Before(oldest.ResponseTime) {
			oldest = other
		}
	}
	_ = e.config.Cache.Remove(ctx, oldest.Key, oldest)
}

// storePart stores a part of a body beside what is stored of the same version (RFC
// 9111 §3.3 and §3.4).
func (h *hop) storePart(resp *protocols.Response) {
	c, e := h.cached, h.of.engine
	part, ok := e.cacheRules.ContentRangeOf(resp.Header)
	length := resp.KnownLength()
	switch {
	case !ok:
		h.unstored(resp, "its Content-Range does not tell which part of what it is")

		return
	case e.cacheRules.StrongValidator(resp.Header) == "":
		h.unstored(resp, "a part without a strong validator belongs to nothing")

		return
	case length >= 0 && length != part.End-part.Start:
		h.unstored(resp, "its Content-Range is not that of its body")

		return
	case part.Length > e.config.Cache.MaximumBody():
		h.unstored(resp, unwritten(storage.ErrTooLarge))

		return
	}
	h.useful(false)
	entries, _ := e.config.Cache.Lookup(h, c.query.Key)
	whole, _ := e.cacheRules.Select(&c.query, entries)
	if whole != nil && e.cacheRules.SameVersion(whole, resp.Header, part) {
		changed := e.cacheRules.Updated(whole, resp.Header, c.requested, c.came)
		if e.config.Cache.Update(h, whole, changed) == nil {
			whole = changed
		}
		if whole.Whole() {
			c.note(false, "all of it is stored")

			return
		}
	} else if whole = h.createParts(resp, part); whole == nil {
		return
	}
	h.extend(resp, whole, part)
}

// createParts stores a response of whose body nothing is there yet; nil: the store
// does not take it.
func (h *hop) createParts(resp *protocols.Response, part httpcache.Part) *storage.CacheEntry {
	c, e := h.cached, h.of.engine
	entry := e.cacheRules.NewEntry(&c.query, resp, c.requested, c.came)
	entry.StatusCode, entry.Length = http.StatusOK, part.Length
	delete(entry.Header, "Content-Range")
	entry.Header["Content-Length"] = []string{offset(part.Length)}
	e.limitVariants(h, entry)
	writer, err := e.config.Cache.Create(h, entry)
	if err == nil {
		entry, err = writer.Commit(h)
	}
	if err != nil {
		c.note(false, unwritten(err))

		return nil
	}

	return entry
}

// extend stores a part of a body while it is read.
func (h *hop) extend(resp *protocols.Response, entry *storage.CacheEntry, part httpcache.Part) {
	writer, err := h.of.engine.config.Cache.Extend(h, entry, part.Start)
	if err != nil {
		h.cached.note(false, unwritten(err))
		h.removeEmpty(entry)

		return
	}
	h.write(resp, &storing{writer: writer, entry: entry, expected: part.End - part.Start, part: true})
}
