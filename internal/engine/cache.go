package engine

import (
	"math"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/urlkit/urlkit/internal/httpcache"
	"github.com/urlkit/urlkit/protocols"
)

// caching is what the cache stage knows of a hop. A nil *caching is that of a hop
// that goes past the cache.
type caching struct {
	query     httpcache.Query
	decided   httpcache.Verdict
	requested time.Time // when the origin was asked
	came      time.Time // when the head of its answer came
	added     []string  // names of the fields that the stage has put on the request
	served    served
	storing   *storing // nil: the response is not stored

	invalidations uint64 // that were before the origin was asked

	mu       sync.Mutex
	stored   bool
	unstored string // why not
}

// served says how a stored response became the answer.
type served uint8

const (
	notServed served = iota
	servedFresh
	servedStale
	servedValidated
	servedCompleted
)

// cache answers the hop with what is stored, or prepares its request for asking the
// origin (RFC 9111 §4). Without a response or an error the hop is to be loaded.
func (h *hop) cache() (*protocols.Response, error) {
	policy, store := h.cachePolicy(), h.of.engine.config.Cache
	if policy == protocols.UseProtocolCachePolicy && store == nil {
		return nil, nil
	}
	scheme := h.request.URL.Scheme
	web := scheme == "http" || scheme == "https"
	if policy == protocols.ReloadIgnoringLocalAndRemoteCache && web {
		h.askPastCaches()
	}
	method := h.request.Method
	reads := (method == http.MethodGet || method == http.MethodHead) && h.request.Body == nil &&
		h.request.Bind == "" // what is said over a connection that was let in is for its user
	if store == nil || h.of.task.Uncached || !reads || !web && (!mayBeStored(scheme) || h.forSomebody()) {
		if policy == protocols.ReturnCacheDontLoad && (web || h.match.Security != protocols.Local) {
			return nil, notStored("such a load goes past the cache")
		}

		return nil, nil
	}
	key := httpcache.Key(h.request.URL)
	for o := h.outer; o != nil; o = o.outer {
		if o.cached != nil && o.cached.query.Key == key {
			return nil, nil // the hop around it sees to it
		}
	}
	h.cached = &caching{query: httpcache.Query{
		Key: key, Method: method, Header: h.request.Header, Partition: h.request.CookiePartition, Policy: policy,
	}}
	if web {
		h.cached.query.Defaults = h.of.engine.config.Header
	}

	return h.lookUp(true)
}

// mayBeStored tells of which schemes, besides those of HTTP, a protocol may allow a
// response to be stored. The others have it at hand, or are connections.
func mayBeStored(scheme string) bool {
	switch scheme {
	case "data", "file", "ws", "wss":
		return false
	default:
		return true
	}
}

// forSomebody tells whether a request names its user where no field of it does, and the
// key does not either.
func (h *hop) forSomebody() bool { return h.request.URL.User != nil || h.request.Credential != nil }

// cachePolicy is the request's policy, else that of the request for which it is
// made, else the session's.
func (h *hop) cachePolicy() protocols.CachePolicy {
	if h.of.task.validates {
		return protocols.ReloadRevalidatingCache
	}
	for o := h; o != nil; o = o.outer {
		if p := o.request.CachePolicy; p != protocols.UseProtocolCachePolicy {
			return p
		}
	}

	return h.of.engine.config.CachePolicy
}

// askPastCaches asks the caches on the way to stand aside, unless the app itself
// tells them something (RFC 9111 §5.2.1.4 and §5.4).
func (h *hop) askPastCaches() {
	if len(h.request.Header["Cache-Control"]) == 0 && len(h.request.Header["Pragma"]) == 0 {
		h.setField("Cache-Control", "no-cache")
		h.setField("Pragma", "no-cache")
	}
}

func notStored(why string) error {
	return protocols.Errorf(protocols.ResourceUnavailable, "the policy is not to load, and there is no stored response that can be used (%s): %w",
		why, protocols.CannotLoadFromNetwork)
}

// lookUp decides by what is stored. waits: it may wait for another load of the same
// key.
func (h *hop) lookUp(waits bool) (*protocols.Response, error) {
	c, e := h.cached, h.of.engine
	entries, err := e.config.Cache.Lookup(h, c.query.Key)
	c.decided = e.cacheRules.Decide(&c.query, entries, e.config.Now())
	if err != nil && c.decided.Entry == nil {
		c.decided.Why = "the cache cannot be read: " + err.Error()
	}
	v := &c.decided
	switch v.Action {
	case httpcache.Fail:
		return nil, notStored(v.Why)
	case httpcache.Refuse:
		return h.gatewayTimeout(), nil
	case httpcache.Serve, httpcache.ServeAndRevalidate:
		if resp := h.serveNow(); resp != nil {
			return resp, nil
		}
	}
	if waits && h.coalesces() && h.follow() {
		return h.lookUp(false)
	}
	h.prepare()

	return nil, nil
}

// serveNow answers with the stored response; nil: the store has lost it.
func (h *hop) serveNow() *protocols.Response {
	c, e := h.cached, h.of.engine
	v := &c.decided
	c.served = servedFresh
	if v.Stale >= 0 {
		c.served = servedStale
	}
	resp, err := h.serve(v.Entry)
	if err != nil {
		c.served = notServed
		c.decided = httpcache.Verdict{Why: "the cache cannot be read: " + err.Error()}

		return nil
	}
	if v.Action == httpcache.ServeAndRevalidate {
		e.revalidate(h)
	}
	h.markLocal()

	return resp
}

