package callback

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/urlkit/urlkit/protocols"
)

// Client is what a [Protocol] reports to (Apple's URLProtocolClient). Its methods
// may be called from any goroutine; the package comment says in which order. What
// is called after the load has ended is ignored. A Client serves one load, and
// its zero value serves none.
type Client struct {
	session  protocols.Client
	ctx      context.Context // of the load; ends with it
	cancel   context.CancelFunc
	reader   *io.PipeReader // the body's end of the hand-over of DidLoad
	writer   *io.PipeWriter
	head     chan struct{} // closed when Load may return
	turn     chan struct{} // held by the one DidLoad or DidFinishLoading that is served
	executor serial        // runs the author's code

	// Of the executor; what follows is set before the author has the Client.
	instance Protocol
	started  bool
	request  *protocols.Request
	cached   *CachedResponse

	mu        sync.Mutex
	phase     phase
	announced bool // head is closed
	unwatch   func() bool
	question  *question // the outstanding challenge
	asked     chan struct{}
	validated bool
	response  *protocols.Response
	given     *protocols.Response // the author's own response
	trailer   http.Header         // its trailer fields in the end
	expected  int64               // length of the body; -1: unknown
	bodiless  bool                // the response ends with its head
	received  int64
	err       error
}

// phase is how far a load has come.
type phase uint8

const (
	waiting   phase = iota // for a response
	receiving              // the body
	ended
)

// Context is the context of the load. It ends with the load, however that ends,
// so that work bound to it needs no StopLoading.
func (c *Client) Context() context.Context { return c.ctx }

// Session is the session's side of the contract: connections, TLS, and loads of
// other URLs, each with Context. Its Load never comes back to this protocol, so
// that a protocol which loads the same request again needs no mark on it; one
// that sets a property as a mark removes it from what it gives to
// WasRedirectedTo. nil only where New was given nil.
func (c *Client) Session() protocols.Client { return c.session }

// WasRedirectedTo reports a redirect, and ends the load: the session decides
// whether req is loaded, by the protocol that then claims it. resp is the
// redirect's own response; a body is dropped.
func (c *Client) WasRedirectedTo(req *protocols.Request, resp *protocols.Response) {
	c.mu.Lock()
	err := c.order("WasRedirectedTo", waiting)
	switch {
	case err != nil:
	case req == nil || req.URL == nil:
		err = misuse("WasRedirectedTo names no request to load")
	default:
		err = checkResponse("WasRedirectedTo", resp)
	}
	if err == nil {
		r := c.headOf(resp)
		r.Redirect, r.Body, r.ContentLength = req.Clone(), protocols.NoBody, 0
		c.response = r
	}
	c.mu.Unlock()
	c.end(err)
}

// DidReceive reports the response, with or without a status, and whether a cache
// may store it: responses to other methods than GET and HEAD are never stored,
// and the cached copy that was declared valid is stored already. The body comes by
// DidLoad: Body is not used, except that ContentLength 0 counts as known with
// protocols.NoBody only. resp is the author's again when DidReceive returns, apart
// from its Trailer, which is looked at in DidFinishLoading.
func (c *Client) DidReceive(resp *protocols.Response, policy protocols.CacheStoragePolicy) {
	c.mu.Lock()
	err := c.order("DidReceive", waiting)
	if err == nil {
		err = checkResponse("DidReceive", resp)
	}
	if err == nil {
		r := c.headOf(resp)
		r.Body = body{c}
		if !c.validated && c.storable() && policy.Raw() >= 0 {
			r.CacheStoragePolicy = policy
		}
		if r.ContentLength = resp.KnownLength(); r.ContentLength == 0 && resp.Body == nil {
			r.ContentLength = -1
		}
		c.phase, c.expected, c.given = receiving, r.ContentLength, resp
		c.bodiless = endsWithHead(c.request.Method, resp.StatusCode)
		c.respond(r)
	}
	c.mu.Unlock()
	if err != nil {
		c.end(err)
	}
}

// DidLoad hands on the next bytes of the body. It returns when the reader took
// them or the load ended; p is the author's again then. More bytes than the
// response's ContentLength are an error. The answer to a HEAD has no body, and
// neither have those with status 204 and 304: their bytes are dropped.
func (c *Client) DidLoad(p []byte) {
	if !c.takeTurn() {
		return
	}
	defer func() { <-c.turn }()
	c.mu.Lock()
	err := c.order("DidLoad", receiving)
	drop := c.bodiless || len(p) == 0
	if err == nil && !drop {
		c.received += int64(len(p))
		if c.expected >= 0 && c.received > c.expected {
			err = misuse("DidLoad gives %d bytes or more to a response whose ContentLength is %d", c.received, c.expected)
		}
	}
	c.mu.Unlock()
	switch {
	case err != nil:
		c.end(err)
	case !drop:
		_, _ = c.writer.Write(p) // fails only when the load has ended
	}
}

