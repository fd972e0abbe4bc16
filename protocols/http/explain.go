package http

import (
	"fmt"
	"time"

	"github.com/urlkit/urlkit/protocols"
)

// Explain says what is known of HTTP/3 at the request's origin (protocols.Explainer).
func (l *loader) Explain(req *protocols.Request) (stage, verdict string) {
	p := l.pool
	if !p.secure {
		return "", ""
	}
	const name = "http/3"
	k := keyOf(req, true)
	switch {
	case !builtHTTP3:
		return name, "is not part of this build"
	case p.config.OmitsHTTP3:
		return name, "is switched off"
	case !p.mayQUIC(k):
		return name, "cannot go this way"
	}
	p.mu.Lock()
	b, broken := p.breakdowns[k]
	h := p.hosts[k]
	connected := h != nil && h.shared != nil && h.shared.quic
	p.mu.Unlock()
	if left := time.Until(b.until); broken && left > 0 {
		return name, fmt.Sprintf("did not work, and is tried again in %v", left.Round(time.Second))
	}
	if connected {
		return name, "there is a connection"
	}
	s, _ := p.serviceFor(k, req.AssumesHTTP3Capable)
	switch {
	case s.altUsed != "":
		return name, fmt.Sprintf("at %s, by Alt-Svc or the DNS, %v ahead of TCP", s.addr, p.config.HTTP3HeadStart)
	case s.addr != "":
		return name, fmt.Sprintf("assumed at %s, %v ahead of TCP", s.addr, p.config.HTTP3HeadStart)
	case p.config.HTTPSRecords != nil:
		return name, "nothing is known; the DNS is asked"
	default:
		return name, "nothing is known"
	}
}
