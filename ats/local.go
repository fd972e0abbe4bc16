package ats

import (
	"net"
	"net/netip"
	"strings"
)

// isLocal says whether a host is local by its text alone.
func (r *Rules) isLocal(h host) bool {
	if h.addr.IsValid() {
		return r.isLocalAddr(h.addr)
	}

	if h.name == "" {
		return false
	}

	name := strings.TrimSuffix(h.name, ".")
	if name == "localhost" || strings.HasSuffix(name, ".localhost") || strings.HasSuffix(name, ".local") {
		return true
	}

	return !strings.Contains(h.name, ".") // with a trailing dot it is a top-level domain
}

// isLocalAddr does not unmap IPv4-mapped addresses: no entry for the IPv4 address
// would answer for them, so they get nothing for free either.
func (r *Rules) isLocalAddr(a netip.Addr) bool {
	if a.Is4In6() {
		return false
	}

	if a.IsLoopback() || a.IsLinkLocalUnicast() || r.privateIsLocal && a.IsPrivate() {
		return true
	}

	for _, link := range r.onLink {
		if link.Contains(a) {
			return true
		}
	}

	return false
}

// onLink reads the prefixes of this host's own interfaces. None can be read: none are
// local. A prefix of length zero says nothing about what is near, and is left out.
func onLink() []netip.Prefix {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}

	var links []netip.Prefix
	for _, a := range addrs {
		if link, err := netip.ParsePrefix(a.String()); err == nil && link.Bits() > 0 {
			links = append(links, link.Masked())
		}
	}

	return links
}
