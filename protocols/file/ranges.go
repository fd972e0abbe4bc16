package file

import (
	"math"
	"net/http"
	"strings"
)

// span is a part of a file, in bytes.
type span struct{ first, length int64 }

// rangeApplies tells whether If-Range, if there is one, names the file as it is
// (RFC 9110 §13.1.5): by its entity tag, or by its exact time of modification.
func rangeApplies(asked, is http.Header) bool {
	condition := strings.TrimSpace(asked.Get("If-Range"))

	return condition == "" || condition == is.Get("ETag") || condition == is.Get("Last-Modified")
}

// selectRange selects from a file of that size what the Range fields ask for:
// status 206 and the part, 416 and nothing, or 0 and the whole file where they
// ask for none or several, or cannot be parsed (RFC 9110 §14.2 allows to ignore
// them).
func selectRange(fields []string, size int64) (status int, part span) {
	whole := span{length: size}
	if len(fields) != 1 {
		return 0, whole
	}
	unit, set, _ := strings.Cut(fields[0], "=")
	first, last, found := strings.Cut(strings.Trim(set, " \t"), "-")
	if !strings.EqualFold(unit, "bytes") || !found {
		return 0, whole
	}
	from, fromOK := parsePosition(first)
	to, toOK := parsePosition(last)
	switch {
	case first == "" && toOK: // the last bytes
		if to == 0 {
			return http.StatusRequestedRangeNotSatisfiable, span{}
		}
		if size == 0 {
			return 0, whole // satisfiable, but no Content-Range can say so
		}
		length := min(to, size)

		return http.StatusPartialContent, span{size - length, length}
	case !fromOK || last != "" && (!toOK || to < from):
		return 0, whole
	case from >= size:
		return http.StatusRequestedRangeNotSatisfiable, span{}
	case last == "" || to >= size:
		return http.StatusPartialContent, span{from, size - from}
	default:
		return http.StatusPartialContent, span{from, to - from + 1}
	}
}

// parsePosition parses digits; a number too large is the largest there is.
func parsePosition(s string) (n int64, ok bool) {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
		if n > (math.MaxInt64-9)/10 {
			n = math.MaxInt64

			continue
		}
		n = n*10 + int64(c-'0')
	}

	return n, s != ""
}
