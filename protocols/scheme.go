package protocols

import "fmt"

// Scheme is what a registry holds: data about a URL scheme and the constructor
// of its protocol. The zero values are the safe ones: clear text (so that policy
// decides), and out of reach of redirects.
type Scheme struct {
	// Name is the URL scheme, in any case. "" only for a [Claimer] that is asked
	// for every request.
	Name string
	// DefaultPort is the port of a URL that names none; 0: the scheme has none.
	DefaultPort int
	// Security says how the scheme treats the network; the session enforces it.
	Security Security
	// Redirectable allows a redirect from another scheme to land here.
	Redirectable bool
	// Forward says that the protocol speaks absolute-form to an HTTP proxy
	// (Route.Forward). Zero: HTTP proxies are tunnelled through.
	Forward bool
	// New makes the instance for one session, without side effects, and another
	// where the session is flushed. The protocol's own settings come by closure.
	New func(Client) URLProtocol
}

// Security is what a scheme declares about its bytes on the network. App
// Transport Security acts on it, and the session checks it on every connection
// that Dial gives.
type Security uint8

const (
	// Cleartext sends in clear text: App Transport Security decides per host.
	Cleartext Security = iota
	// Encrypted sends every application byte inside a TLS session made from
	// Client.TLSConfig. A connection refuses anything else (-1022).
	Encrypted
	// Upgrades starts in clear text with a short preamble and is inside such a
	// TLS session before Load returns (STARTTLS, AUTH TLS), or the load fails
	// with -1022.
	Upgrades
	// Local does no network input or output of its own. Its inner loads (a scheme
	// composed over https) are judged themselves, and Dial is refused.
	Local
)

// String gives the name in lower case.
func (s Security) String() string {
	switch s {
	case Cleartext:
		return "cleartext"
	case Encrypted:
		return "encrypted"
	case Upgrades:
		return "upgrades"
	case Local:
		return "local"
	default:
		return fmt.Sprintf("security(%d)", uint8(s))
	}
}

// Route is the one way that a load takes to its host. It is comparable: the key
// of a connection pool is {Route, scheme, host:port, Request.Bind}. The zero
// value is the direct route of a request that no session has routed yet.
type Route struct {
	// ID identifies proxies and their identity, interface and TLS policy. Opaque.
	ID string
	// Forward is the host:port of the proxy to dial and to address in
	// absolute-form; "" otherwise. Set only for schemes that declare Forward.
	Forward string
	// Proxied: a proxy resolves the name, so nothing may look it up.
	Proxied bool
	// Packets: DialPacket can work.
	Packets bool
}
