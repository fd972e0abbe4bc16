package storage

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"time"
)

// CacheStore keeps responses between loads (Apple's URLCache). It is safe for
// concurrent use. It knows its capacity and nothing of HTTP: the session decides
// what is stored, chosen, refreshed and removed (RFC 9111). A failure of the store
// costs a load from the network, never a response.
type CacheStore interface {
	// Lookup gives what is stored under a key, one entry for each Variant, the one
	// stored last first; nil: nothing is. The entries are the store's and must not be
	// changed.
	Lookup(ctx context.Context, key string) ([]*CacheEntry, error)
	// Open reads the stored body from an offset that one of the entry's Parts
	// covers, to the end of that part. A reader that is open goes on while the entry
	// is replaced, evicted or removed. An entry that is gone is fs.ErrNotExist.
	Open(ctx context.Context, e *CacheEntry, offset int64) (io.ReadCloser, error)
	// Create begins to store a response. Nothing of it is seen before Commit, which
	// puts it in place of the entry with the same Key and Variant. Its body begins at
	// 0; one that ends before Length is stored as a part, and of a response without a
	// body so far (the first part that came begins further behind) there is none until
	// Extend. With a Length of -1 the body ends where Commit is called, which sets it.
	// A response that is too large for the store is ErrTooLarge, from here or from
	// Write.
	Create(ctx context.Context, e *CacheEntry) (CacheWriter, error)
	// Extend begins to store a further part of an entry's body (RFC 9111 §3.4), from
	// an offset on. Commit adds the part, also where the entry was extended or updated
	// meanwhile; where it is gone, or was replaced by Create, it is fs.ErrNotExist. Of
	// what was stored before the stored bytes stay.
	Extend(ctx context.Context, e *CacheEntry, offset int64) (CacheWriter, error)
	// Update puts changed into the place of the entry e, whose body stays (RFC 9111
	// §4.3.4). Where e is gone it is fs.ErrNotExist. One that becomes InMemoryOnly is
	// off the disk afterwards, and may have another ID; where it is too large for
	// memory it is removed, and the error is ErrTooLarge.
	Update(ctx context.Context, e, changed *CacheEntry) error
	// Remove removes entries of a key: the one with e's Variant, or all where e is
	// nil. Removing what is not there is no error.
	Remove(ctx context.Context, key string, e *CacheEntry) error
	// MaximumBody is the length of the longest body that is stored, in bytes: 5 % of
	// the capacity.
	MaximumBody() int64
}

// CacheWriter takes the body of a response that is being stored. It is for one
// goroutine. Write never waits for long; a Write that fails has given up the entry.
type CacheWriter interface {
	io.Writer
	// Commit stores what was written, whole or not at all.
	Commit(ctx context.Context) (*CacheEntry, error)
	// Abort drops it. After Commit it does nothing.
	Abort()
}

// CacheEntry is a stored response without its body. It is immutable once it was
// given to a store, or by one.
type CacheEntry struct {
	// Key is the primary key that the session made (RFC 9111 §2).
	Key string
	// Variant tells the responses of one key apart, as a digest of VaryFields; "" where
	// nothing does.
	Variant string
	// URL is that of the response, without fragment and user info.
	URL *url.URL
	// VaryFields are what must be the same in a request for the response to answer it:
	// the fields that Vary names (RFC 9111 §4.1), and what else the session counts, a
	// credential, say. Secrets are digests.
	VaryFields http.Header
	// StatusCode, Header, Trailer, Proto, MIMEType and TextEncodingName are the
	// response's, as they came.
	StatusCode       int
	Header, Trailer  http.Header
	Proto            string
	MIMEType         string
	TextEncodingName string
	// RequestTime and ResponseTime are when the request was made and when the
	// response's head came (RFC 9111 §4.2.3).
	RequestTime, ResponseTime time.Time
	// Length is that of the whole body as it came, still encoded; -1 unknown.
	Length int64
	// Parts are what is stored of the body, in order, neither overlapping nor
	// touching. A whole body is one part that ends at Length. The store sets it.
	Parts []CachePart
	// InMemoryOnly keeps the entry off the disk (Apple's allowedInMemoryOnly).
	InMemoryOnly bool
	// ID is the store's own, and stays when the entry is extended or updated; ""
	// before the entry was stored.
	ID string
}

// CachePart is a stretch of a body.
type CachePart struct {
	// Start is the offset of its first byte, End the one behind its last.
	Start, End int64
}

// Whole tells whether the entry has the whole body.
func (e *CacheEntry) Whole() bool {
	return e.Length == 0 || len(e.Parts) == 1 && e.Parts[0] == CachePart{0, e.Length}
}
