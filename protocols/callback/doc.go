// Package callback adapts protocols that are written in the vocabulary of
// Apple's URLProtocol (canInit, startLoading, stopLoading, a client to call back)
// to the contract of package protocols. It is for people who port an existing
// URLProtocol, or who think in events; a new protocol is shorter as a
// [protocols.URLProtocol] of its own.
//
// A [Class] holds what a subclass of URLProtocol states at class level; its New
// makes one [Protocol] for each load. [Scheme] makes of it what a registry holds.
//
// # Order of calls
//
// Before the response a protocol may ask any number of challenges, one at a time,
// and may accept the cached candidate by CachedResponseIsValid. Then comes
// WasRedirectedTo, which ends the load, or exactly one DidReceive, any number of
// DidLoad, and DidFinishLoading. DidFail may come at any time before the end.
// While a challenge is outstanding only DidCancelChallenge may be called.
//
// A call that breaks this order ends the load with one error, whose code is
// protocols.BadServerResponse and whose text names the call and the rule. A call
// after the end (finish, failure, redirect, a wrong order, a load that was
// cancelled or whose body was closed) is ignored, as it is on Apple's systems, so
// that work already under way needs no guard. A panic in the author's code is a
// [*PanicError]. A protocol that calls nothing is ended by the session's clocks,
// through the load's context.
//
// # Goroutines
//
// New, StartLoading, the answers of a [Sender] and StopLoading run one after
// another on a goroutine of the load, never at the same time and never on the
// goroutine that waits for the load: a StartLoading that blocks holds up neither
// the app nor cancellation. It does hold up what would come after it, its own
// answers and StopLoading included; therefore what blocks in it must end with
// [Client.Context], as everything does that goes through [Client.Session].
//
// The methods of [Client] may be called from any goroutine. DidLoad hands its
// bytes to the reader of the body and returns when they were taken, or when the
// load has ended: the reader's pace is the author's, and nothing is queued.
//
// # What has no counterpart
//
// There is no task form of canInit and init: a load knows its request. Classes
// are not registered globally. Requests that ask for a WebSocket are declined for
// every Class, because a protocol of callbacks has no connection to hand over.
//
// # Source
//
// Apple's URLProtocol, URLProtocolClient, URLAuthenticationChallengeSender and
// CachedURLResponse. Names are theirs.
package callback
