package proxy

import (
	"fmt"
	"strings"
	"syscall"

	"github.com/urlkit/urlkit/protocols"
)

// Parameters say how a connection is made (Apple's NWParameters). The zero value
// is ordinary traffic. What was made by one is not to serve where another, by its
// String, is asked for.
type Parameters struct {
	// ServiceType marks the packets with a Differentiated Services code point (RFC
	// 2474). The code points are those that RFC 4594 recommends for the kind of
	// traffic:
	//
	//	ServiceDefault         0         §4.9, Standard
	//	ServiceVoIP            46, EF    §4.1, Telephony
	//	ServiceVideo           34, AF41  §4.3, Multimedia Conferencing
	//	ServiceBackground      8, CS1    §4.10, Low-Priority Data
	//	ServiceVoice           46, EF    §4.1, Telephony
	//	ServiceResponsiveData  18, AF21  §4.7, Low-Latency Data
	//	ServiceAVStreaming     26, AF31  §4.5, Multimedia Streaming
	//	ServiceResponsiveAV    32, CS4   §4.4, Real-Time Interactive
	//	ServiceCallSignaling   40, CS5   §4.2, Signaling
	//
	// It is a hint: a system that does not take it (Windows, say) and networks on
	// the way may ignore it, and no dial fails for it.
	ServiceType protocols.NetworkServiceType
	// Multipath asks for Multipath TCP (RFC 8684). Where the system or the peer has
	// none the connection is one of plain TCP. It says nothing for datagrams.
	Multipath bool
	// RequiresDNSSEC fails the dial of a name with DNSLookupFailed, unless the
	// resolver is a ValidatingResolver that validates.
	RequiresDNSSEC bool
	// AllowsPersistentDNS lets a Cache use an answer past its time, while it looks the
	// name up anew. It says nothing of the connection: String leaves it out.
	AllowsPersistentDNS bool
}

// codePoints are the table at Parameters.ServiceType.
var codePoints = [...]uint8{
	protocols.ServiceVoIP:           46,
	protocols.ServiceVideo:          34,
	protocols.ServiceBackground:     8,
	protocols.ServiceVoice:          46,
	protocols.ServiceResponsiveData: 18,
	protocols.ServiceAVStreaming:    26,
	protocols.ServiceResponsiveAV:   32,
	protocols.ServiceCallSignaling:  40,
}

var serviceNames = [...]string{
	protocols.ServiceDefault:        "default",
	protocols.ServiceVoIP:           "VoIP",
	protocols.ServiceVideo:          "video",
	protocols.ServiceBackground:     "background",
	protocols.ServiceVoice:          "voice",
	protocols.ServiceResponsiveData: "responsive data",
	protocols.ServiceAVStreaming:    "AV streaming",
	protocols.ServiceResponsiveAV:   "responsive AV",
	protocols.ServiceCallSignaling:  "call signaling",
}

// String names what is not the default, "" where all is. Parameters that make
// different connections have different texts.
func (p Parameters) String() string {
	var parts []string
	if t := p.ServiceType; t != protocols.ServiceDefault {
		name := fmt.Sprint(uint8(t))
		if int(t) < len(serviceNames) {
			name = serviceNames[t]
		}
		parts = append(parts, fmt.Sprintf("service type %s (DSCP %d)", name, p.codePoint()))
	}
	if p.Multipath {
		parts = append(parts, "Multipath TCP")
	}
	if p.RequiresDNSSEC {
		parts = append(parts, "DNSSEC required")
	}

	return strings.Join(parts, ", ")
}

func (p Parameters) codePoint() int {
	if int(p.ServiceType) >= len(codePoints) {
		return 0
	}

	return int(codePoints[p.ServiceType])
}

// control marks a socket before it connects; nil: there is nothing to mark. A
// system that refuses leaves it as it is.
func (p Parameters) control() func(network, addr string, c syscall.RawConn) error {
	if p.codePoint() == 0 {
		return nil
	}
	class := p.codePoint() << 2 // beside the two bits of RFC 3168

	return func(network, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) { mark(fd, strings.HasSuffix(network, "6"), class) })
	}
}
