package file

import (
	"net/http"
	"strconv"
	"strings"
)

// prefersJSON tells whether Accept (RFC 9110 §12.5.1) prefers JSON to HTML.
func prefersJSON(h http.Header) bool {
	accept := strings.ToLower(strings.Join(h.Values("Accept"), ","))

	return quality(accept, "application/json") > quality(accept, "text/html")
}

// quality is the weight of a media type in an Accept field in lower case: that of
// the most specific range that it is in, 0 where there is none.
func quality(accept, mediaType string) float64 {
	kind, _, _ := strings.Cut(mediaType, "/")
	weight, best := 0.0, 0
	for element := range strings.SplitSeq(accept, ",") {
		name, parameters, _ := strings.Cut(element, ";")
		specific := 0
		switch strings.TrimSpace(name) {
		case mediaType:
			specific = 3
		case kind + "/*":
			specific = 2
		case "*/*":
			specific = 1
		}
		if q := weightOf(parameters); specific > best && q >= 0 {
			weight, best = q, specific
		}
	}

	return weight
}

// weightOf is the parameter q: 1 where it is absent, -1 where it is no weight.
func weightOf(parameters string) float64 {
	for p := range strings.SplitSeq(parameters, ";") {
		name, value, _ := strings.Cut(p, "=")
		if strings.TrimSpace(name) != "q" {
			continue
		}
		q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		if err != nil || !(q >= 0 && q <= 1) {
			return -1
		}

		return q
	}

	return 1
}
