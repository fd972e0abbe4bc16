// Package httpcache is the arithmetic of HTTP caching (RFC 9111) with stale
// responses (RFC 5861) and immutable ones (RFC 8246), for a private cache: what may
// be stored, how long it is fresh, which stored response answers a request, and what
// validates, updates and invalidates it. It does no input or output, and knows no
// clock but the time that it is told.
package httpcache

// Name is a directive or field whose meaning is understood; several are a set.
type Name uint64

// The directives of responses, those of requests, and the fields.
const (
	MaxAge Name = 1 << iota
	MustRevalidate
	MustUnderstand
	NoCache
	NoCacheFields // no-cache with names of fields
	NoStore
	Private
	Public
	Immutable
	StaleWhileRevalidate
	StaleIfError

	RequestMaxAge
	RequestMaxStale
	RequestMinFresh
	RequestNoCache
	RequestNoStore
	RequestOnlyIfCached
	RequestStaleIfError

	Age
	Authorization
	Connection
	ContentEncoding
	ContentLength
	ContentLocation
	ContentRange
	Date
	ETag
	Expires
	Host
	IfMatch
	IfModifiedSince
	IfNoneMatch
	IfRange
	IfUnmodifiedSince
	LastModified
	Location
	Pragma
	Range
	Vary

	end
)

// Rules say what is understood. The zero value understands everything.
type Rules struct{ off Name }

// Without understands everything but some names: what they do shows by its absence.
func Without(names Name) Rules { return Rules{names} }

func (r Rules) on(n Name) bool { return r.off&n == 0 }

// String is the name as it stands in a message.
func (n Name) String() string {
	for _, d := range append(ofResponse[:len(ofResponse):len(ofResponse)], ofRequest...) {
		if d.name == n {
			return d.text
		}
	}
	if field, ok := fields[n]; ok {
		return field
	}

	return "no-cache=..."
}

var fields = map[Name]string{
	Age: "Age", Authorization: "Authorization", Connection: "Connection", ContentEncoding: "Content-Encoding",
	ContentLength: "Content-Length", ContentLocation: "Content-Location", ContentRange: "Content-Range", Date: "Date",
	ETag: "ETag", Expires: "Expires", Host: "Host", IfMatch: "If-Match", IfModifiedSince: "If-Modified-Since",
	IfNoneMatch: "If-None-Match", IfRange: "If-Range", IfUnmodifiedSince: "If-Unmodified-Since",
	LastModified: "Last-Modified", Location: "Location", Pragma: "Pragma", Range: "Range", Vary: "Vary",
}

// Names are all that are understood.
func Names() (names []Name) {
	for n := Name(1); n < end; n <<= 1 {
		names = append(names, n)
	}

	return names
}