// DidFinishLoading ends the load with success. A body that is shorter than the
// response's ContentLength is io.ErrUnexpectedEOF.
func (c *Client) DidFinishLoading() {
	if !c.takeTurn() {
		return
	}
	defer func() { <-c.turn }()
	c.mu.Lock()
	err := c.order("DidFinishLoading", receiving)
	if err == nil {
		if missing := c.expected - c.received; c.expected >= 0 && missing > 0 && !c.bodiless {
			err = fmt.Errorf("callback: DidFinishLoading came %d bytes before the ContentLength: %w", missing, io.ErrUnexpectedEOF)
		}
		c.trailer = c.given.Trailer.Clone()
	}
	c.mu.Unlock()
	c.end(err)
}

// DidFail ends the load with an error, which goes to the app unchanged. io.EOF
// would read as success and becomes io.ErrUnexpectedEOF; nil is an error of code
// Unknown.
func (c *Client) DidFail(err error) {
	switch {
	case err == nil:
		err = protocols.Errorf(protocols.Unknown, "callback: DidFail was given no error")
	case errors.Is(err, io.EOF):
		err = fmt.Errorf("callback: DidFail(%v): %w", err, io.ErrUnexpectedEOF) //nolint:errorlint // EOF must not be found beneath
	}
	c.mu.Lock()
	if c.question != nil {
		err = fmt.Errorf("%w: %w", misuse("DidFail leaves a challenge outstanding: DidCancelChallenge comes first"), err)
	}
	c.mu.Unlock()
	c.end(err)
}

// CachedResponseIsValid reports that the cached candidate is the answer. The
// protocol then gives it as any other: DidReceive, DidLoad, DidFinishLoading.
func (c *Client) CachedResponseIsValid(cached *CachedResponse) {
	c.mu.Lock()
	err := c.order("CachedResponseIsValid", waiting)
	switch {
	case err != nil:
	case cached == nil || cached != c.cached:
		err = misuse("CachedResponseIsValid names another response than the candidate that New got")
	case c.validated:
		err = misuse("CachedResponseIsValid is called a second time")
	}
	c.validated = err == nil
	c.mu.Unlock()
	if err != nil {
		c.end(err)
	}
}

// order checks a call against the state of the load. Its error for a load that
// has ended is of no consequence. The caller holds mu.
func (c *Client) order(call string, want phase) error {
	switch {
	case c.phase == ended:
		return errEnded
	case c.question != nil:
		return misuse("%s is called while a challenge is outstanding: only DidCancelChallenge may be", call)
	case c.phase == want:
		return nil
	case want == receiving:
		return misuse("%s is called before DidReceive: a response comes first", call)
	default:
		return misuse("%s is called after DidReceive: there is one response, and what precedes it", call)
	}
}

var errEnded = errors.New("callback: the load has ended")

// misuse is the error of a wrong call.
func misuse(format string, args ...any) error {
	return protocols.Errorf(protocols.BadServerResponse, "callback: "+format, args...)
}

// checkResponse refuses what is no response.
func checkResponse(call string, r *protocols.Response) error {
	switch {
	case r == nil:
		return misuse("%s gives no response", call)
	case r.StatusCode != 0 && (r.StatusCode < 100 || r.StatusCode > 999):
		return misuse("%s gives the status %d, which has not three digits", call, r.StatusCode)
	default:
		return nil
	}
}

// headOf copies the author's response, who may use it for other loads. The caller
// holds mu.
func (c *Client) headOf(resp *protocols.Response) *protocols.Response {
	r := *resp
	r.Header, r.Trailer = resp.Header.Clone(), resp.Trailer.Clone()
	r.CacheStoragePolicy = protocols.StorageNotAllowed
	if r.URL == nil {
		r.URL = c.request.URL
	}

	return &r
}

func (c *Client) storable() bool {
	m := methodOf(c.request)

	return m == http.MethodGet || m == http.MethodHead
}

// endsWithHead is RFC 9112 §6.3.
func endsWithHead(method string, status int) bool {
	return strings.EqualFold(method, http.MethodHead) || status == http.StatusNoContent || status == http.StatusNotModified
}

// takeTurn waits for the calls of other goroutines that are being served. It
// fails when the load has ended.
func (c *Client) takeTurn() bool {
	select {
	case c.turn <- struct{}{}:
		// Both may have been ready: what is cut off by the end of ctx must not be
		// followed by a finish that counts.
		if c.ctx.Err() == nil {
			return true
		}
		<-c.turn

		return false
	case <-c.ctx.Done():
		return false
	}
}
