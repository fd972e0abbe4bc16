package conformance

import (
	"context"
	"crypto/x509"

	"github.com/urlkit/urlkit/protocols"
)

// Harness is the protocol under test and how its fixtures are made. Scheme and
// Fixture are needed; the rest has zero values that work.
type Harness struct {
	// Scheme is what a session would register. One without a Name, a Claimer, is
	// asked for every request of the fixture.
	Scheme protocols.Scheme
	// Fixture makes what the protocol loads. It is called once for each row, and
	// Fixture.Close after it. ctx ends with the row.
	Fixture func(ctx context.Context) (*Fixture, error)
	// Request makes a request where protocols.NewRequest is not enough (a header
	// field that the scheme needs, say). nil: protocols.NewRequest.
	Request func(method, url string, body *protocols.Body) (*protocols.Request, error)
	// Beneath are schemes that the protocol loads through Client.Load; nil: none.
	Beneath []protocols.Scheme
	// Serial says that the protocol documents that it runs one load at a time
	// (clause 7 allows a documented limit).
	Serial bool
}

// Fixture is what a protocol can load, and what is to come of it. An empty field
// means that the scheme has nothing of the kind; the rows that need it are
// reported as not applicable. URLs are absolute.
type Fixture struct {
	// Content is loaded with success. The first is what most rows use; it should
	// have a few hundred bytes or more. One should be empty where that is possible.
	Content []Content
	// Large is a body for the rows on streaming, of more than 24 MiB (MinimumLarge) for
	// all of them. Its Bytes may be nil and its Size given.
	Large Content
	// Missing is a URL of something that does not exist.
	Missing string
	// MissingStatus is the status that Missing is answered with; 0: Load fails.
	MissingStatus int
	// Silent is a URL whose head never comes, and Slow one whose body gives some
	// bytes and then stalls. Without them the suite stalls a connection; only a
	// protocol that makes none needs them.
	Silent, Slow string
	// Redirect is a URL that redirects; Target is where to.
	Redirect, Target string
	// Challenge is content that is given only to Credential.
	Challenge  Content
	Credential *protocols.Credential
	// Upload accepts a request body.
	Upload Upload
	// Connection is a URL that gives Response.Upgraded or Response.Messages.
	Connection string

	// Hosts resolves the names in the URLs: "name" or "name:port" to "address" or
	// "address:port", on loopback. Nothing else can be dialled.
	Hosts map[string]string
	// RootCAs are trusted for TLS; nil: the system's.
	RootCAs *x509.CertPool
	// Close ends the fixture; nil: nothing to do.
	Close func() error
}

// Content is a URL and what it gives.
type Content struct {
	// URL is what is loaded, with Method ("" is GET) and Body (nil: none).
	URL    string
	Method string
	Body   []byte
	// Bytes is the body that comes back. Where it is nil, Size is the length.
	Bytes []byte
	Size  int64
	// MIMEType is the type that the response tells; "" is not checked.
	MIMEType string
	// Framed says that the end of the body is marked on the wire although its
	// length is not announced: a body that is cut can be told from a whole one.
	Framed bool
}

// Upload is a URL that takes a request body.
type Upload struct {
	// URL is where it goes, with Method ("" is PUT).
	URL    string
	Method string
	// Received gives the body that arrived last, once the load is complete; nil:
	// nobody can tell.
	Received func() []byte
}

// MinimumLarge is how long Fixture.Large has to be for every row that uses it, in
// bytes. It is half as long again as ReadAhead.
const MinimumLarge = 24 << 20

// ReadAhead is how much of a body that nobody reads a protocol may fetch, in
// bytes. It is generous: the window of an HTTP/2 stream counts as fetched.
const ReadAhead = 16 << 20

func (c *Content) size() int64 {
	if c.Bytes != nil {
		return int64(len(c.Bytes))
	}

	return c.Size
}
