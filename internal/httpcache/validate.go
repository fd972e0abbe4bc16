package httpcache

import (
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urlkit/urlkit/storage"
)

// Validators are the fields that make a request a question about a stored response
// (RFC 9111 §4.3.1); both are "" where it has none.
func (r Rules) Validators(h http.Header) (ifNoneMatch, ifModifiedSince string) {
	if r.on(ETag) {
		ifNoneMatch = entityTag(h)
	}
	if r.on(LastModified) {
		if _, ok := parseDate(h["Last-Modified"]); ok {
			ifModifiedSince = h["Last-Modified"][0]
		}
	}

	return ifNoneMatch, ifModifiedSince
}

func (r Rules) hasValidator(h http.Header) bool {
	tag, date := r.Validators(h)

	return tag != "" || date != ""
}

// entityTag is the one ETag of a response (RFC 9110 §8.8.3); "": it has none, or
// what it has is malformed.
func entityTag(h http.Header) string {
	lines := h["Etag"]
	if len(lines) != 1 {
		return ""
	}
	opaque := strings.TrimPrefix(lines[0], "W/")
	if len(opaque) < 2 || opaque[0] != '"' || strings.IndexByte(opaque[1:], '"') != len(opaque)-2 {
		return ""
	}

	return lines[0]
}

// StrongValidator is what If-Range can name (RFC 9110 §13.1.5): a strong entity-tag,
// else a Last-Modified that is a minute older than the response (§8.8.2.2); "": there
// is none.
func (r Rules) StrongValidator(h http.Header) string {
	tag, modified := r.Validators(h)
	if tag != "" {
		if strings.HasPrefix(tag, "W/") {
			return ""
		}

		return tag
	}
	at, ok := parseDate(h["Last-Modified"])
	made, dated := r.date(h)
	if modified == "" || !ok || !dated || made.Sub(at) < time.Minute {
		return ""
	}

	return modified
}

// Confirms tells whether a 304 speaks of the stored response that was asked about
// (RFC 9111 §4.3.4): what validators it has are the same.
func (r Rules) Confirms(e *storage.CacheEntry, h http.Header) bool {
	tag, modified := r.Validators(h)
	ownTag, ownModified := r.Validators(e.Header)
	switch {
	case tag != "" && ownTag != "":
		return strings.TrimPrefix(tag, "W/") == strings.TrimPrefix(ownTag, "W/")
	case modified != "" && ownModified != "":
		return modified == ownModified
	default:
		return tag == "" || ownTag != ""
	}
}

// Updated is the stored response with the fields of a later one for the same body
// (RFC 9111 §3.2), which came just now.
func (r Rules) Updated(e *storage.CacheEntry, h http.Header, requested, came time.Time) *storage.CacheEntry {
	changed := *e
	changed.Header = e.Header.Clone()
	delete(changed.Header, "Age") // of the earlier one
	dropped := r.connectionFields(h)
	if !r.on(Connection) {
		dropped = nil
	}
	for name, lines := range h {
		if !r.bodys(name) && !slices.Contains(dropped, name) {
			changed.Header[name] = slices.Clone(lines)
		}
	}
	if _, ok := h["Date"]; !ok {
		delete(changed.Header, "Date")
	}
	d := r.Response(changed.Header)
	if d.Has(NoCacheFields) {
		for _, name := range d.fields {
			delete(changed.Header, name)
		}
	}
	if len(h["Content-Type"]) > 0 {
		changed.MIMEType, changed.TextEncodingName = contentType(h.Get("Content-Type"))
	}
	changed.RequestTime, changed.ResponseTime = requested.Round(0), came.Round(0)

	return &changed
}

// bodys tells which fields describe the stored body, or which request it is for: they
// stay as they are.
func (r Rules) bodys(name string) bool {
	switch name {
	case "Content-Length":
		return r.on(ContentLength)
	case "Content-Encoding":
		return r.on(ContentEncoding)
	case "Content-Range", "Transfer-Encoding", "Vary":
		return true
	default:
		return false
	}
}

func contentType(value string) (mediaType, charset string) {
	mediaType, params, err := mime.ParseMediaType(value)
	if mediaType == "" && err != nil {
		mediaType, _, _ = strings.Cut(value, ";")
		mediaType = strings.ToLower(strings.TrimSpace(mediaType))
	}

	return mediaType, strings.ToLower(params["charset"])
}

// HeadConfirms tells whether the answer to a HEAD speaks of the stored response (RFC
// 9111 §4.3.5): its status is the same, and so are its validators and its length, where
// both have them.
func (r Rules) HeadConfirms(e *storage.CacheEntry, status int, h http.Header) bool {
	if status != e.StatusCode {
		return false
	}
	tag, modified := r.Validators(h)
	ownTag, ownModified := r.Validators(e.Header)
	if tag != "" && tag != ownTag || modified != "" && modified != ownModified {
		return false
	}
	length := h.Get("Content-Length")

	return length == "" || e.Length < 0 || !r.on(ContentLength) || length == strconv.FormatInt(e.Length, 10)
}
