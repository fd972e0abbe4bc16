package httpcache

import (
	"math"
	"net/http"
	"strings"
	"time"
)

const (
	// longestDirectives bounds the Cache-Control fields of a message, in bytes. Longer
	// ones are not read: the response is not stored.
	longestDirectives = 16 << 10
	// mostSeconds is what a larger number of seconds counts as (RFC 9111 §1.2.2).
	mostSeconds = 1 << 31
	// forever is longer than anything is fresh.
	forever = time.Duration(math.MaxInt64)
)

// Directives are those of a message's Cache-Control (RFC 9111 §5.2).
type Directives struct {
	set     Name
	seconds [numbers]time.Duration // the arguments
	fields  []string               // that no-cache names
}

// The places of the arguments that are numbers.
const (
	noNumber = iota
	maxAge
	maxStale
	minFresh
	staleWhileRevalidate
	staleIfError

	numbers
)

// Has tells whether a directive is there, with an argument that can be used where it
// needs one.
func (d *Directives) Has(n Name) bool { return d.set&n != 0 }

// directive is how one is read. Its argument is a number of seconds where it has a
// place for one; without one, or with a malformed one, it counts as missing, unless that is
// negative: then the directive does not count.
type directive struct {
	text    string
	name    Name
	place   int
	missing time.Duration
	broken  time.Duration
}

// What is malformed is taken in the sense that asks the origin sooner: a max-age
// that is no number is 0 (RFC 9111 §4.2.1).
var (
	ofResponse = []directive{
		{"max-age", MaxAge, maxAge, 0, 0},
		{"no-cache", NoCache, noNumber, 0, 0},
		{"no-store", NoStore, noNumber, 0, 0},
		{"private", Private, noNumber, 0, 0},
		{"public", Public, noNumber, 0, 0},
		{"must-revalidate", MustRevalidate, noNumber, 0, 0},
		{"must-understand", MustUnderstand, noNumber, 0, 0},
		{"immutable", Immutable, noNumber, 0, 0},
		{"stale-while-revalidate", StaleWhileRevalidate, staleWhileRevalidate, -1, -1},
		{"stale-if-error", StaleIfError, staleIfError, -1, -1},
	}
	ofRequest = []directive{
		{"max-age", RequestMaxAge, maxAge, 0, 0},
		{"max-stale", RequestMaxStale, maxStale, forever, -1},
		{"min-fresh", RequestMinFresh, minFresh, forever, forever},
		{"no-cache", RequestNoCache, noNumber, 0, 0},
		{"no-store", RequestNoStore, noNumber, 0, 0},
		{"only-if-cached", RequestOnlyIfCached, noNumber, 0, 0},
		{"stale-if-error", RequestStaleIfError, staleIfError, -1, -1},
	}
)

// Response reads the directives of a response.
func (r Rules) Response(h http.Header) Directives {
	return r.directives(h["Cache-Control"], ofResponse, NoStore|NoCache)
}

// Request reads the directives of a request. Pragma counts where there is no
// Cache-Control (RFC 9111 §5.4).
func (r Rules) Request(h http.Header) Directives {
	lines := h["Cache-Control"]
	d := r.directives(lines, ofRequest, RequestNoStore|RequestNoCache)
	if len(lines) > 0 || !r.on(Pragma) {
		return d
	}
	for _, line := range h["Pragma"] {
		for name := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(name), "no-cache") {
				d.set |= RequestNoCache
			}
		}
	}

	return d
}

func (r Rules) directives(lines []string, known []directive, hostile Name) (d Directives) {
	length := 0
	for _, line := range lines {
		if length += len(line); length > longestDirectives {
			return Directives{set: hostile}
		}
	}
	for _, line := range lines {
		for line != "" {
			var e element
			if e, line = nextElement(line); e.name != "" {
				d.add(&e, known)
			}
		}
	}
	d.set &^= r.off

	return d
}

// add takes in one directive. Of several of a name the first counts (RFC 9111
// §4.2.1).
func (d *Directives) add(e *element, known []directive) {
	for i := range known {
		k := &known[i]
		if !strings.EqualFold(e.name, k.text) {
			continue
		}
		switch {
		case k.name == NoCache && e.argued && !e.malformed && fieldNames(e.argument) != nil:
			d.set |= NoCacheFields
			d.fields = append(d.fields, fieldNames(e.argument)...)
		case k.place == noNumber:
			d.set |= k.name // whatever its argument is
		case !d.Has(k.name):
			value := e.seconds(k)
			if value >= 0 {
				d.set |= k.name
				d.seconds[k.place] = value
			}
		}

		return
	}
}

func (e *element) seconds(k *directive) time.Duration {
	if !e.argued && !e.malformed {
		return k.missing
	}
	seconds, ok := parseSeconds(e.argument)
	if !ok || e.malformed {
		return k.broken
	}

	return seconds
}

// fieldNames are the names in a list (RFC 9110 §5.6.1), in canonical form; nil where
// one is no token, or there is none.
func fieldNames(list string) []string {
	var names []string
	for name := range strings.SplitSeq(list, ",") {
		name = strings.Trim(name, " \t")
		if name == "" {
			continue
		}
		if tokenEnd(name) != len(name) {
			return nil
		}
		names = append(names, http.CanonicalHeaderKey(name))
	}

	return names
}

// parseSeconds reads delta-seconds (RFC 9111 §1.2.2).
func parseSeconds(s string) (time.Duration, bool) {
	if s == "" {
		return 0, false
	}
	var n int64
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = min(10*n+int64(s[i]-'0'), mostSeconds)
	}

	return time.Duration(n) * time.Second, true
}

// element is one member of Cache-Control.
type element struct {
	name, argument string // the argument without its quotation marks
	argued         bool
	malformed      bool // something stands there that does not belong
}

// nextElement takes the first element off a line: token [ "=" ( token /
// quoted-string ) ].
func nextElement(line string) (e element, rest string) {
	line = strings.TrimLeft(line, ", \t")
	end := tokenEnd(line)
	e.name, line = line[:end], line[end:]
	if strings.HasPrefix(line, "=") {
		e.argued = true
		line = line[1:]
		if strings.HasPrefix(line, `"`) {
			end, closed := quotedEnd(line)
			e.malformed = !closed
			if closed {
				e.argument = line[1 : end-1]
			}
			line = line[end:]
		} else {
			end := tokenEnd(line)
			e.argument, line = line[:end], line[end:]
			e.malformed = end == 0
		}
	}
	line = strings.TrimLeft(line, " \t")
	for line != "" && line[0] != ',' { // up to the comma, but for those in quotation marks
		e.malformed = true
		step := 1
		if line[0] == '"' {
			step, _ = quotedEnd(line)
		}
		line = line[step:]
	}

	return e, line
}

// quotedEnd is where the quoted-string that s begins with has ended, and whether its
// end is there.
func quotedEnd(s string) (end int, closed bool) {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i + 1, true
		}
	}

	return len(s), false
}

// tokenEnd is the length of the token that s begins with (RFC 9110 §5.6.2).
func tokenEnd(s string) int {
	for i := range len(s) {
		c := s[i]
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && (c < '0' || c > '9') && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return i
		}
	}

	return len(s)
}
