package proxy

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"github.com/urlkit/urlkit/protocols"
)

// maxNameLength is the longest name of the DNS in text, without a final dot (RFC
// 1035 §2.3.4).
const maxNameLength = 253

// target is what a dial is asked for.
type target struct {
	host   string // a name, when addr is not valid
	addr   netip.Addr
	port   uint16
	family string // "ip", "ip4" or "ip6"
}

// parseTarget checks a network and an address before anything is sent. Its
// errors are *net.AddrError.
func parseTarget(network, addr string) (target, error) {
	family, ok := strings.CutPrefix(network, "tcp")
	if !ok {
		family, ok = strings.CutPrefix(network, "udp")
	}
	if !ok || family != "" && family != "4" && family != "6" {
		return target{}, &net.AddrError{Err: "unknown network", Addr: network}
	}
	host, portText, err := net.SplitHostPort(addr)
	if err != nil {
		return target{}, err
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil || port == 0 {
		return target{}, &net.AddrError{Err: "the port is not a number from 1 to 65535", Addr: addr}
	}
	t := target{host: host, port: uint16(port), family: "ip" + family}
	if literal, err := netip.ParseAddr(host); err == nil {
		t.addr = literal.Unmap()
		return t, nil
	}
	t.host, err = asciiName(host)

	return t, err
}

// asciiName checks a host name, and puts one in Unicode into the form that the
// DNS knows (RFC 5891). Underscores and other bytes that live names have pass.
func asciiName(host string) (string, error) {
	ascii := true
	for i := range len(host) {
		c := host[i]
		if c <= ' ' || c == 0x7f || strings.IndexByte(`/\@%:[]?#`, c) >= 0 {
			return "", &net.AddrError{Err: "a host name cannot hold this character", Addr: cut(host)}
		}
		ascii = ascii && c < 0x80
	}
	name := host
	if !ascii && len(host) <= 4*maxNameLength { // the rest is refused below, by its length
		var err error
		if name, err = idna.Lookup.ToASCII(host); err != nil || !utf8.ValidString(host) {
			return "", &net.AddrError{Err: "no valid international host name", Addr: cut(host)}
		}
	}
	if n := len(strings.TrimSuffix(name, ".")); n == 0 || n > maxNameLength {
		return "", &net.AddrError{Err: "a host name has 1 to 253 characters", Addr: cut(host)}
	}

	return name, nil
}

// cut keeps an error short, whatever the name was.
func cut(s string) string {
	if len(s) > maxNameLength+len(":65535") {
		return s[:64] + "..."
	}

	return s
}

// errNotValidating says what to do, since no server did anything wrong.
var errNotValidating = errors.New(
	"DNSSEC is required and the resolver does not validate: set one with a method Validates that returns true (proxy.ValidatingResolver)")

// validates tells whether a resolver vouches for its answers. One that says
// nothing does not.
func validates(r Resolver) bool {
	v, ok := r.(ValidatingResolver)

	return ok && v.Validates()
}

// resolutionOf is how a resolver asks for a host. One that says nothing is unknown.
func resolutionOf(r Resolver, host string) protocols.DomainResolutionProtocol {
	if p, ok := r.(ProtocolResolver); ok {
		return p.ResolutionProtocol(host)
	}

	return protocols.ResolutionUnknown
}

// lookup finds the addresses to try, in order: at least one, or an error.
func (d *Dialer) lookup(ctx context.Context, trace *protocols.Trace, p Parameters, t target) ([]netip.AddrPort, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	found := []netip.Addr{t.addr}
	if !t.addr.IsValid() {
		var resolver Resolver = net.DefaultResolver
		if d.Resolver != nil {
			resolver = d.Resolver
		}
		if p.RequiresDNSSEC && !validates(resolver) {
			return nil, &lookupError{errNotValidating}
		}
		trace.Mark(protocols.DomainLookupStart)
		answer, err := lookupNetIP(ctx, resolver, p, t)
		if err != nil {
			return nil, &lookupError{err}
		}
		trace.Mark(protocols.DomainLookupEnd)
		trace.SetResolution(resolutionOf(resolver, t.host))
		found = answer
	}
	addrs := interleave(found, t.family)
	if len(addrs) == 0 {
		err := &net.DNSError{Err: "no suitable address", Name: t.host, IsNotFound: true}
		return nil, &lookupError{err}
	}
	targets := make([]netip.AddrPort, len(addrs))
	for i, addr := range addrs {
		targets[i] = netip.AddrPortFrom(addr, t.port)
	}

	return targets, nil
}

// lookupNetIP asks a resolver. One that keeps answers may use them past their time,
// where the request allows it.
func lookupNetIP(ctx context.Context, r Resolver, p Parameters, t target) ([]netip.Addr, error) {
	if c, ok := r.(*Cache); ok {
		return c.lookup(ctx, t.family, t.host, p.AllowsPersistentDNS)
	}

	return r.LookupNetIP(ctx, t.family, t.host)
}

// interleave puts addresses into the order of RFC 8305 §4: the families
// alternate, from that of the first one. It drops what is double or not of the
// family, and keeps maxAddresses at most, so that a huge answer causes no more
// attempts, and costs no more, than that.
func interleave(found []netip.Addr, family string) []netip.Addr {
	var groups [2][]netip.Addr // that of the first address, the other
	var firstIs4 bool
	seen := make(map[netip.Addr]bool, min(len(found), 2*maxAddresses))
	for _, addr := range found {
		addr = addr.Unmap()
		if !addr.IsValid() || seen[addr] || family == "ip4" && !addr.Is4() || family == "ip6" && addr.Is4() {
			continue
		}
		if len(seen) == 0 {
			firstIs4 = addr.Is4()
		}
		group := 0
		if addr.Is4() != firstIs4 {
			group = 1
		}
		if len(groups[group]) < maxAddresses {
			seen[addr] = true
			groups[group] = append(groups[group], addr)
		}
	}
	mixed := make([]netip.Addr, 0, min(maxAddresses, len(seen)))
	for i := range maxAddresses {
		for _, group := range groups {
			if i < len(group) && len(mixed) < maxAddresses {
				mixed = append(mixed, group[i])
			}
		}
	}

	return mixed
}
