// Package har reads and writes HTTP Archives, the recordings of browsers and proxies,
// in version 1.2 of the format (the W3C's draft "HTTP Archive (HAR) format"). A [Reader]
// gives a log entry by entry and is tolerant of what is written in the wild; a [Writer]
// takes entries one by one, so that a long recording needs no memory. Secrets are
// redacted as they are written, unless that is switched off ([Redaction]). Custom
// fields, whose names begin with "_", are kept on reading and on writing.
//
// A null or a missing field is its zero value; other fields that the format does not
// know are dropped. Times in milliseconds have a fraction.
package har

import (
	"encoding/base64"
	"encoding/json"
	"time"
)

// Version is the version of the format.
const Version = "1.2"

// Unknown stands for a size or a time that is not known, or does not apply.
const Unknown = -1

// Notes are what every object of the format may have besides.
type Notes struct {
	// Comment is what somebody noted; "": nothing.
	Comment string
	// Custom are the fields of no standard.
	Custom Custom
}

// Custom are the fields of an object whose names begin with "_". nil: none.
type Custom map[string]json.RawMessage

// Log is a recording: its entries and what is said of them.
type Log struct {
	// Version is that of the format; "" is written as Version.
	Version string
	// Creator is the program that made the log.
	Creator Creator
	// Browser is the program that it watched; nil: not said.
	Browser *Creator
	// Pages are the pages that entries belong to. May be empty.
	Pages []Page
	// Entries are the requests with their responses, in no certain order.
	Entries []Entry
	Notes
}

// Creator is a program.
type Creator struct {
	// Name and Version name it.
	Name, Version string
	Notes
}

// Page is a page that a browser has loaded.
type Page struct {
	// StartedDateTime is when its loading began.
	StartedDateTime time.Time
	// ID is what Entry.PageRef refers to.
	ID string
	// Title is the page's.
	Title string
	// PageTimings are its moments.
	PageTimings PageTimings
	Notes
}

// PageTimings are moments of a page, in milliseconds since it started; Unknown: it
// did not come to it.
type PageTimings struct {
	// OnContentLoad is when its document was read, OnLoad when it was loaded.
	OnContentLoad, OnLoad float64
	Notes
}

// Entry is one request and its response.
type Entry struct {
	// PageRef is the ID of its page; "": it belongs to none.
	PageRef string
	// StartedDateTime is when the request began.
	StartedDateTime time.Time
	// Time is how long it took, in milliseconds: the sum of the Timings.
	Time float64
	// Request is what was sent.
	Request Request
	// Response is what was answered.
	Response Response
	// Cache is what the cache held.
	Cache Cache
	// Timings are the phases.
	Timings Timings
	// ServerIPAddress is the address that was connected to; "": unknown.
	ServerIPAddress string
	// Connection names the connection among those of the log; "": unknown.
	Connection string
	Notes
}

// Request is a request as it was sent.
type Request struct {
	// Method, URL (absolute, without fragment) and HTTPVersion are those of its first
	// line.
	Method, URL, HTTPVersion string
	// Cookies are those that it carried.
	Cookies []Cookie
	// Headers are its fields.
	Headers []NameValue
	// QueryString are the parameters of the URL's query, decoded.
	QueryString []NameValue
	// PostData is the body; nil: none, or it was not recorded.
	PostData *PostData
	// HeadersSize and BodySize are the bytes that were sent; Unknown.
	HeadersSize, BodySize int64
	Notes
}

// Response is a response as it was received.
type Response struct {
	// Status is 0 where there was no response.
	Status int
	// StatusText and HTTPVersion are those of its first line; "": none.
	StatusText, HTTPVersion string
	// Cookies are those that it set.
	Cookies []Cookie
	// Headers are its fields.
	Headers []NameValue
	// Content is its body.
	Content Content
	// RedirectURL is the target of the Location field; "": there is none.
	RedirectURL string
	// HeadersSize and BodySize are the bytes that were received; Unknown.
	HeadersSize, BodySize int64
	Notes
}

// Cookie is one cookie of a request or of a response.
type Cookie struct {
	// Name and Value, and of one that was set the Path and Domain; "": not said.
	Name, Value, Path, Domain string
	// Expires is zero for a cookie of the session, or where it cannot be read.
	Expires time.Time
	// HTTPOnly and Secure are its attributes.
	HTTPOnly, Secure bool
	Notes
}

// NameValue is a header field, or a parameter of a query.
type NameValue struct {
	// Name and Value are as they were sent.
	Name, Value string
	Notes
}

// PostData is the body of a request: Params of a form, or Text.
type PostData struct {
	// MIMEType is its type, with parameters.
	MIMEType string
	// Params are the fields of a form.
	Params []Param
	// Text is the body.
	Text string
	// Encoding is that of Text, as Content has it. It is written as "_encoding": the
	// format has none here.
	Encoding string
	Notes
}

// Body is Text without its encoding.
func (p *PostData) Body() ([]byte, error) { return decodeText(p.Text, p.Encoding) }

// Param is a field of a form.
type Param struct {
	// Name and Value are decoded.
	Name, Value string
	// FileName and ContentType are those of a file in the form; "": it is none.
	FileName, ContentType string
	Notes
}

// Content is the body of a response, decoded.
type Content struct {
	// Size is the length of the body in bytes; Compression how many bytes coding has
	// saved (0: none, or unknown).
	Size, Compression int64
	// MIMEType is its type, with parameters.
	MIMEType string
	// Text is the body, if it was recorded; Encoding "base64" where it is no text.
	Text, Encoding string
	Notes
}

// Body is Text without its encoding.
func (c *Content) Body() ([]byte, error) { return decodeText(c.Text, c.Encoding) }

func decodeText(text, encoding string) ([]byte, error) {
	if encoding != "base64" {
		return []byte(text), nil
	}

	return base64.StdEncoding.DecodeString(text)
}

// Cache is what the cache held; nil: not known.
type Cache struct {
	// BeforeRequest is what it held then, AfterRequest what it held afterwards.
	BeforeRequest, AfterRequest *CacheEntry
	Notes
}

// CacheEntry is what a cache held of a response.
type CacheEntry struct {
	// Expires is when it becomes stale, LastAccess when it was opened last; zero: not
	// said.
	Expires, LastAccess time.Time
	// ETag is the response's.
	ETag string
	// HitCount is how often it was opened.
	HitCount int64
	Notes
}

// Timings are the phases of an entry in milliseconds; Unknown: it does not apply.
// Connect includes SSL.
type Timings struct {
	// Blocked is the time in a queue, DNS that of the name resolution, Connect that of
	// connecting, and SSL that of TLS.
	Blocked, DNS, Connect, SSL float64
	// Send, Wait and Receive are required by the format.
	Send, Wait, Receive float64
	Notes
}
