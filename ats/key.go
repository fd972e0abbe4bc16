package ats

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// parseKey reads a key of ExceptionDomains: a name, or a block (an address is a block
// of its own), or what is wrong with it.
func parseKey(key string) (name string, block netip.Prefix, problem string) {
	switch {
	case key == "":
		return "", block, "the key is empty; name a host, an address or a CIDR block"
	case strings.Contains(key, "://"):
		return "", block, "a key is not a URL; write the host alone"
	case strings.Contains(key, "%"):
		return "", block, "zone ids and percent escapes never match; write the plain host"
	case strings.Contains(key, "*"):
		return "", block, "wildcards never match; write the domain itself and set IncludesSubdomains"
	case strings.HasPrefix(key, "."):
		return "", block, fmt.Sprintf("a leading dot never matches; use %q and set IncludesSubdomains", strings.TrimLeft(key, "."))
	case strings.HasPrefix(key, "["):
		return "", block, "an address stands here without brackets and without a port"
	case strings.Contains(key, "/"):
		block, ok := parseBlock(key)
		if !ok {
			return "", block, "it is no CIDR block; write 198.51.100.0/24 or 2001:db8::/32"
		}

		return "", block, ""
	}

	h := parseHost(key)
	switch {
	case h.problem != "" && strings.Count(key, ":") == 1:
		return "", block, fmt.Sprintf("a key has no port; use %q", key[:strings.IndexByte(key, ':')])
	case h.problem != "":
		return "", block, "it can never match: " + h.problem
	case h.addr.IsValid():
		return "", netip.PrefixFrom(h.addr, h.addr.BitLen()), ""
	}

	return h.name, block, ""
}

// parseBlock reads a CIDR block. IPv4 may leave out trailing zeros (10/8), IPv6 a
// trailing "::" (2001:db8/32); bits beyond the prefix are dropped.
func parseBlock(key string) (netip.Prefix, bool) {
	text, length, _ := strings.Cut(key, "/")

	switch {
	case !strings.Contains(text, ":"):
		text += strings.Repeat(".0", max(0, 3-strings.Count(text, ".")))
	case !strings.Contains(text, "::") && strings.Count(text, ":") < 7:
		text += "::"
	}

	addr, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Prefix{}, false
	}

	bits, err := strconv.ParseUint(length, 10, 8)
	if err != nil || len(length) > 1 && length[0] == '0' || int(bits) > addr.BitLen() {
		return netip.Prefix{}, false
	}

	return netip.PrefixFrom(addr, int(bits)).Masked(), true
}
