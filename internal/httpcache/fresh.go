package httpcache

import (
	"net/http"
	"strings"
	"time"

	"github.com/urlkit/urlkit/storage"
)

const (
	// longestHeuristic bounds a freshness lifetime that nobody told.
	longestHeuristic = 24 * time.Hour
	// oldest keeps sums of ages below forever.
	oldest = forever / 4
	// longestDate is that of RFC 850, with room.
	longestDate = 64
)

// entry is a stored response.
type entry = storage.CacheEntry

// Age is how old a stored response is (RFC 9111 §4.2.3). One that was stored later
// than now was stored by a clock that has been set back: nobody knows its age, which
// is forever.
func (r Rules) Age(e *entry, now time.Time) time.Duration {
	if now.Before(e.ResponseTime) {
		return forever
	}
	delay := max(e.ResponseTime.Sub(e.RequestTime), 0)
	apparent := time.Duration(0)
	if date, ok := r.date(e.Header); ok {
		apparent = max(e.ResponseTime.Sub(date), 0)
	}
	corrected := delay
	if r.on(Age) {
		corrected += ageField(e.Header["Age"])
	}

	return min(max(apparent, corrected), oldest) + min(now.Sub(e.ResponseTime), oldest)
}

// ageField is what Age says; what cannot be read does not count, and of a list the
// first member does (RFC 9111 §5.1).
func ageField(lines []string) time.Duration {
	if len(lines) == 0 {
		return 0
	}
	first, _, _ := strings.Cut(lines[0], ",")
	age, _ := parseSeconds(strings.Trim(first, " \t"))

	return age
}

// date is when the response was made; false: it does not say, and was made when it
// came (RFC 9110 §6.6.1).
func (r Rules) date(h http.Header) (time.Time, bool) {
	if !r.on(Date) {
		return time.Time{}, false
	}

	return parseDate(h["Date"])
}

// parseDate reads the first of the fields as an HTTP-date (RFC 9110 §5.6.7).
func parseDate(lines []string) (time.Time, bool) {
	if len(lines) == 0 || len(lines[0]) > longestDate {
		return time.Time{}, false
	}
	t, err := http.ParseTime(lines[0])

	return t, err == nil
}

// Lifetime is how long the response is fresh (RFC 9111 §4.2.1): as max-age says,
// else Expires, else a guess.
func (r Rules) Lifetime(e *entry, d *Directives) time.Duration {
	if d.Has(MaxAge) {
		return d.seconds[maxAge]
	}
	if expires, ok := e.Header["Expires"]; ok && r.on(Expires) {
		at, ok := parseDate(expires)
		if !ok {
			return 0 // "0", say, is in the past (RFC 9111 §5.3)
		}

		return max(at.Sub(r.made(e)), 0)
	}

	return r.heuristic(e, d)
}

// heuristic is a tenth of the time for which the response has not changed, where
// that may be guessed (RFC 9111 §4.2.2).
func (r Rules) heuristic(e *entry, d *Directives) time.Duration {
	if !heuristicallyCacheable(e.StatusCode) && !d.Has(Public) {
		return 0
	}
	modified, ok := parseDate(e.Header["Last-Modified"])
	if !ok || !r.on(LastModified) {
		return 0
	}

	return min(max(r.made(e).Sub(modified), 0)/10, longestHeuristic)
}

// explicit tells whether the response says itself how long it is fresh.
func (r Rules) explicit(h http.Header, d *Directives) bool {
	return d.Has(MaxAge) || len(h["Expires"]) > 0 && r.on(Expires)
}

// heuristicallyCacheable are the statuses of RFC 9110 §15.1. Of a scheme without
// statuses a response is as good as a 200.
func heuristicallyCacheable(status int) bool {
	switch status {
	case 0, 200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501:
		return true
	default:
		return false
	}
}

// Fresh tells whether a response that was just stored would be used again without
// being validated.
func (r Rules) Fresh(e *entry, now time.Time) bool {
	d := r.Response(e.Header)
	lifetime := r.Lifetime(e, &d)

	return lifetime > 0 && !d.Has(NoCache) && lifetime > r.Age(e, now)
}
