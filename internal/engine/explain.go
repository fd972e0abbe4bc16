package engine

import (
	"context"
	"fmt"
	"strings"

	"github.com/urlkit/urlkit/protocols"
)

// Step is what one stage would do.
type Step struct {
	Stage   string
	Verdict string
}

// Local tells whether the protocol that would load a request needs no network,
// and says so by its Scheme. It is false where no protocol takes the request.
func (e *Engine) Local(req *protocols.Request) bool {
	if req.URL == nil {
		return false
	}
	asked := *req
	canonical(&asked)
	match, err := find(e.instances.Load(), &asked, nil)

	return err == nil && match.Security == protocols.Local
}

// Explain runs the stages of the first hop without sending anything, and says
// what each would do. Err is what Load would fail with before it sends.
func (e *Engine) Explain(ctx context.Context, req *protocols.Request) (steps []Step, err error) {
	l := &load{engine: e, task: noTask, parent: ctx, op: canonicalMethod(req.Method), failing: req.URL}
	if err := e.clock.open(); err != nil || ctx.Err() != nil {
		return nil, l.fail(err, "")
	}
	l.instances = e.instances.Load()
	h := &l.first
	h.init(l, ctx, nil, req)
	say := func(stage, format string, args ...any) {
		steps = append(steps, Step{stage, fmt.Sprintf(format, args...)})
	}
	if err := h.lookup(); err != nil {
		err = l.fail(at("lookup", err), "")
		say("lookup", "%v", err)

		return steps, err
	}
	say("lookup", "%T takes %q, which is %s", h.match.Protocol, h.request.URL.Scheme, h.match.Security)
	gate := h.gate()
	if gate != nil {
		err = l.fail(at("policy", gate), "")
		say("gate", "%v", err)

		return steps, err
	}
	say("gate", "%s", h.verdict())
	h.route()
	if h.match.Security == protocols.Local {
		say("route", "none is needed")
	} else {
		say("route", "%s", h.explainRoute())
	}
	h.attachCookies()
	say("cookies", "%s", h.explainCookies())
	say("credentials", "%s", h.explainCredentials())
	say("cache", "%s", h.explainCache())
	if e, ok := protocols.As[protocols.Explainer](h.match.Protocol); ok {
		if stage, verdict := e.Explain(&h.request); stage != "" {
			say(stage, "%s", verdict)
		}
	}
	say("load", "%s %s%s", h.request.Method, protocols.Redact(h.request.URL), h.explainAttempts())
	if limit := e.config.RedirectLimit; limit < 0 {
		say("redirect", "any number; %s", redirection(h.request.Method))
	} else {
		say("redirect", "at most %d; %s", limit, redirection(h.request.Method))
	}
	say("decode", "%s", strings.Join(e.codings(), ", "))

	return steps, nil
}

// explainRoute names the way, and what its connections are made for.
func (h *hop) explainRoute() string {
	way := "direct to " + h.request.HostPort()
	if how := h.parameters.String(); how != "" {
		way += ", " + how
	}
	if refusal := h.permitted(); refusal != nil {
		way += "; " + refusal.Error()
	}

	return way
}

// explainAttempts says how often a hop would be sent at most; "": once, as far as the
// policy goes.
func (h *hop) explainAttempts() string {
	switch most := h.of.engine.config.Retry.Attempts; {
	case most == 0 || most == 1:
		return ""
	case !h.of.repeatable(h, false):
		return ", once, unless nothing was sent"
	case most < 0:
		return ", any number of times"
	default:
		return fmt.Sprintf(", at most %d times", most)
	}
}

// explainCredentials tells what would be sent unasked, without secrets, and whether
// there is more for a server that asks.
func (h *hop) explainCredentials() string {
	if len(h.request.Header["Authorization"]) > 0 {
		return "the request's own Authorization is sent"
	}
	m := &h.of.engine.known
	m.mu.Lock()
	m.purge(h.of.engine.removals())
	var k *known
	if hasCookies(h.request.URL.Scheme) {
		k = h.of.wanted(h)
	}
	m.mu.Unlock()
	_, whole := h.request.URL.User.Password()
	switch {
	case k != nil && k.exchange == nil:
		return fmt.Sprintf("%s let a connection in, which is used again", k.space.Method)
	case k != nil:
		return fmt.Sprintf("sent unasked: %s, which let the session into the realm %q", k.space.Method, k.space.Realm)
	case whole:
		return "the URL's, if it is asked for"
	default:
		return "none is sent unasked"
	}
}

// explainCookies names the cookies that would be sent, without their values.
func (h *hop) explainCookies() string {
	if !h.cookies {
		return "none are kept for this request"
	}
	var names []string
	for pair := range strings.SplitSeq(h.request.Header.Get("Cookie"), ";") {
		if name, _, ok := strings.Cut(pair, "="); ok {
			names = append(names, strings.TrimSpace(name))
		}
	}
	if len(names) == 0 {
		return "none are stored for this URL"
	}

	return "sent: " + strings.Join(names, ", ")
}
