package ats

import (
	"net/netip"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// Bounds of what is looked at: a DNS name has at most 253 bytes and a last dot
// (RFC 1035 §2.3.4); a name in Unicode is a little longer than its A-labels at most.
const (
	maxName    = 254
	maxLabel   = 63
	maxUnicode = 4 * maxName
)

// host is a host in the one form in which hosts are compared: an address, or a name in
// lower-case A-labels, or neither and the problem. All empty: no host at all.
type host struct {
	name    string
	addr    netip.Addr
	problem string
}

// parseHost reads a host as it stands in a URL, an IPv6 address with brackets or
// without. A name that is in its final form already costs no allocation.
func parseHost(s string) host {
	if s == "" {
		return host{}
	}

	if len(s) > maxUnicode {
		return host{problem: "it is longer than any host name"}
	}

	if strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]") {
		if s = s[1 : len(s)-1]; !strings.Contains(s, ":") {
			return host{problem: "only an IPv6 address stands in brackets"}
		}
	}

	if strings.Contains(s, ":") {
		addr, err := netip.ParseAddr(s)
		if err != nil {
			return host{problem: "it is no IPv6 address, and a host carries no port"}
		}

		return host{addr: addr.WithZone("")}
	}

	name, ok := fold(s)
	if !ok {
		return host{problem: "it is not a valid internationalized domain name"}
	}

	return parseFolded(name)
}

// parseFolded sorts a folded host into IPv4 addresses and names.
func parseFolded(name string) host {
	if problem := nameProblem(name); problem != "" {
		return host{problem: problem}
	}

	if !endsInNumber(name) {
		return host{name: name}
	}

	addr, err := netip.ParseAddr(name)
	if err != nil {
		return host{problem: "it may be taken for an IPv4 address but is not written as four decimal numbers"}
	}

	return host{addr: addr}
}

// fold gives a name's lower-case A-labels (UTS #46, as looked up).
func fold(s string) (string, bool) {
	for i := range len(s) {
		if s[i] >= 0x80 {
			name, err := idna.Lookup.ToASCII(s)
			return name, err == nil && utf8.ValidString(s) // idna repairs bad UTF-8 quietly
		}
	}

	return strings.ToLower(s), true // gives s itself when there is nothing to do
}

// nameProblem says what no name that a resolver takes can have; "" is none.
func nameProblem(name string) string {
	if len(name) > maxName || len(name) == maxName && name[maxName-1] != '.' {
		return "it is longer than any host name"
	}

	label := 0
	for i := range len(name) {
		switch c := name[i]; {
		case c == '.' && label == 0:
			return "it has an empty label"
		case c == '.':
			label = 0
			continue
		case !isDigit(c) && (c < 'a' || c > 'z') && c != '-' && c != '_':
			return "it has a character that no host name has"
		}

		if label++; label > maxLabel {
			return "it has a label of more than 63 bytes"
		}
	}

	return ""
}

// endsInNumber says whether the last label is a number, decimal or hexadecimal: then
// resolvers and browsers may read the whole as an IPv4 address ("ends in a number" of
// the WHATWG URL standard).
func endsInNumber(name string) bool {
	name = strings.TrimSuffix(name, ".")
	last := name[strings.LastIndexByte(name, '.')+1:]

	digits, hex := strings.CutPrefix(last, "0x")
	for i := range len(digits) {
		if c := digits[i]; !isDigit(c) && !(hex && c >= 'a' && c <= 'f') {
			return false
		}
	}

	return last != ""
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// String is the host as messages show it; "" for one that cannot be understood, since
// such text may hold anything, user info included.
func (h host) String() string {
	if h.addr.IsValid() {
		return h.addr.String()
	}

	return h.name
}
