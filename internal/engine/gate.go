package engine

import (
	"net"
	"net/url"

	"golang.org/x/net/idna"

	"github.com/urlkit/urlkit/ats"
	"github.com/urlkit/urlkit/protocols"
)

// gate is App Transport Security's first question: may this go in clear text?
// It is asked at every hop, for every scheme; the second one, what TLS must look
// like, is answered by TLSConfig.
func (h *hop) gate() error {
	if h.match.Security == protocols.Local {
		return nil
	}
	origin := h.judged(h.request.URL.Host)
	h.floor = h.of.engine.rules.Floor(origin)
	if h.match.Security != protocols.Cleartext {
		return nil
	}

	return refused(h.of.engine.rules.Gate(origin))
}

// judged is what policy judges for a host: the literal in the URL, never what it
// resolves to.
func (h *hop) judged(host string) ats.Load {
	if u := h.request.URL; u.Host == host {
		host = u.Hostname()
	}

	return ats.Load{Host: host, Media: h.request.Media, WebContent: h.request.WebContent}
}

func refused(refusal error) error {
	if refusal == nil {
		return nil
	}

	return protocols.Errorf(protocols.AppTransportSecurityRequiresSecureConnection, "%w", refusal)
}

// route picks the way to the host. Proxies will stand here; the direct route is
// told apart by its TLS policy only, so that a connection made under a lax one
// never serves a strict one.
func (h *hop) route() {
	h.request.Route = protocols.Route{ID: h.of.engine.tls.policy(h.floor), Packets: true}
}

// asciiHost is the URL with its host in A-labels (RFC 5891): what is looked up,
// sent and judged is one spelling.
func asciiHost(req *protocols.Request) *url.URL {
	u := *req.URL
	host, err := idna.Lookup.ToASCII(u.Hostname())
	if err != nil {
		return req.URL // the lookup of such a name will say what is wrong
	}
	if port := u.Port(); port != "" {
		host = net.JoinHostPort(host, port)
	}
	u.Host = host

	return &u
}
