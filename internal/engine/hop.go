package engine

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/urlkit/urlkit/ats"
	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/proxy"
	"github.com/urlkit/urlkit/registry"
)

var errNoURL = errors.New("the request has no URL")

// hop is one load by one protocol. It is the context that the protocol gets, so
// that the Client's methods find it again.
type hop struct {
	context.Context

	of      *load
	outer   *hop // the hop whose protocol made this inner load; nil: of the pipeline
	request protocols.Request
	match   registry.Match
	loading registry.Loading
	floor   ats.Floor

	parameters proxy.Parameters // of the connections made for it

	added     http.Header        // the Task's Fields that were added
	kept      *kept              // nil: nothing is
	given     *protocols.Request // as the stage before gave it: the app's, or a redirect's
	attached  string             // the Cookie field that it attached
	cookies   bool               // this hop attaches and learns cookies
	cached    *caching           // nil: the hop goes past the cache
	redirects int32              // that led here
	inner     int32              // what load.inner was before it
	reason    RetryReason        // why it repeats the one before
	bodiless  bool               // it opens an exchange, and goes without its body
	checks    checks
}

type hopKey struct{}

// Value finds the hop itself, and what the caller's context holds.
func (h *hop) Value(key any) any {
	if key == (hopKey{}) {
		return h
	}

	return h.Context.Value(key)
}

// init prepares the hop's own copy of the request. Its header is shared with the
// caller's until a stage has something to add.
func (h *hop) init(l *load, ctx context.Context, outer *hop, req *protocols.Request) {
	h.Context, h.of, h.outer = ctx, l, outer
	h.given, h.redirects, h.inner = req, l.redirects, l.inner.Load()
	h.request = *req
	canonical(&h.request)
	h.request.Nested = l.task.Nested
	if l.task.Collect != nil || l.task.Inform != nil {
		h.request.Trace = &protocols.Trace{}
		h.request.Trace.Mark(protocols.FetchStart)
	} else {
		h.request.Trace = nil
	}
	if outer == nil { // an inner load has what its protocol gives it
		h.request.Reprioritization = l.task.Reprioritization
		if now := l.task.Reprioritization.Priority(); now != 0 {
			h.request.Priority = now
		}
	}
	if l.task.Keep > 0 && outer == nil {
		h.kept = &kept{limit: l.task.Keep}
	}
	h.request.Body = h.watchUpload(req.Body)
}

// canonical gives method, header and URL of a copy the spelling that the stages
// and the protocols look for.
func canonical(req *protocols.Request) {
	req.Header = canonicalHeader(req.Header)
	req.Method = canonicalMethod(req.Method)
	if u := req.URL; u != nil && (!isASCII(u.Host) || u.Scheme != strings.ToLower(u.Scheme)) {
		req.URL = canonicalURL(u)
	}
}

// canonicalHeader is a header whose names are in canonical form: the stages and
// the protocols find a field by its name. It is h itself, mostly.
func canonicalHeader(h http.Header) http.Header {
	for name := range h {
		if http.CanonicalHeaderKey(name) == name {
			continue
		}
		canonical := make(http.Header, len(h))
		for name, values := range h {
			key := http.CanonicalHeaderKey(name)
			canonical[key] = append(slices.Clip(canonical[key]), values...)
		}

		return canonical
	}

	return h
}

// canonicalMethod folds the case of the methods that Apple folds, and names GET.
func canonicalMethod(method string) string {
	if method == http.MethodGet {
		return method
	}
	switch upper := strings.ToUpper(method); upper {
	case "":
		return http.MethodGet
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodConnect:
		return upper
	default:
		return method
	}
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}

	return true
}

// lookup validates the request and finds who loads it.
func (h *hop) lookup() error {
	if err := h.request.Validate(); err != nil {
		return err
	}
	var inside *registry.Loading
	if h.outer != nil {
		inside = &h.outer.loading
	}
	match, err := find(h.of.instances, &h.request, inside)
	if err != nil {
		return err
	}
	h.match = match
	h.loading = registry.Loading{Instance: match.Instance, Outer: inside}
	h.request.DefaultPort = match.DefaultPort
	if match.Security != protocols.Local && h.request.URL.Hostname() == "" {
		return protocols.Errorf(protocols.BadURL, "the URL names no host")
	}

	return nil
}

// find asks the registry. A protocol that panics where it is asked loses the
// load, not the program.
func find(in *registry.Instances, req *protocols.Request, inside *registry.Loading) (match registry.Match, err error) {
	if in == nil {
		return match, ErrInvalidated
	}
	defer func() {
		if p := recover(); p != nil {
			err = protocols.Errorf(protocols.Unknown, "a protocol panicked in Claims: %v", p)
		}
	}()

	return in.Lookup(req, inside)
}

