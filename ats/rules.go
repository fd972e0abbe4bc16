package ats

import (
	"net/netip"
	"strings"
)

// Load is what the policy judges.
type Load struct {
	// Host is the origin's host as in the URL, without a port: any case, any script, an
	// IPv6 address with brackets or without, with or without a trailing dot. Never a
	// proxy, and never a DNS answer.
	Host string

	Media      bool // played as media (AV Foundation's loads)
	WebContent bool // loaded for a page in a web view
}

// Rule is what decided about a load. The zero value is the default policy.
type Rule uint8

// The rules, from the default to the one that no key can change.
const (
	DefaultPolicy   Rule = iota // no key speaks for the host
	ExceptionDomain             // an entry of ExceptionDomains
	LocalNetworking             // the host is local
	MediaLoads                  // AllowsArbitraryLoadsForMedia
	WebContentLoads             // AllowsArbitraryLoadsInWebContent
	ArbitraryLoads              // AllowsArbitraryLoads
	MalformedHost               // the host cannot be understood
)

// String is the rule in words.
func (r Rule) String() string {
	switch r {
	case DefaultPolicy:
		return "default policy"
	case ExceptionDomain:
		return "exception domain"
	case LocalNetworking:
		return "local networking"
	case MediaLoads:
		return "arbitrary loads for media"
	case WebContentLoads:
		return "arbitrary loads in web content"
	case ArbitraryLoads:
		return "arbitrary loads"
	case MalformedHost:
		return "malformed host"
	}

	return "invalid"
}

// decision is the answer about one load, before anything is said about it.
type decision struct {
	host     host
	rule     Rule
	required bool
	entry    *entry // of ExceptionDomain
}

// decide is the whole policy, in Apple's order: an entry first, then local networking,
// then the other keys of the dictionary.
func (r *Rules) decide(l Load) decision {
	h := parseHost(l.Host)
	if h.problem != "" {
		return decision{host: h, rule: MalformedHost, required: true}
	}

	if e := r.find(h); e != nil {
		return decision{host: h, rule: ExceptionDomain, required: !e.AllowsInsecureHTTPLoads, entry: e}
	}

	local := r.isLocal(h)

	switch {
	case local && r.local != No:
		return decision{host: h, rule: LocalNetworking}
	case l.Media && r.media == Yes:
		return decision{host: h, rule: MediaLoads}
	case l.WebContent && r.webContent == Yes:
		return decision{host: h, rule: WebContentLoads}
	case local:
		return decision{host: h, rule: LocalNetworking, required: true}
	case r.arbitrary && r.overrides() == "":
		return decision{host: h, rule: ArbitraryLoads}
	}

	return decision{host: h, rule: DefaultPolicy, required: true}
}

// overrides names a key whose presence makes AllowsArbitraryLoads ineffective; "" is none.
func (r *Rules) overrides() string {
	switch {
	case r.local != Absent:
		return "AllowsLocalNetworking"
	case r.webContent != Absent:
		return "AllowsArbitraryLoadsInWebContent"
	case r.media != Absent:
		return "AllowsArbitraryLoadsForMedia"
	}

	return ""
}

// find gives the entry that speaks for a host; nil: none does.
func (r *Rules) find(h host) *entry {
	if h.addr.IsValid() {
		return r.findBlock(h.addr)
	}

	if len(r.names) == 0 {
		return nil
	}

	if e := r.names[h.name]; e != nil {
		return e
	}

	// An ancestor without IncludesSubdomains is passed over; it does not end the search.
	for rest := h.name; rest != ""; {
		_, rest, _ = strings.Cut(rest, ".")
		if e := r.names[rest]; e != nil && e.IncludesSubdomains {
			return e
		}
	}

	return nil
}

// findBlock gives the entry of the longest block around an address.
func (r *Rules) findBlock(a netip.Addr) *entry {
	lengths := r.lengths6
	if a.Is4() {
		lengths = r.lengths4
	}

	for _, bits := range lengths {
		block, err := a.Prefix(bits)
		if err != nil {
			return nil
		}

		if e := r.blocks[block]; e != nil {
			return e
		}
	}

	return nil
}
