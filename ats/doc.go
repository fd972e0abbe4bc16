// Package ats is App Transport Security: the policy that says which hosts may be
// reached in clear text, and what TLS must look like for all others. It is Apple's
// NSAppTransportSecurity, as a Go struct.
//
// A [Policy] is what an app writes; its zero value is the secure default.
// [Policy.Compile] checks it and makes [Rules], which answer two separate questions:
//
//   - the gate, [Rules.Gate]: may a load of this host go in clear text at all?
//   - the floor, [Rules.Floor]: which TLS versions, cipher suites and certificates
//     are good enough for this host?
//
// [Rules.Explain] answers both and says which key of the policy decided.
//
// Whoever loads asks the gate before every hop of every scheme that is clear text,
// redirects included, and applies the floor to every TLS connection. Nothing here
// turns http into https, and nothing here looks names up: a host is judged by the
// text in its URL, so that a DNS answer can neither open nor close the gate, and a
// load through a proxy is judged by its origin.
//
// # Which host is which
//
// Hosts and keys are compared as lower-case A-labels; a trailing dot is kept, so
// "example.com." and "example.com" are two hosts. An exact key is found first, then
// the nearest ancestor with IncludesSubdomains, at any depth. Addresses match the
// longest block of their own family; an IPv4-mapped IPv6 address is an IPv6 one and
// nothing else. A host that cannot be understood, and one that a resolver may take
// for an IPv4 address although it is not written as one (2130706433, 0x7f.1, 127.1),
// never goes in clear text, whatever the policy allows, since no key could name it.
//
// Local are: names without a dot, names under .local, localhost and names under it
// (RFC 6761 §6.3), loopback and link-local addresses, and addresses inside the prefix
// of one of this host's own interfaces as they were when the policy was compiled.
package ats
