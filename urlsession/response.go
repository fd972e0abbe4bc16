package urlsession

import (
	"net/http"
	"net/url"

	"github.com/urlkit/urlkit/protocols"
)

// Response is the head of a response (Apple's URLResponse and HTTPURLResponse).
// What a call returns beside it is the body, read or as a stream.
type Response struct {
	// URL is the URL that answered, after redirects.
	URL *url.URL
	// StatusCode is the status; zero for schemes without one.
	StatusCode int
	// Header holds the header fields as received: Content-Encoding and
	// Content-Length speak of the bytes on the wire.
	Header http.Header
	// Trailer holds the trailer fields once the body has been read to its end.
	Trailer http.Header
	// MIMEType is the media type in lower case without parameters; "" unknown.
	MIMEType string
	// TextEncodingName is the charset in lower case; "" unknown.
	TextEncodingName string
	// Proto is the ALPN name of the protocol spoken ("http/1.1", "h2", "h3"); "" none.
	Proto string
	// ContentLength is the length of the body on the wire; -1 unknown (Apple's
	// expectedContentLength).
	ContentLength int64
	// Conn are facts of the connection; nil: none.
	Conn *ConnInfo
	// Reused: the connection had served an earlier request.
	Reused bool
}

func newResponse(r *protocols.Response) *Response {
	response := &Response{}
	response.fill(r)

	return response
}

func (r *Response) fill(from *protocols.Response) {
	*r = Response{
		URL: from.URL, StatusCode: from.StatusCode, Header: from.Header, Trailer: from.Trailer,
		MIMEType: from.MIMEType, TextEncodingName: from.TextEncodingName, Proto: from.Proto,
		ContentLength: from.ContentLength, Conn: from.Conn, Reused: from.Reused,
	}
}

// OK tells whether the status is 2xx, or the scheme has none.
func (r *Response) OK() bool { return r.StatusCode == 0 || r.StatusCode/100 == 2 }

// SuggestedFilename is a name under which the body could be saved: that of
// Content-Disposition, else from the URL, else "Unknown". It is one plain path
// component.
func (r *Response) SuggestedFilename() string {
	p := protocols.Response{URL: r.URL, Header: r.Header, MIMEType: r.MIMEType}

	return p.SuggestedFilename()
}