// load lets the protocol load.
func (h *hop) load() (*protocols.Response, error) {
	if h.match.Security == protocols.Local {
		h.request.Trace.Mark(protocols.RequestStart) // no protocol of the kind has more to say
		h.request.Trace.Mark(protocols.RequestEnd)
	}
	h.addFields()
	h.logRequest()
	var began time.Time
	if h.of.task.Log != nil {
		began = time.Now()
	}
	resp, err := h.verified(h.call())
	err = h.uncertified(err)
	h.logResponse(resp, err, began)
	if err == nil {
		h.request.Trace.Mark(protocols.ResponseStart)
	}
	if err != nil && (h.of.waits.Load() == 0 || !unconnected(err) && !unresolved(err)) { // a load that waits may try for days
		h.collect(nil, 0, err)
	}

	return resp, err
}

// addFields adds those of the Task's Fields that the request lacks. What the hops
// around this one have got is theirs.
func (h *hop) addFields() {
	if h.of.task.Fields == nil {
		return
	}
	for o := h.outer; o != nil; o = o.outer {
		for name, values := range o.added {
			withdraw(&h.request, name, values[0], nil)
		}
	}
	for name, values := range h.added { // of an earlier transaction of the hop
		withdraw(&h.request, name, values[0], nil)
	}
	h.added = nil
	for name, values := range canonicalHeader(h.of.task.Fields(&h.request)) {
		if len(values) == 0 || len(h.request.Header[name]) > 0 {
			continue
		}
		h.setField(name, values[0])
		if h.added == nil {
			h.added = make(http.Header, 1)
		}
		h.added[name] = values[:1]
	}
}

// verified checks what a protocol returned.
func (h *hop) verified(resp *protocols.Response, err error) (*protocols.Response, error) {
	switch {
	case err != nil && resp != nil:
		closeBody(resp)

		return nil, protocols.Errorf(protocols.Unknown, "the protocol returned a response and an error (contract clause 1): %w", err)
	case err != nil:
		return nil, err
	case resp == nil:
		return nil, protocols.Errorf(protocols.Unknown, "the protocol returned neither a response nor an error (contract clause 1)")
	}
	if resp.Body == nil {
		resp.Body = protocols.NoBody
	}
	if resp.URL == nil {
		resp.URL = h.request.URL
	}
	if h.match.Security == protocols.Upgrades && h.checks.loaded() {
		closeBody(resp)

		return nil, protocols.Errorf(protocols.AppTransportSecurityRequiresSecureConnection,
			"the scheme %q declares that it upgrades, and Load returned without TLS from Client.TLSConfig", h.match.Scheme.Name)
	}

	return resp, nil
}

// call turns a panic of the protocol into an error: a session outlives a bad
// protocol.
func (h *hop) call() (resp *protocols.Response, err error) {
	defer func() {
		if p := recover(); p != nil {
			resp, err = nil, protocols.Errorf(protocols.Unknown, "the protocol of scheme %q panicked: %v", h.match.Scheme.Name, p)
		}
	}()

	if err := h.permitted(); err != nil {
		return nil, err
	}

	return h.match.Protocol.Load(h, &h.request)
}

// replay tells whether the hop may be loaded once more: nothing of the request
// was sent, or it is idempotent and a kept connection turned out to be closed.
// The session's other retries have a policy of their own.
func (l *load) replay(h *hop, err error) bool {
	if l.replays >= 2 || l.ctx.Err() != nil || !h.given.Body.Replayable() || l.inner.Load() != h.inner {
		return false // an inner load was sent, though not the one that failed
	}
	again := h.replayable(err)
	if again {
		l.replays++
	}

	return again
}

// replayable tells whether the hop may be loaded again after err.
func (h *hop) replayable(err error) bool {
	return errors.Is(err, protocols.ErrNotSent) || errors.Is(err, protocols.ErrStaleConnection) && idempotent(h.request.Method)
}

// idempotent is RFC 9110 §9.2.2.
func idempotent(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPut, http.MethodDelete, http.MethodOptions, http.MethodTrace:
		return true
	default:
		return false
	}
}

// reject ends a hop whose response a stage could not take further.
func (h *hop) reject(resp *protocols.Response, phase string, err error) error {
	closeBody(resp)
	err = at(phase, err)
	h.collect(resp, 0, err)

	return err
}

// closeBody closes what a response holds open.
func closeBody(resp *protocols.Response) {
	if resp.Body != nil {
		_ = resp.Body.Close()
	}
	if resp.Upgraded != nil {
		_ = resp.Upgraded.Close()
	}
	if resp.Messages != nil {
		_ = resp.Messages.Close(1001, "")
	}
}
