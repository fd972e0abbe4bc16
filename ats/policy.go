package ats

import "maps"

// Presence is a key of the policy of which it matters that it is there, whatever it
// says: each of the three below makes AllowsArbitraryLoads ineffective by being
// present. The zero value is Absent.
type Presence uint8

// The states of a key.
const (
	Absent Presence = iota // the key is not in the dictionary
	No                     // there, and false
	Yes                    // there, and true
)

// String is the state's name.
func (p Presence) String() string {
	switch p {
	case Absent:
		return "Absent"
	case No:
		return "No"
	case Yes:
		return "Yes"
	}

	return "invalid"
}

// Policy is Apple's NSAppTransportSecurity dictionary. The zero value is the secure
// default: public hosts need TLS 1.2 with forward secrecy, local hosts need nothing.
// It is plain data: change it freely until Compile has read it.
type Policy struct {
	// AllowsArbitraryLoads lifts gate and floor from every host without an entry in
	// ExceptionDomains (NSAllowsArbitraryLoads). It has no effect while one of the next
	// three keys is present. Setting both on purpose is legal and common: systems that
	// know the newer key then ignore this one. Explain says when that happens.
	AllowsArbitraryLoads bool

	// AllowsArbitraryLoadsForMedia, when Yes, frees loads that say they are Media
	// (NSAllowsArbitraryLoadsForMedia).
	AllowsArbitraryLoadsForMedia Presence

	// AllowsArbitraryLoadsInWebContent, when Yes, frees loads that say they are
	// WebContent (NSAllowsArbitraryLoadsInWebContent).
	AllowsArbitraryLoadsInWebContent Presence

	// AllowsLocalNetworking frees local hosts unless it is No (NSAllowsLocalNetworking).
	AllowsLocalNetworking Presence

	// ExceptionDomains says for a host name, an address or a CIDR block what it may do
	// (NSExceptionDomains). An entry wins over all keys above, both ways: it also holds
	// a host to TLS that AllowsArbitraryLoads or local networking would free.
	ExceptionDomains map[string]Exception

	// TreatsPrivateNetworksAsLocal counts all private addresses (RFC 1918, RFC 4193) as
	// local. Without it they are local only inside an interface's own prefix. Apple has
	// no such key.
	TreatsPrivateNetworksAsLocal bool
}

// Exception is an entry of ExceptionDomains. The zero value asks for what the default
// policy asks of public hosts.
type Exception struct {
	// IncludesSubdomains makes the entry answer for all names below it too, unless a
	// nearer entry does (NSIncludesSubdomains). It has no meaning for addresses.
	IncludesSubdomains bool

	// AllowsInsecureHTTPLoads lets clear text pass, and lets a delegate accept a
	// certificate that is not trusted. The rest of the floor stays
	// (NSExceptionAllowsInsecureHTTPLoads).
	AllowsInsecureHTTPLoads bool

	// MinimumTLSVersion is tls.VersionTLS10 to tls.VersionTLS13; 0 is TLS 1.2
	// (NSExceptionMinimumTLSVersion). It can lower the floor and raise it.
	MinimumTLSVersion uint16

	// AllowsRSAKeyExchange adds the RSA key-exchange suites, which have no forward
	// secrecy (the opposite of NSExceptionRequiresForwardSecrecy).
	AllowsRSAKeyExchange bool
}

// Clone is a copy that shares nothing with p.
func (p Policy) Clone() Policy {
	p.ExceptionDomains = maps.Clone(p.ExceptionDomains)

	return p
}
