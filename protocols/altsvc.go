package protocols

import "time"

// AlternativeService is another place where an origin is served (RFC 7838 §2).
type AlternativeService struct {
	// Protocol is its ALPN protocol name ("h3").
	Protocol string
	// Host is where it is; "": the origin's own host.
	Host string
	// Port is its port.
	Port uint16
	// Expires is when it is to be forgotten (RFC 7838 §3.1, "ma").
	Expires time.Time
	// Persist: it stays known when the network changes (RFC 7838 §3.1, "persist").
	Persist bool
}

// AlternativeServiceStore keeps what origins have said of their alternative
// services. Its methods are safe for concurrent use and return promptly: they are
// called while a load waits. A key is an opaque text of printable characters.
type AlternativeServiceStore interface {
	// Services gives what was stored under a key and has not expired. The caller does
	// not change it.
	Services(key string) []AlternativeService
	// StoreServices replaces what is stored under a key; none: it is forgotten. The
	// store may keep the slice.
	StoreServices(key string, services []AlternativeService)
	// PathChanged forgets what does not persist when the network changes.
	PathChanged()
}
