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

// Custom are the fields of an object whose names begin with "_". nil: none.
type Custom map[string]json.RawMessage

// Log is a recording: its entries and what is said of them.
type Log struct {
	// Version is that of the format; "" is written as Version.
	Version string
	// Creator is the program that made the log, Browser what it watched; nil: not said.
	Creator Creator
	Browser *Creator
	// Pages are the pages that entries belong to. May be empty.
	Pages []Page
	// Entries are the requests with their responses, in no certain order.
	Entries []Entry
	Comment string
	Custom  Custom
}

// Creator is a program.
type Creator struct {
	Name, Version string
	Comment       string
	Custom        Custom
}

// Page is a page that a browser has loaded.
type Page struct {
	StartedDateTime time.Time
	// ID is what Entry.PageRef refers to.
	ID          string
	Title       string
	PageTimings PageTimings
	Comment     string
	Custom      Custom
}

// PageTimings are moments of a page, in milliseconds since it started; Unknown: it
// did not come to it.
type PageTimings struct {
	OnContentLoad, OnLoad float64
	Comment               string
	Custom                Custom
}

// Entry is one request and its response.
type Entry struct {
	// PageRef is the ID of its page; "": it belongs to none.
	PageRef         string
	StartedDateTime time.Time
	// Time is how long it took, in milliseconds: the sum of the Timings.
	Time     float64
	Request  Request
	Response Response
	Cache    Cache
	Timings  Timings
	// ServerIPAddress is the address that was connected to; "": unknown.
	ServerIPAddress string
	// Connection names the connection among those of the log; "": unknown.
	Connection string
	Comment    string
	Custom     Custom
}

// Request is a request as it was sent.
type Request struct {
	Method, URL, HTTPVersion string
	Cookies                  []Cookie
	Headers                  []NameValue
	QueryString              []NameValue
	// PostData is the body; nil: none, or it was not recorded.
	PostData *PostData
	// HeadersSize and BodySize are the bytes that were sent; Unknown.
	HeadersSize, BodySize int64
	Comment               string
	Custom                Custom
}

// Response is a response as it was received.
type Response struct {
	// Status is 0 where there was no response.
	Status                  int
	StatusText, HTTPVersion string
	Cookies                 []Cookie
	Headers                 []NameValue
	Content                 Content
	// RedirectURL is the target of the Location field; "": there is none.
	RedirectURL string
	// HeadersSize and BodySize are the bytes that were received; Unknown.
	HeadersSize, BodySize int64
	Comment               string
	Custom                Custom
}

// Cookie is one cookie of a request or of a response.
type Cookie struct {
	Name, Value, Path, Domain string
	// Expires is zero for a cookie of the session, or where it cannot be read.
	Expires          time.Time
	HTTPOnly, Secure bool
	Comment          string
	Custom           Custom
}

// NameValue is a header field, or a parameter of a query.
type NameValue struct {
	Name, Value string
	Comment     string
	Custom      Custom
}

// PostData is the body of a request: Params of a form, or Text.
type PostData struct {
	MIMEType string
	Params   []Param
	Text     string
	// Encoding is that of Text, as Content has it. It is written as "_encoding": the
	// format has none here.
	Encoding string
	Comment  string
	Custom   Custom
}

// Body is Text without its encoding.
func (p *PostData) Body() ([]byte, error) { return decodeText(p.Text, p.Encoding) }

// Param is a field of a form.
type Param struct {
	Name, Value string
	// FileName and ContentType are those of a file in the form; "": it is none.
	FileName, ContentType string
	Comment               string
	Custom                Custom
}

// Content is the body of a response, decoded.
type Content struct {
	// Size is the length of the body in bytes; Compression how many bytes coding has
	// saved (0: none, or unknown).
	Size, Compression int64
	MIMEType          string
	// Text is the body, if it was recorded; Encoding "base64" where it is no text.
	Text, Encoding string
	Comment        string
	Custom         Custom
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
	BeforeRequest, AfterRequest *CacheEntry
	Comment                     string
	Custom                      Custom
}

// CacheEntry is what a cache held of a response.
type CacheEntry struct {
	Expires, LastAccess time.Time
	ETag                string
	HitCount            int64
	Comment             string
	Custom              Custom
}

// Timings are the phases of an entry in milliseconds; Unknown: it does not apply.
// Connect includes SSL.
type Timings struct {
	Blocked, DNS, Connect, SSL float64
	// Send, Wait and Receive are required by the format.
	Send, Wait, Receive float64
	Comment             string
	Custom              Custom
}
