package httpcache

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/storage"
)

// Query is a request as a cache sees it.
type Query struct {
	// Key is the primary key.
	Key string
	// Method is the method, Header the request's fields. Defaults are those that its
	// protocol adds where it lacks them.
	Method           string
	Header, Defaults http.Header
	// Partition is the request's CookiePartition: what was loaded in one is for no
	// other, since the cookies are others.
	Partition string
	// Policy is the request's, or the session's.
	Policy protocols.CachePolicy
}

const (
	longestVary = 8 << 10
	mostVary    = 64 // names
	// partition stands for a query's Partition among fields: no Vary can name it.
	partition = ":partition"
)

// varyNames are the fields that choose among a key's responses (RFC 9111 §4.1), in
// canonical form; false: nothing can tell which request a response is for, or they
// are too many. A coded response is for who accepts that, though Vary may not say so.
func (r Rules) varyNames(h http.Header) (names []string, ok bool) {
	if len(h["Content-Encoding"]) > 0 && r.on(ContentEncoding) {
		names = append(names, "Accept-Encoding")
	}
	lines := h["Vary"]
	if !r.on(Vary) {
		return names, true
	}
	length := 0
	for _, line := range lines {
		if length += len(line); length > longestVary {
			return nil, false
		}
		for name := range strings.SplitSeq(line, ",") {
			name = strings.Trim(name, " \t")
			if name == "" {
				continue
			}
			if name == "*" || tokenEnd(name) != len(name) || len(names) >= mostVary {
				return nil, false
			}
			names = append(names, http.CanonicalHeaderKey(name))
		}
	}

	return names, true
}

// field is what a request has in a field, its lines joined (RFC 9110 §5.3) and a
// secret hidden: a store need not keep it to compare it.
func (q *Query) field(name string) string {
	lines, ok := q.Header[name]
	if !ok && (name != "Accept-Encoding" || len(q.Header["Range"]) == 0) { // a part of a coded body is of no use
		lines = q.Defaults[name]
	}
	value := ""
	switch len(lines) {
	case 0:
	case 1:
		value = strings.Trim(lines[0], " \t")
	default:
		value = strings.Join(lines, ", ")
	}
	switch name {
	case "Authorization", "Cookie", "Proxy-Authorization":
		if value != "" {
			value = digest(value)
		}
	}

	return value
}

func digest(value string) string {
	sum := sha256.Sum256([]byte(value))

	return "sha256:" + hex.EncodeToString(sum[:])
}

// setVariant notes which requests of its key a response is for.
func (r Rules) setVariant(q *Query, e *storage.CacheEntry, d *Directives) {
	names, _ := r.varyNames(e.Header)
	var fields http.Header // of most responses it stays empty
	note := func(name, value string) {
		if fields == nil {
			fields = make(http.Header)
		}
		fields[name] = []string{value}
	}
	for _, name := range names {
		if value := q.field(name); value != "" {
			note(name, value)
		}
	}
	if r.on(Authorization) && !forAll(d) {
		if value := q.field("Authorization"); value != "" {
			note("Authorization", value)
			names = append(names, "Authorization")
		}
	}
	if q.Partition != "" {
		note(partition, q.Partition)
		names = append(names, partition)
	}
	if e.VaryFields = fields; len(names) == 0 {
		return
	}
	slices.Sort(names)
	var all strings.Builder
	for _, name := range slices.Compact(names) {
		all.WriteString(name + ": " + strings.Join(fields[name], "") + "\n")
	}
	e.Variant = digest(all.String())
}

// answers tells whether a stored response is one for the request (RFC 9111 §4.1).
// One that was asked for with a credential is for that credential, unless it says
// that others may have it (§3.5): a process may load for several people.
func (r Rules) answers(q *Query, e *entry, d *Directives) bool {
	if q.Partition != strings.Join(e.VaryFields[partition], "") {
		return false
	}
	names, ok := r.varyNames(e.Header)
	if !ok {
		return false
	}
	for _, name := range names {
		if q.field(name) != e.VaryFields.Get(name) {
			return false
		}
	}
	if r.on(Authorization) && !forAll(d) {
		return q.field("Authorization") == e.VaryFields.Get("Authorization")
	}

	return true
}

// Select is the stored response for the request: of several the latest (RFC 9111
// §4.1); nil: there is none.
func (r Rules) Select(q *Query, entries []*storage.CacheEntry) (*storage.CacheEntry, Directives) {
	var selected *entry
	var directives Directives
	for _, e := range entries {
		d := r.Response(e.Header)
		if r.answers(q, e, &d) && (selected == nil || r.made(e).After(r.made(selected))) {
			selected, directives = e, d
		}
	}

	return selected, directives
}

// made is when a stored response was made.
func (r Rules) made(e *entry) time.Time {
	if date, ok := r.date(e.Header); ok {
		return date
	}

	return e.ResponseTime
}
