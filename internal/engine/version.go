package engine

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// version is what tells one version of a representation from another: its
// validators (RFC 9110 §8.8).
type version struct {
	etag     string
	modified string
	strong   bool // modified is a strong validator
}

// surely is how long before its response a representation must have been modified,
// so that it was surely not again in the same second, by another clock perhaps (RFC
// 9110 §8.8.2.2).
const surely = time.Minute

func versionOf(header http.Header) version {
	v := version{etag: strings.Trim(header.Get("ETag"), " \t"), modified: strings.Trim(header.Get("Last-Modified"), " \t")}
	modified, err := http.ParseTime(v.modified)
	date, dateErr := http.ParseTime(header.Get("Date"))
	v.strong = err == nil && dateErr == nil && date.Sub(modified) >= surely

	return v
}

// ifRange is the If-Range field that asks for this version; "": it has no strong
// validator. A date does not stand in for a weak tag (RFC 9110 §13.1.5).
func (v version) ifRange() string {
	switch {
	case len(v.etag) >= 2 && strings.HasPrefix(v.etag, `"`) && strings.HasSuffix(v.etag, `"`):
		return v.etag
	case v.etag == "" && v.strong:
		return v.modified
	default:
		return ""
	}
}

// same tells whether a piece that was asked for by v's If-Range is of v. It need not
// repeat its date, but its tag (RFC 9110 §15.3.7).
func (v version) same(piece version) bool {
	if v.etag != "" || piece.etag != "" {
		return v.etag == piece.etag
	}

	return piece.modified == "" || piece.modified == v.modified
}

// contentRange is where a part stands: from start to before end, of total bytes; -1:
// unknown.
type contentRange struct{ start, end, total int64 }

// parseContentRange reads a Content-Range of bytes (RFC 9110 §14.4). One that says
// that no range could be served is none.
func parseContentRange(header http.Header) (contentRange, bool) {
	values := header["Content-Range"]
	if len(values) != 1 {
		return contentRange{}, false
	}
	unit, value, _ := strings.Cut(strings.Trim(values[0], " \t"), " ")
	if !strings.EqualFold(unit, "bytes") {
		return contentRange{}, false
	}
	span, complete, ok := strings.Cut(strings.Trim(value, " "), "/")
	first, last, ok2 := strings.Cut(span, "-")
	if !ok || !ok2 {
		return contentRange{}, false
	}
	r := contentRange{total: -1}
	start, ok := position(first)
	end, ok2 := position(last)
	if !ok || !ok2 || end < start {
		return contentRange{}, false
	}
	r.start, r.end = start, end+1
	if complete != "*" {
		if r.total, ok = position(complete); !ok || r.total < r.end {
			return contentRange{}, false
		}
	}

	return r, true
}

// position is a number of digits alone.
func position(text string) (int64, bool) {
	n, err := strconv.ParseInt(text, 10, 64)

	return n, err == nil && n < 1<<62 && text[0] >= '0' && text[0] <= '9'
}
