package protocols

import (
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// NoBody is an empty response body.
var NoBody io.ReadCloser = http.NoBody

// Response is the answer to a load at its head (Apple's URLResponse and
// HTTPURLResponse). The one who gets it closes Body.
type Response struct {
	// URL is the URL that answered; nil: that of the request.
	URL *url.URL
	// StatusCode is the status; zero for schemes without one.
	StatusCode int
	// Header holds the header fields as received; nil for schemes without any.
	Header http.Header
	// Trailer holds the trailer fields once Body has given io.EOF.
	Trailer http.Header
	// MIMEType is the media type in lower case without parameters; "" unknown.
	MIMEType string
	// TextEncodingName is the charset in lower case; "" unknown.
	TextEncodingName string
	// Proto is the ALPN name of the protocol spoken ("http/1.1", "h2", "h3"); "" none.
	Proto string
	// ContentLength is the length in bytes of Body as given, before content
	// decoding; -1: unknown. 0 with a Body that is not NoBody counts as unknown.
	ContentLength int64
	// Body is never nil in a response that Load returns; not decoded. The session
	// closes it when ctx ends, but for one that ends with it by itself and says so
	// by a method Context() context.Context.
	Body io.ReadCloser
	// Upgraded is the connection after 101 or CONNECT; Body is empty then.
	Upgraded net.Conn
	// Messages is a message connection; Body is empty then.
	Messages Messages
	// Redirect is the request that this response redirects to; the session
	// decides whether it is loaded.
	Redirect *Request
	// Challenges are what must be answered before the same request is loaded
	// again; the session asks.
	Challenges []*Challenge
	// CacheStoragePolicy says whether a cache may store the response. The zero value:
	// not, but for http and https, whose rules decide (RFC 9111); those ask for
	// StorageAllowedInMemoryOnly at most. What may be stored is used again by the same
	// rules: where Header says nothing of freshness, only if the request's policy is
	// ReturnCacheElseLoad or ReturnCacheDontLoad.
	CacheStoragePolicy CacheStoragePolicy
	// Conn are facts of the connection; nil: none, or unknown.
	Conn *ConnInfo
	// Reused: the connection had served an earlier request.
	Reused bool
}

// SetContentType fills MIMEType and TextEncodingName from the value of a
// Content-Type field (RFC 9110 §8.3). A value that cannot be parsed gives what
// stands before its first ";".
func (r *Response) SetContentType(value string) {
	mediaType, params, err := mime.ParseMediaType(value)
	if mediaType == "" && err != nil {
		mediaType, _, _ = strings.Cut(value, ";")
		mediaType = strings.ToLower(strings.TrimSpace(mediaType))
	}
	r.MIMEType = mediaType
	r.TextEncodingName = strings.ToLower(params["charset"])
}

// KnownLength is ContentLength by the rule that 0 with a body that is not NoBody
// counts as unknown (-1).
func (r *Response) KnownLength() int64 {
	if r.ContentLength < 0 || r.ContentLength == 0 && r.Body != nil && r.Body != NoBody {
		return -1
	}

	return r.ContentLength
}

// OK tells whether the status is 2xx, or there is none.
func (r *Response) OK() bool {
	return r.StatusCode == 0 || r.StatusCode/100 == 2
}
