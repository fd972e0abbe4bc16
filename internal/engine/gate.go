package engine

import (
	"net"
	"net/url"
	"strings"

	"golang.org/x/net/idna"

	"github.com/urlkit/urlkit/ats"
	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/proxy"
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

	refusal := h.of.engine.rules.Gate(origin)
	if scheme := h.request.URL.Scheme; refusal != nil && (scheme == "https" || scheme == "wss") {
		return protocols.Errorf(protocols.AppTransportSecurityRequiresSecureConnection,
			"the protocol registered for %q declares itself cleartext: declare Encrypted, or Local for one that makes no connection (a mock)", scheme)
	}

	return refused(refusal)
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
// told apart by its TLS policy, so that a connection made under a lax one never
// serves a strict one, and by what else its connections are made for.
func (h *hop) route() {
	id := h.of.engine.tls.policy(h.floor)
	if h.parameters = h.connecting(); h.parameters != (proxy.Parameters{}) {
		if how := h.parameters.String(); how != "" {
			id += "; " + how
		}
	}
	h.request.Route = protocols.Route{ID: id, Packets: true}
}

// connecting says how the hop's connections are made: as the request asks, else
// as for the hop around it, else as the session is configured.
func (h *hop) connecting() proxy.Parameters {
	c := &h.of.engine.config
	p := proxy.Parameters{ServiceType: c.NetworkServiceType, Multipath: c.Multipath, RequiresDNSSEC: c.RequiresDNSSEC}
	if h.outer != nil {
		p = h.outer.parameters
	}
	if t := h.request.NetworkServiceType; t != protocols.ServiceDefault {
		p.ServiceType = t
	}
	p.RequiresDNSSEC = p.RequiresDNSSEC || h.request.RequiresDNSSEC
	p.AllowsPersistentDNS = p.AllowsPersistentDNS || h.request.AllowsPersistentDNS

	return p
}

// canonicalURL is the URL with its scheme in lower case and its host in A-labels
// (RFC 5891): what is looked up, sent and judged is one spelling.
func canonicalURL(from *url.URL) *url.URL {
	u := *from
	u.Scheme = strings.ToLower(u.Scheme)
	if isASCII(u.Host) {
		return &u
	}
	host, err := idna.Lookup.ToASCII(u.Hostname())
	if err != nil {
		return &u // the lookup of such a name will say what is wrong
	}
	if port := u.Port(); port != "" {
		host = net.JoinHostPort(host, port)
	}
	u.Host = host

	return &u
}
