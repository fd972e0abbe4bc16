package protocols

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Request is a URL load request (Apple's URLRequest). The zero values of its
// settings are the defaults: for durations and limits 0 means the session's
// default and a negative value none. A protocol never changes the request it is
// given. A Request may be used for several loads, one after another or at once;
// it must not be changed while one runs.
type Request struct {
	// Method is the method; "" means GET. The names of RFC 9110 are matched in
	// any case, others are sent as written.
	Method string
	// URL is the absolute URL. Its value is shared, by the request's clones and for a
	// moment after a load was cancelled too: set another one, do not change it.
	URL *url.URL
	// Header holds the app's header fields; they win over what a session adds.
	Header http.Header
	// Body is the request's body; nil: none.
	Body *Body

	// Credential is set by the session after a challenge, for schemes that have
	// no header fields to carry one.
	Credential *Credential
	// Route is set by the session for each hop.
	Route Route
	// DefaultPort is set by the session from the Scheme; HostPort uses it.
	DefaultPort int
	// Bind, if not "", asks for a connection of its own, over HTTP/1.1: schemes
	// that authenticate the connection (NTLM, Negotiate) need it.
	Bind string
	// Trace collects timings; nil: nobody asks. Set by the session for each hop.
	Trace *Trace
	// Reprioritization tells of changes of Priority while the load runs; nil: there are
	// none. Set by the session for each hop of a task.
	Reprioritization *Reprioritization

	// CachePolicy says how a cache may be used (Apple's cachePolicy).
	CachePolicy CachePolicy
	// Timeout is the longest time with no byte moving (Apple's timeoutInterval).
	Timeout time.Duration
	// MainDocumentURL is the document that the load belongs to; cookie policy
	// asks for it. nil: the URL itself.
	MainDocumentURL *url.URL
	// OmitsCookies: neither send stored cookies nor store received ones (the
	// opposite of Apple's httpShouldHandleCookies).
	OmitsCookies bool
	// CookiePartition is the key of a partitioned cookie store (Apple's
	// cookiePartitionIdentifier). A response that is stored is for requests of the same
	// partition.
	CookiePartition string
	// NetworkServiceType hints at the kind of traffic.
	NetworkServiceType NetworkServiceType
	// Priority is the relative priority when the load begins, 0 < Priority <= 1; 0 means
	// 0.5.
	Priority float64
	// RefusesCellular, RefusesExpensiveNetwork and RefusesConstrainedNetwork forbid
	// kinds of paths (the opposites of Apple's allows... properties), beside what the
	// session forbids. Where the path is of such a kind the load fails, or waits for
	// another (Error.NetworkUnavailableReason).
	RefusesCellular           bool
	RefusesExpensiveNetwork   bool
	RefusesConstrainedNetwork bool
	// AssumesHTTP3Capable lets HTTP/3 be tried without having been discovered.
	AssumesHTTP3Capable bool
	// AllowsPersistentDNS allows DNS answers to be used past their time to live, while
	// they are looked up anew.
	AllowsPersistentDNS bool
	// RequiresDNSSEC fails the load unless the DNS answers validate.
	RequiresDNSSEC bool
	// Attribution says who asks, the developer or the user. It is kept and has no
	// effect.
	Attribution Attribution
	// Media and WebContent name the purpose of the load for the two App Transport
	// Security keys that apply to such loads only
	// (NSAllowsArbitraryLoadsForMedia, NSAllowsArbitraryLoadsInWebContent).
	Media, WebContent bool
	// Nested is set by the session: the load is made inside a callback, which tasks
	// that have connections may be waiting for. A limit on connections must not hold
	// it up.
	Nested bool

	properties map[string]any
}

// NewRequest makes a request from a method, a URL string and a body (nil for
// none). A URL that cannot be parsed, or that has no scheme, is an *Error with
// Code BadURL. Leading and trailing blanks of the URL are dropped.
func NewRequest(method, rawURL string, body *Body) (*Request, error) {
	u, err := parseURL(rawURL)
	if err != nil {
		return nil, err
	}

	return &Request{Method: method, URL: u, Header: make(http.Header), Body: body}, nil
}

// parseURL keeps a data: URL as it is written: its path is data, which
// url.Parse would refuse for a control character or a stray percent sign.
func parseURL(raw string) (*url.URL, error) {
	raw = strings.TrimFunc(raw, func(r rune) bool { return r <= ' ' })
	if len(raw) >= 5 && strings.EqualFold(raw[:5], "data:") {
		rest, fragment, _ := strings.Cut(raw[5:], "#")

		return &url.URL{Scheme: "data", Opaque: rest, Fragment: fragment}, nil
	}
	u, err := url.Parse(raw)
	if err != nil {
		// url.Error quotes the URL, user info included: keep only the reason.
		if ue, ok := err.(*url.Error); ok { //nolint:errorlint // url.Parse returns it bare
			err = ue.Err
		}
		if strings.Contains(raw, "@") {
			// The reason quotes what it stumbled over, a part of a password perhaps.
			err = errors.New(unquoted(err.Error()))
		}

		return nil, &Error{Code: BadURL, Op: "parse", Err: err}
	}
	if u.Scheme == "" {
		place := strings.TrimPrefix(Redact(u), "//")
		place = place[strings.LastIndexByte(place, '@')+1:] // user info in disguise

		return nil, &Error{
			Code: BadURL, Op: "parse", URL: place,
			Err: fmt.Errorf("the URL has no scheme (did you mean https://%s?)", place),
		}
	}

	return u, nil
}

// unquoted is a text without what stands between its first and last quotation
// marks.
func unquoted(s string) string {
	first, last := strings.IndexByte(s, '"'), strings.LastIndexByte(s, '"')
	if first == last {
		return s
	}

	return s[:first] + "..." + s[last+1:]
}

// Clone returns a copy with header fields, URLs and properties of its own. The
// body is shared: it is a factory.
func (r *Request) Clone() *Request {
	c := *r
	c.URL = cloneURL(r.URL)
	c.MainDocumentURL = cloneURL(r.MainDocumentURL)
	c.Header = r.Header.Clone()
	c.properties = maps.Clone(r.properties)

	return &c
}

func cloneURL(u *url.URL) *url.URL {
	if u == nil {
		return nil
	}
	c := *u

	return &c
}

// HostPort is the host and port of the URL, joined for dialling, with the
// scheme's default port where the URL names none.
func (r *Request) HostPort() string {
	if r.URL == nil {
		return ""
	}
	port := r.URL.Port()
	if port == "" {
		port = strconv.Itoa(r.DefaultPort)
	}

	return net.JoinHostPort(r.URL.Hostname(), port)
}

// OpenBody opens the body from its start; nil for a request without one. The
// caller closes it, and opens no second reader before.
func (r *Request) OpenBody() (io.ReadCloser, error) {
	if r.Body == nil {
		return nil, nil
	}

	return r.Body.OpenAt(0)
}

// WriteBody opens the body, writes it to w and closes it. A request without a
// body writes nothing. A body that is shorter than its Length is
// io.ErrUnexpectedEOF.
func (r *Request) WriteBody(w io.Writer) error {
	body, err := r.OpenBody()
	if body == nil || err != nil {
		return err
	}
	_, err = io.Copy(w, body)
	if cerr := body.Close(); err == nil {
		err = cerr
	}

	return err
}

// Property returns the value that SetProperty stored under key, or nil (Apple's
// URLProtocol.property(forKey:in:)). Properties travel with copies of the
// request and never go on the wire. Keys should be namespaced.
func (r *Request) Property(key string) any { return r.properties[key] }

// SetProperty stores a value under key. Clone gives the copy properties of its
// own; a copy by assignment shares them. A protocol sets properties on a Clone
// only.
func (r *Request) SetProperty(key string, value any) {
	if r.properties == nil {
		r.properties = make(map[string]any, 1)
	}
	r.properties[key] = value
}

// RemoveProperty removes what SetProperty stored under key.
func (r *Request) RemoveProperty(key string) { delete(r.properties, key) }

// String gives the method and the URL, without user info and query.
func (r *Request) String() string {
	method := r.Method
	if method == "" {
		method = http.MethodGet
	}

	return method + " " + Redact(r.URL)
}

// Validate reports what makes the request impossible to send: no URL, a method
// or a field name that is no token (RFC 9110 §5.6.2), a field value, or a part of
// the URL that is sent as it is written, with a control character in it (CR and
// LF would split the message), a body of other than its length. A session calls
// it before each hop, so that no protocol has to.
func (r *Request) Validate() error {
	if r.URL == nil {
		return &Error{Code: UnsupportedURL, Op: "load", Err: fmt.Errorf("the request has no URL")}
	}
	// The path is escaped where it is sent; these are not. A data URL is not sent.
	if u := r.URL; !isFieldValue(u.Host) || !isFieldValue(u.RawQuery) || !isFieldValue(u.Opaque) && !strings.EqualFold(u.Scheme, "data") {
		return fmt.Errorf("%w: the URL holds a control character", BadURL)
	}
	if b := r.Body; b != nil && b.Open == nil && b.File == "" && b.Length > 0 && b.Length != int64(len(b.Bytes)) {
		return fmt.Errorf("%w: the body's Length is %d and its Bytes are %d", RequestBodyStreamExhausted, b.Length, len(b.Bytes))
	}
	if r.Method != "" && !isToken(r.Method) {
		return fmt.Errorf("%w: the method %q is not a token", BadURL, r.Method)
	}
	for name, values := range r.Header {
		if !isToken(name) {
			return fmt.Errorf("%w: the header field name %q is not a token", BadURL, name)
		}
		for _, v := range values {
			if !isFieldValue(v) {
				// The value may be a secret: only its name is told.
				return fmt.Errorf("%w: the value of header field %s holds a control character", BadURL, name)
			}
		}
	}

	return nil
}

func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && !('0' <= c && c <= '9') && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}

	return s != ""
}

func isFieldValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}

	return true
}
