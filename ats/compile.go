package ats

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
)

// PolicyError is one thing wrong with a Policy.
type PolicyError struct {
	Key     string // the key at fault, as it is written in Go: AllowsLocalNetworking, ExceptionDomains["x:443"]
	Problem string // what is wrong, and what to write instead
}

// Error names the key and what to do.
func (e *PolicyError) Error() string { return "ats: " + e.Key + ": " + e.Problem }

// Rules is a compiled Policy: immutable, and safe for concurrent use without locks. The
// zero value is the default policy on a host without interfaces.
type Rules struct {
	arbitrary      bool
	media          Presence
	webContent     Presence
	local          Presence
	privateIsLocal bool
	onLink         []netip.Prefix

	names    map[string]*entry
	blocks   map[netip.Prefix]*entry // an address is a block of its own
	lengths4 []int                   // of the blocks, longest first
	lengths6 []int
}

// entry is an Exception under the key that the app wrote.
type entry struct {
	key string
	Exception
}

// Compile checks the policy and makes Rules of a copy of it. Keys that can never match,
// unknown values and contradictions are errors: all of them joined, each a *PolicyError.
// The prefixes of this host's interfaces are read here, once: after the host has moved
// to another network, compile again.
func (p Policy) Compile() (*Rules, error) { return p.compile(onLink()) }

func (p Policy) compile(links []netip.Prefix) (*Rules, error) {
	r := &Rules{
		arbitrary: p.AllowsArbitraryLoads, media: p.AllowsArbitraryLoadsForMedia,
		webContent: p.AllowsArbitraryLoadsInWebContent, local: p.AllowsLocalNetworking,
		privateIsLocal: p.TreatsPrivateNetworksAsLocal, onLink: links,
		names: make(map[string]*entry), blocks: make(map[netip.Prefix]*entry),
	}

	problems := p.globalProblems()
	for _, key := range slices.Sorted(maps.Keys(p.ExceptionDomains)) { // sorted: the same policy gives the same error
		if problem := r.add(key, p.ExceptionDomains[key]); problem != "" {
			problems = append(problems, &PolicyError{Key: fmt.Sprintf("ExceptionDomains[%q]", key), Problem: problem})
		}
	}

	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}

	r.indexLengths()

	return r, nil
}

// globalProblems checks the keys outside ExceptionDomains.
func (p Policy) globalProblems() []error {
	var problems []error
	for _, k := range []struct {
		name  string
		value Presence
	}{
		{"AllowsArbitraryLoadsForMedia", p.AllowsArbitraryLoadsForMedia},
		{"AllowsArbitraryLoadsInWebContent", p.AllowsArbitraryLoadsInWebContent},
		{"AllowsLocalNetworking", p.AllowsLocalNetworking},
	} {
		if k.value > Yes {
			problems = append(problems, &PolicyError{k.name, fmt.Sprintf("%d is no Presence; use Absent, No or Yes", k.value)})
		}
	}

	if p.TreatsPrivateNetworksAsLocal && p.AllowsLocalNetworking == No {
		problems = append(problems, &PolicyError{
			"TreatsPrivateNetworksAsLocal",
			"it widens what AllowsLocalNetworking: No forbids; remove one of the two",
		})
	}

	return problems
}

// add files one entry, or says why it cannot.
func (r *Rules) add(key string, x Exception) string {
	name, block, problem := parseKey(key)
	if problem != "" {
		return problem
	}

	if problem := x.problem(block.IsValid()); problem != "" {
		return problem
	}

	old := r.names[name]
	if block.IsValid() {
		old = r.blocks[block]
	}

	switch {
	case old != nil && old.Exception != x:
		return fmt.Sprintf("it names the same as ExceptionDomains[%q] and says something else; keep one of the two", old.key)
	case old != nil:
	case block.IsValid():
		r.blocks[block] = &entry{key, x}
	default:
		r.names[name] = &entry{key, x}
	}

	return ""
}

// problem says what contradicts itself in an entry; "" is nothing.
func (x Exception) problem(isBlock bool) string {
	switch v := x.MinimumTLSVersion; {
	case v != 0 && (v < tls.VersionTLS10 || v > tls.VersionTLS13):
		return fmt.Sprintf("MinimumTLSVersion %#04x is unknown; use tls.VersionTLS10 to tls.VersionTLS13, or 0 for TLS 1.2", v)
	case v == tls.VersionTLS13 && x.AllowsRSAKeyExchange:
		return "TLS 1.3 has no RSA key exchange; remove AllowsRSAKeyExchange, or lower MinimumTLSVersion"
	case isBlock && x.IncludesSubdomains:
		return "addresses have no subdomains; remove IncludesSubdomains, or write a CIDR block"
	}

	return ""
}

// indexLengths notes which lengths of blocks there are, longest first.
func (r *Rules) indexLengths() {
	for block := range r.blocks {
		lengths := &r.lengths6
		if block.Addr().Is4() {
			lengths = &r.lengths4
		}

		if !slices.Contains(*lengths, block.Bits()) {
			*lengths = append(*lengths, block.Bits())
		}
	}

	longestFirst := func(a, b int) int { return cmp.Compare(b, a) }
	slices.SortFunc(r.lengths4, longestFirst)
	slices.SortFunc(r.lengths6, longestFirst)
}
