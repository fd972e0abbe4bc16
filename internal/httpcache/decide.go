package httpcache

import (
	"net/http"
	"time"

	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/storage"
)

// Action is what is done with a request.
type Action uint8

const (
	// Load asks the origin, and may store what it answers.
	Load Action = iota
	// Serve answers with the stored response.
	Serve
	// ServeAndRevalidate does, and validates it meanwhile (RFC 5861 §3).
	ServeAndRevalidate
	// Validate asks the origin whether the stored response still holds.
	Validate
	// Complete asks the origin for the rest of a stored body.
	Complete
	// Refuse answers with 504 (Gateway Timeout): the request says only-if-cached.
	Refuse
	// Fail is an error: the policy is ReturnCacheDontLoad.
	Fail
)

// Verdict is what is done with a request, and why.
type Verdict struct {
	Action Action
	// Entry is the stored response that is served, validated or completed; nil: none.
	Entry *storage.CacheEntry
	// Partial: the request asks for Part of the body, and the answer is a 206.
	Partial bool
	Part    Part
	// Stale is how long ago the entry ceased to be fresh; negative: it is fresh.
	Stale time.Duration
	// Age is that of the entry.
	Age time.Duration
	// Why says in words.
	Why string
}

// Bypasses tells why a request goes past the lookup: the app validates, or it asks
// for something that no stored response is an answer to; "": it does not.
func (r Rules) Bypasses(h http.Header) string {
	for _, field := range []struct {
		name Name
		text string
	}{
		{IfNoneMatch, "If-None-Match"},
		{IfModifiedSince, "If-Modified-Since"},
		{IfMatch, "If-Match"},
		{IfUnmodifiedSince, "If-Unmodified-Since"},
		{Host, "Host"},
	} {
		if len(h[field.text]) > 0 && r.on(field.name) {
			return "the request has " + field.text
		}
	}
	if len(h["Upgrade"]) > 0 {
		return "the request has Upgrade"
	}

	return ""
}

// Decide tells what is done with a GET or HEAD request, given what is stored under
// its key (RFC 9111 §4; Apple's six policies).
func (r Rules) Decide(q *Query, entries []*storage.CacheEntry, now time.Time) Verdict {
	v := r.decide(q, entries, now)
	if v.Action == Load || v.Action == Validate || v.Action == Complete {
		asked := r.Request(q.Header)
		switch {
		case q.Policy == protocols.ReturnCacheDontLoad:
			v.Action = Fail
		case asked.Has(RequestOnlyIfCached):
			v.Action = Refuse
		}
	}

	return v
}

func (r Rules) decide(q *Query, entries []*storage.CacheEntry, now time.Time) Verdict {
	if why := r.Bypasses(q.Header); why != "" {
		return Verdict{Why: why}
	}
	if q.Policy == protocols.ReloadIgnoringLocalCache || q.Policy == protocols.ReloadIgnoringLocalAndRemoteCache {
		return Verdict{Why: "the policy is to load"}
	}
	e, d := r.Select(q, entries)
	switch {
	case e == nil && len(entries) > 0:
		return Verdict{Why: "what is stored is for other requests (Vary)"}
	case e == nil:
		return Verdict{Why: "nothing is stored"}
	}
	v := Verdict{Entry: e, Age: r.Age(e, now)}
	lifetime := r.Lifetime(e, &d)
	v.Stale = v.Age - lifetime
	anyAge := q.Policy == protocols.ReturnCacheElseLoad || q.Policy == protocols.ReturnCacheDontLoad
	switch {
	case len(q.Header["Range"]) > 0 && r.on(Range):
		return r.decidePart(q, v, &d, anyAge)
	case !e.Whole() && q.Method != http.MethodHead:
		return r.decideIncomplete(v)
	case anyAge:
		return v.serve("the policy asks for no age")
	}

	return r.decideWhole(q, v, &d)
}

func (v Verdict) serve(why string) Verdict {
	v.Action, v.Why = Serve, why

	return v
}

