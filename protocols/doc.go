// Package protocols is the contract between a URL loading session and the
// protocols that load URLs for it. It is the only package that the author of a
// protocol needs, and it imports nothing but the standard library.
//
// A [Scheme] names a URL scheme and makes a [URLProtocol] for one session. A
// URLProtocol turns a [Request] into a [Response]; the session's side of the
// conversation is the [Client], through which all input and output goes. What a
// session adds around a load (App Transport Security, proxies, cookies, cache,
// redirects, authentication, content decoding, metrics) therefore applies to a
// protocol that knows nothing of it.
//
// # The contract
//
// Each clause is checked by a row of package conformance, which cites it by
// number.
//
//  1. Load returns exactly one of a response and an error. It never panics. The
//     response is the session's from then on: each Load returns one of its own.
//  2. Load returns at the response head. The body streams: nothing waits for the
//     end of a body, and memory does not grow with a body's length.
//  3. ctx governs the load and its body: when it ends, Load and a blocked Read
//     return promptly, with an error that wraps the context's.
//  4. Response.Body is never nil. Its Close is idempotent, safe during a Read,
//     and ends every goroutine and connection that serves only this load.
//  5. The request's body is closed by the protocol in every outcome, and never
//     opened while an earlier reader of it is open.
//  6. The request is never mutated, nor used after the response body is closed.
//     Whoever observes its Reprioritization stops when the body ends or is closed,
//     and before a Load returns an error. To heed a change is a protocol's choice.
//  7. Load is safe for concurrent use; loads do not wait for each other but for
//     a limit that the protocol documents.
//  8. Redirects and challenges are returned as data (Response.Redirect,
//     Response.Challenges). A protocol never follows, answers or retries by
//     itself once a byte of the request was sent; it says by [ErrNotSent] or
//     [ErrStaleConnection] what the session may safely send again.
//  9. All input and output goes through the Client: connections by Dial and
//     DialPacket, TLS by TLSConfig, requests to other URLs by its Load. A Local
//     scheme never dials.
//  10. The scheme's Security is true: Encrypted sends no application byte
//     outside TLS, Upgrades none after a short preamble.
//  11. A body that ends early is [io.ErrUnexpectedEOF], never a quiet io.EOF,
//     wherever the protocol can know its length or end.
//  12. ContentLength is the exact length of Body as given (before any content
//     decoding), or -1.
//  13. Errors are returned raw: the session wraps each load's error once, in an
//     [*Error]. A status, of HTTP or another, is never an error.
//  14. After Upgraded or Messages, Body is empty and the session ends the
//     connection when ctx ends.
//  15. Everything that a peer can grow is bounded: heads, lists, lines, buffers,
//     interim responses.
//  16. Claims is pure, fast, safe for concurrent use, and leaves the request's
//     body alone.
//  17. Back-pressure is the reader's: what nobody reads is not fetched beyond a
//     fixed buffer.
//  18. No lock is held while a Client's method is called. Inform is called only
//     where Request.Trace is not nil.
//  19. A protocol that wraps another has an Unwrap method, so that [As] finds
//     the capabilities of the inner one.
//  20. Close, where a protocol is an [io.Closer], ends idle connections, pings
//     and everything else that outlives a load, and leaves running loads alone.
//     Their further hops may still come: Load works as before, and keeps nothing
//     for later.
//
// # Source
//
// The shape follows Apple's URLProtocol and URLProtocolClient; names are theirs
// or the RFCs'. Package protocols/callback adapts protocols that are written in
// Apple's own vocabulary (canInit, startLoading, stopLoading).
package protocols
