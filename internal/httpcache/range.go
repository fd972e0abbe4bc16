package httpcache

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/urlkit/urlkit/storage"
)

// Part is a stretch of a body: of a whole of Length bytes those from Start up to, but
// not including, End.
type Part struct{ Start, End, Length int64 }

// String is the part as Content-Range names it (RFC 9110 §14.4).
func (p Part) String() string {
	return "bytes " + strconv.FormatInt(p.Start, 10) + "-" + strconv.FormatInt(p.End-1, 10) + "/" + strconv.FormatInt(p.Length, 10)
}

// parseRange reads a Range field that asks for one range of bytes of a body (RFC 9110
// §14.2); false: it asks for something else, or for what the body does not have.
func parseRange(field string, length int64) (p Part, ok bool) {
	unit, set, found := strings.Cut(field, "=")
	if !found || !strings.EqualFold(strings.Trim(unit, " \t"), "bytes") {
		return p, false
	}
	first, last, found := strings.Cut(strings.Trim(set, " \t"), "-")
	if !found {
		return p, false
	}
	p.Length, p.End = length, length
	if first == "" { // the last bytes
		n, ok := parseOffset(last)
		p.Start = max(length-n, 0)

		return p, ok && n > 0 && length > 0
	}
	if p.Start, ok = parseOffset(first); !ok || p.Start >= length {
		return p, false
	}
	if last != "" {
		n, ok := parseOffset(last)
		if !ok || n < p.Start {
			return p, false
		}
		p.End = min(n, length-1) + 1
	}

	return p, true
}

// ContentRangeOf reads the Content-Range of a response with one part of a body whose
// length is known; false: it has none that can be used.
func (r Rules) ContentRangeOf(h http.Header) (p Part, ok bool) {
	lines := h["Content-Range"]
	if len(lines) != 1 || !r.on(ContentRange) {
		return p, false
	}

	return parseContentRange(lines[0])
}

func parseContentRange(field string) (p Part, ok bool) {
	unit, rest, _ := strings.Cut(field, " ")
	extent, length, found := strings.Cut(rest, "/")
	first, last, dash := strings.Cut(extent, "-")
	if !strings.EqualFold(unit, "bytes") || !found || !dash {
		return p, false
	}
	start, ok1 := parseOffset(first)
	end, ok2 := parseOffset(last)
	whole, ok3 := parseOffset(length)

	return Part{start, end + 1, whole}, ok1 && ok2 && ok3 && start <= end && end < whole
}

// parseOffset reads a number of at most 18 digits: no body is longer.
func parseOffset(s string) (int64, bool) {
	if s == "" || len(s) > 18 {
		return 0, false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)

	return n, err == nil
}

// covers tells whether all of a part is stored.
func covers(e *entry, p Part) bool {
	for _, have := range e.Parts {
		if have.Start <= p.Start && p.End <= have.End {
			return true
		}
	}

	return false
}

// beginning is how much of an incomplete body is stored from its start on.
func beginning(e *entry) int64 {
	if len(e.Parts) == 0 || e.Parts[0].Start != 0 {
		return 0
	}

	return e.Parts[0].End
}

// part is what of a stored body a Range field asks for; false: the store does not
// have it, or must not give it. A part of a coded body is of no use to who asks for
// none.
func (r Rules) part(q *Query, e *entry) (Part, bool) {
	lines := q.Header["Range"]
	if len(lines) != 1 || e.StatusCode != http.StatusOK || e.Length < 0 || len(e.Header["Content-Encoding"]) > 0 {
		return Part{}, false
	}
	if condition := q.Header.Get("If-Range"); condition != "" && r.on(IfRange) && condition != r.StrongValidator(e.Header) {
		return Part{}, false
	}
	p, ok := parseRange(lines[0], e.Length)

	return p, ok && covers(e, p)
}

// SameVersion tells whether two responses are parts of the same body (RFC 9111
// §3.4): they share a strong validator, and the length.
func (r Rules) SameVersion(e *storage.CacheEntry, h http.Header, p Part) bool {
	validator := r.StrongValidator(e.Header)

	return validator != "" && e.Length == p.Length && r.StrongValidator(h) == validator
}