// decidePart is for a request with Range: what is stored answers it, or the origin
// does.
func (r Rules) decidePart(q *Query, v Verdict, d *Directives, anyAge bool) Verdict {
	p, ok := r.part(q, v.Entry)
	if !ok || q.Method == http.MethodHead {
		return Verdict{Why: "the range is not stored"}
	}
	if !anyAge {
		if v = r.decideWhole(q, v, d); v.Action != Serve {
			return Verdict{Why: v.Why}
		}
	} else {
		v = v.serve("the policy asks for no age")
	}
	v.Partial, v.Part = true, p

	return v
}

// decideIncomplete is for a request for all of a body of which a part is stored.
func (r Rules) decideIncomplete(v Verdict) Verdict {
	if beginning(v.Entry) == 0 || v.Entry.Length < 0 || r.StrongValidator(v.Entry.Header) == "" || !r.on(ContentRange) ||
		len(v.Entry.Header["Content-Encoding"]) > 0 { // the rest would not be asked for coded
		return Verdict{Why: "the stored body is incomplete"}
	}
	v.Action, v.Why = Complete, "the stored body is incomplete"
	v.Part = Part{beginning(v.Entry), v.Entry.Length, v.Entry.Length}

	return v
}

// decideWhole asks whether a response may be used as it is (RFC 9111 §4.2, §5.2.1).
func (r Rules) decideWhole(q *Query, v Verdict, d *Directives) Verdict {
	asked := r.Request(q.Header)
	reload := q.Policy == protocols.ReloadRevalidatingCache && !(d.Has(Immutable) && v.Stale < 0)
	switch {
	case reload:
		return r.validate(v, q, "the policy is to validate")
	case asked.Has(RequestNoCache):
		return r.validate(v, q, "the request says no-cache")
	case d.Has(NoCache):
		return r.validate(v, q, "it says no-cache")
	case asked.Has(RequestMaxAge) && v.Age > asked.seconds[maxAge] && !(asked.Has(RequestMaxStale) && v.Age-asked.seconds[maxAge] <= asked.seconds[maxStale]):
		return r.validate(v, q, "it is older than the request's max-age")
	case asked.Has(RequestMinFresh) && -v.Stale < asked.seconds[minFresh]:
		return r.validate(v, q, "it is not fresh for as long as the request's min-fresh")
	case v.Stale < 0:
		return v.serve("fresh")
	case v.Age == forever:
		return r.validate(v, q, "it is from the future: the clock was set back")
	case d.Has(MustRevalidate):
		return r.validate(v, q, "stale, and it says must-revalidate")
	case asked.Has(RequestMaxStale) && v.Stale <= asked.seconds[maxStale]:
		return v.serve("stale, which the request's max-stale allows")
	case d.Has(StaleWhileRevalidate) && v.Stale <= d.seconds[staleWhileRevalidate] && q.Method != http.MethodHead && q.Header["Range"] == nil:
		v = v.serve("stale, which stale-while-revalidate allows")
		v.Action = ServeAndRevalidate

		return v
	}

	return r.validate(v, q, "stale")
}

func (r Rules) validate(v Verdict, q *Query, why string) Verdict {
	v.Why = why
	if q.Method != http.MethodHead && r.hasValidator(v.Entry.Header) {
		v.Action = Validate
	}

	return v
}

// ServesOnError tells whether a stored response may be served because the origin
// failed (RFC 5861 §4, RFC 9111 §4.2.4).
func (r Rules) ServesOnError(q *Query, e *storage.CacheEntry, now time.Time) bool {
	asked, d := r.Request(q.Header), r.Response(e.Header)
	age := r.Age(e, now)
	if age == forever || d.Has(MustRevalidate|NoCache) || asked.Has(RequestNoCache) {
		return false
	}
	stale := age - r.Lifetime(e, &d)

	return asked.Has(RequestStaleIfError) && stale <= asked.seconds[staleIfError] || d.Has(StaleIfError) && stale <= d.seconds[staleIfError]
}

// IsError tells which statuses stale-if-error is for (RFC 5861 §4).
func IsError(status int) bool {
	switch status {
	case http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	default:
		return false
	}
}