// prepare makes the request a question about what is stored.
func (h *hop) prepare() {
	c := h.cached
	c.ask(h.of.engine)
	rules := h.of.engine.cacheRules
	switch v := &c.decided; v.Action {
	case httpcache.Validate:
		tag, date := rules.Validators(v.Entry.Header)
		h.condition("If-None-Match", tag)
		h.condition("If-Modified-Since", date)
	case httpcache.Complete:
		h.condition("Range", "bytes="+offset(v.Part.Start)+"-")
		h.condition("If-Range", rules.StrongValidator(v.Entry.Header))
	}
}

// ask notes when the origin is asked.
func (c *caching) ask(e *Engine) {
	c.requested, c.invalidations = e.config.Now(), e.invalidations.now()
}

// condition puts a field on the request; "": none.
func (h *hop) condition(name, value string) {
	if value == "" {
		return
	}
	h.setField(name, value)
	h.cached.added = append(h.cached.added, name)
}

// withdraw takes from the next request what the stage had put on this one.
func (c *caching) withdraw(next *protocols.Request, given http.Header) {
	if c == nil || len(c.added) == 0 {
		return
	}
	header := next.Header.Clone()
	for _, name := range c.added {
		delete(header, name)
		if lines, ok := given[name]; ok {
			header[name] = lines
		}
	}
	next.Header = header
}

// reload loads once more, without the conditions that the origin did not take as they
// were meant.
func (h *hop) reload(resp *protocols.Response, why string) (*protocols.Response, error) {
	c := h.cached
	h.drain(resp)
	h.retrace()
	c.withdraw(&h.request, canonicalHeader(h.given.Header))
	c.added = nil
	c.decided = httpcache.Verdict{Why: why}
	c.ask(h.of.engine)
	resp, err := h.load()
	h.of.touch()
	if err != nil {
		return nil, err
	}
	c.came = h.of.engine.config.Now()
	h.learnCookies(resp)

	return resp, nil
}

// isServed tells whether the response is a stored one, in whole or in part.
func (c *caching) isServed() bool { return c != nil && c.served != notServed }

// received is how many of the body's bytes did not come from the store.
func (c *caching) received(n int64) int64 {
	switch {
	case !c.isServed():
		return n
	case c.served == servedCompleted:
		return max(n-c.decided.Part.Start, 0)
	default:
		return 0
	}
}

// verdict says in words what the cache had to say, and whether the response is a
// stored one.
func (c *caching) verdict() (text string, local bool) {
	if c == nil {
		return "", false
	}
	v := &c.decided
	switch c.served {
	case servedFresh:
		return "hit: " + v.Why, true
	case servedStale:
		return "stale: " + strings.TrimPrefix(v.Why, "stale, "), true
	case servedValidated:
		return "revalidated: " + v.Why, false
	case servedCompleted:
		return "completed: " + v.Why, false
	}
	text = "miss: " + v.Why
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.stored:
		text += "; stored"
	case c.unstored != "":
		text += "; not stored: " + c.unstored
	}

	return text, false
}

// note says whether the response was stored, or why not.
func (c *caching) note(stored bool, why string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stored, c.unstored = stored, why
}

// explainCache says what the stage would do, without doing it.
func (h *hop) explainCache() string {
	e := h.of.engine
	store, scheme := e.config.Cache, h.request.URL.Scheme
	switch method := h.request.Method; {
	case store == nil:
		return "none is kept"
	case scheme != "http" && scheme != "https" && !mayBeStored(scheme):
		return "not for the scheme " + scheme
	case scheme != "http" && scheme != "https" && h.forSomebody():
		return "not for what is somebody's"
	case method != http.MethodGet && method != http.MethodHead:
		if httpcache.Invalidates(method, http.StatusOK) {
			return "not for " + method + "; what is stored for the URL goes if it succeeds"
		}

		return "not for " + method
	}
	q := httpcache.Query{
		Key: httpcache.Key(h.request.URL), Method: h.request.Method, Header: h.request.Header,
		Defaults: e.config.Header, Partition: h.request.CookiePartition, Policy: h.cachePolicy(),
	}
	entries, err := store.Lookup(h, q.Key)
	if err != nil {
		return "cannot be read: " + err.Error()
	}
	v := e.cacheRules.Decide(&q, entries, e.config.Now())
	text := actions[v.Action] + ": " + v.Why
	if v.Entry != nil && v.Age < time.Duration(math.MaxInt64) { // else it is from the future
		text += ", age " + v.Age.Round(time.Second).String()
	}

	return text
}

var actions = map[httpcache.Action]string{
	httpcache.Load: "load", httpcache.Serve: "serve", httpcache.ServeAndRevalidate: "serve, and revalidate meanwhile",
	httpcache.Validate: "revalidate", httpcache.Complete: "load the rest", httpcache.Refuse: "504", httpcache.Fail: "fail",
}

// CacheKey is the key under which responses to GET requests of a URL are stored.
func CacheKey(u *url.URL) string { return httpcache.Key(u) }
