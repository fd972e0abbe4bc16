// Package http loads http: and https: URLs: HTTP/1.1 (RFC 9112), HTTP/2 (RFC 9113) and
// HTTP/3 (RFC 9114) over a connection pool of its own. [Schemes] gives both schemes to
// a registry.
//
// HTTP/1.1 runs on the goroutine of the one who loads, over a loop of its own
// around net/http's Request.Write and ReadResponse; an idle connection has no
// goroutine. HTTP/2 runs on a connection of its own, over the frames and the header
// compression of golang.org/x/net: one goroutine reads, and whoever has something to
// say writes it. The pool decides which connection serves which request: connections
// are keyed by route, host and Request.Bind; requests wait by priority and then in
// order, and tell the server their priority (RFC 9218); the first handshake with an
// https host is shared by all who wait, because it may turn out to speak HTTP/2, and
// then one connection serves them all.
//
// HTTP/3 runs on quic-go, where an origin is known to speak it: by Alt-Svc (RFC 7838), by
// HTTPS records (RFC 9460), or because a request assumes it. It has a head start before
// TCP is tried beside it, and is left alone for a while where it did not work. The build
// tag urlkit_nohttp3 leaves it out.
//
// Redirects, challenges, cookies, caching and content decoding are the
// session's. The package sends a request at most once, but for early data that a
// server does not take (425, RFC 8470): what failed before
// anything was sent wraps protocols.ErrNotSent, and what failed on a kept
// connection without an answer wraps protocols.ErrStaleConnection.
//
// A request body is read on another goroutine than the caller's. Its Close must
// end a blocked Read, as it does for files, pipes and connections: a load that
// ends early closes the body, and waits a second at most for the Read to return.
package http
