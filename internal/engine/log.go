package engine

import (
	"log/slog"
	"time"

	"github.com/urlkit/urlkit/protocols"
)

// The records of a load, for a Task that has a Log. None holds a header field's value,
// a body, or a URL's user info and query.

func (l *load) record(message string, attrs ...slog.Attr) {
	l.task.Log.LogAttrs(l.parent, slog.LevelDebug, message, attrs...)
}

// logRequest tells that a hop goes to its protocol.
func (h *hop) logRequest() {
	l := h.of
	if l.task.Log == nil {
		return
	}
	if h.reason != RetryNone {
		l.record("again", slog.String("url", protocols.Redact(h.request.URL)), slog.String("reason", h.reason.String()))
	}
	l.record("request", slog.String("method", h.request.Method), slog.String("url", protocols.Redact(h.request.URL)),
		slog.String("scheme", h.match.Scheme.Name), slog.String("policy", h.verdict()), slog.Bool("inner", h.outer != nil))
}

// logCache tells what the cache had to say of a hop, once that is known.
func (h *hop) logCache() {
	if l := h.of; l.task.Log != nil {
		if verdict, local := h.cached.verdict(); verdict != "" {
			l.record("cache", slog.String("url", protocols.Redact(h.request.URL)), slog.String("verdict", verdict), slog.Bool("local", local))
		}
	}
}

// logResponse tells what the protocol gave.
func (h *hop) logResponse(resp *protocols.Response, err error, began time.Time) {
	l := h.of
	switch {
	case l.task.Log == nil:
	case err != nil:
		l.record("no response", slog.String("url", protocols.Redact(h.request.URL)), slog.Any("code", Classify(err)),
			slog.String("error", err.Error()), slog.Duration("after", time.Since(began)))
	default:
		l.record("response", slog.String("url", protocols.Redact(resp.URL)), slog.Int("status", resp.StatusCode),
			slog.String("protocol", resp.Proto), slog.Bool("reused", resp.Reused), slog.Duration("after", time.Since(began)))
	}
}

// logWaiting tells that there is no path.
func (l *load) logWaiting(pause time.Duration) {
	if l.task.Log != nil {
		l.record("waiting for connectivity", slog.Duration("pause", pause))
	}
}

// logChallenge tells of a question and how it was answered.
func (l *load) logChallenge(c *protocols.Challenge, d protocols.Disposition, credential *protocols.Credential) {
	if l.task.Log == nil {
		return
	}
	s := c.Space
	l.record("challenge", slog.Any("method", s.Method), slog.String("realm", s.Realm), slog.String("host", s.Host),
		slog.Int("port", s.Port), slog.Bool("proxy", s.ProxyType != ""), slog.Int("failures", c.PreviousFailureCount),
		slog.String("disposition", dispositionName(d)), slog.Bool("credential", credential != nil))
}

func dispositionName(d protocols.Disposition) string {
	switch d {
	case protocols.UseCredential:
		return "use credential"
	case protocols.CancelAuthenticationChallenge:
		return "cancel"
	case protocols.RejectProtectionSpace:
		return "reject protection space"
	default:
		return "default handling"
	}
}

// logRedirect tells where a redirect leads.
func (h *hop) logRedirect(resp *protocols.Response, next *protocols.Request) {
	l := h.of
	if l.task.Log == nil {
		return
	}
	l.record("redirect", slog.Int("status", resp.StatusCode), slog.String("from", protocols.Redact(h.request.URL)),
		slog.String("to", protocols.Redact(next.URL)), slog.String("method", next.Method))
}

// logBegin and logEnd are the first record of a load and its last.
func (l *load) logBegin(req *protocols.Request) {
	if l.task.Log != nil {
		l.record("begin", slog.String("method", l.op), slog.String("url", protocols.Redact(req.URL)))
	}
}

func (l *load) logEnd(err error) {
	switch {
	case l.task.Log == nil:
	case err != nil:
		l.record("failed", slog.Any("code", Classify(err)), slog.String("error", err.Error()))
	default:
		l.record("end", slog.Int64("received", l.body.wire.count.Load()), slog.Int64("decoded", l.body.given.Load()))
	}
}
