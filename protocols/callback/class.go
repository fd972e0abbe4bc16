package callback

import (
	"context"
	"net/url"
	"strings"

	"github.com/urlkit/urlkit/protocols"
)

// Class is what a subclass of Apple's URLProtocol states at class level. Only New
// is needed; the zero value of the others is what their comments say. The
// functions are called by many goroutines and keep no state of a load.
type Class struct {
	// CanInit tells whether the protocol takes a request (Apple's
	// canInit(with:)). It is pure, fast, and leaves the request as it is; it may be
	// called several times for one load. nil: every request of the scheme. A panic
	// declines.
	CanInit func(req *protocols.Request) bool

	// CanonicalRequest is the form in which the protocol gets the request, and
	// under which a cache would know it (Apple's canonicalRequest(for:)). It gets a
	// copy, which it may change and return. nil: the request as it is; a nil result
	// fails the load.
	CanonicalRequest func(req *protocols.Request) *protocols.Request

	// RequestIsCacheEquivalent tells whether the answer to b answers a as well
	// (Apple's requestIsCacheEquivalent(_:to:)). nil: their canonical forms are
	// equal in URL, main document URL, method, cache policy, body, and the settings
	// for cookies and cellular.
	RequestIsCacheEquivalent func(a, b *protocols.Request) bool

	// CachedResponse finds the candidate that New gets, for the canonical request.
	// One whose Request is not cache-equivalent to it is not used. nil, or a nil
	// result: none.
	CachedResponse func(ctx context.Context, req *protocols.Request) *CachedResponse

	// New makes the instance for one load (Apple's
	// init(request:cachedResponse:client:)). req is the canonical request and the
	// instance's own copy; cached is nil where there is none.
	New func(req *protocols.Request, cached *CachedResponse, client *Client) Protocol
}

// Protocol is one load (Apple's URLProtocol instance). Its two methods are never
// called at the same time.
type Protocol interface {
	// StartLoading begins the load and returns; everything is reported through the
	// Client, during the call or later.
	StartLoading()
	// StopLoading ends all work for the load. It is called once after StartLoading,
	// however the load ended; the Client ignores what comes after it.
	StopLoading()
}

// CachedResponse is a stored response (Apple's CachedURLResponse).
type CachedResponse struct {
	// Request is what it answered; nil: the request that it is a candidate for.
	Request *protocols.Request
	// Response is the head; its Body is not used.
	Response *protocols.Response
	// Data is the body.
	Data []byte
	// StoragePolicy says where it may be kept.
	StoragePolicy protocols.CacheStoragePolicy
	// UserInfo is what its author stored with it; nil: nothing.
	UserInfo map[string]any
}

// Scheme makes of a class what a registry holds: by this name, in clear text, out
// of reach of redirects. Set DefaultPort, Security and the rest on the result. A
// name of "" is for a class with CanInit, which is then asked for every request;
// without CanInit it takes none.
func Scheme(name string, class Class) protocols.Scheme {
	if name == "" && class.CanInit == nil {
		class.CanInit = func(*protocols.Request) bool { return false }
	}

	return protocols.Scheme{Name: name, New: func(client protocols.Client) protocols.URLProtocol { return New(class, client) }}
}

// New makes a URLProtocol of a class, for the session of client. It is a
// [protocols.Claimer]. client may be nil in a test: then challenges get default
// handling and [Client.Session] is nil.
func New(class Class, client protocols.Client) protocols.URLProtocol {
	return &urlProtocol{class: class, session: client}
}

type urlProtocol struct {
	class   Class
	session protocols.Client
}

// Claims implements protocols.Claimer.
func (p *urlProtocol) Claims(req *protocols.Request) (claims bool) {
	if strings.EqualFold(req.Header.Get("Upgrade"), "websocket") {
		return false
	}
	if p.class.CanInit == nil {
		return true
	}
	defer func() {
		if recover() != nil {
			claims = false
		}
	}()

	return p.class.CanInit(req)
}

// Canonical is the canonical form of req by the class, in a copy; nil if the class
// returns none.
func (c Class) Canonical(req *protocols.Request) *protocols.Request {
	if c.CanonicalRequest == nil {
		return req.Clone()
	}

	return c.CanonicalRequest(req.Clone())
}

// CacheEquivalent tells whether the answer to b answers a as well, by the class.
func (c Class) CacheEquivalent(a, b *protocols.Request) bool {
	if c.RequestIsCacheEquivalent != nil {
		return c.RequestIsCacheEquivalent(a, b)
	}
	a, b = c.Canonical(a), c.Canonical(b)
	if a == nil || b == nil {
		return false
	}

	return equalURLs(a.URL, b.URL) && equalURLs(a.MainDocumentURL, b.MainDocumentURL) &&
		methodOf(a) == methodOf(b) && a.CachePolicy == b.CachePolicy && a.Body == b.Body &&
		a.OmitsCookies == b.OmitsCookies && a.RefusesCellular == b.RefusesCellular
}

func equalURLs(a, b *url.URL) bool {
	if a == nil || b == nil {
		return a == b
	}

	return a.String() == b.String()
}

// methodOf is the method in the form that the session sends.
func methodOf(req *protocols.Request) string {
	switch upper := strings.ToUpper(req.Method); upper {
	case "":
		return "GET"
	case "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT":
		return upper
	default:
		return req.Method
	}
}
