package cache

import (
	"container/list"
	"net/http"
	"slices"

	"github.com/urlkit/urlkit/storage"
)

// maxStretches bounds the pieces in which a body is stored: a reader opens those
// of a part at once.
const maxStretches = 64

// record is a stored response with what its tier knows of the body. It is
// immutable but for place and charged, which are the memory's.
type record struct {
	entry     *storage.CacheEntry
	stretches []stretch
	stored    int64 // an instant
	head      *head // on disk; nil: in memory alone

	place   *list.Element
	charged int64
}

// stretch is a piece of a body: the bytes from base on, of which those from start
// to end count. Its bytes are in a file, or in the head, or in memory.
type stretch struct {
	start, end int64
	base       int64
	length     int64  // of all its bytes
	file       string // "": in data, which on disk is the head's
	data       []byte
}

// insert adds a stretch. Where others have bytes in common with it, theirs count,
// but for those that it covers whole, which are dropped. It returns nil where the
// others have all.
func insert(stretches []stretch, added stretch) []stretch {
	result := make([]stretch, 0, len(stretches)+1)
	for _, s := range stretches {
		switch {
		case s.start <= added.start && s.end >= added.end:
			return nil
		case s.start >= added.start && s.end <= added.end:
			continue
		case s.start < added.start && s.end > added.start:
			added.start = s.end
		case s.start < added.end && s.end > added.end:
			added.end = s.start
		}
		result = append(result, s)
	}
	if added.start >= added.end { // what its two neighbours leave
		return nil
	}
	at, _ := slices.BinarySearchFunc(result, added.start, func(s stretch, start int64) int { return int(min(max(s.start-start, -1), 1)) })

	return slices.Insert(result, at, added)
}

// parts joins stretches that touch, in room where there is enough of it.
func parts(room []storage.CachePart, stretches []stretch) []storage.CachePart {
	joined := room[:0]
	for _, s := range stretches {
		if n := len(joined); n > 0 && joined[n-1].End == s.start {
			joined[n-1].End = s.end
			continue
		}
		joined = append(joined, storage.CachePart{Start: s.start, End: s.end})
	}

	return joined
}

// from gives the stretches from an offset to the end of its part. ok tells whether
// the offset is stored, or is the end of the body.
func (r *record) from(offset int64) (chain []stretch, ok bool) {
	end := offset
	for i, s := range r.stretches {
		if s.start <= end && end < s.end {
			if chain == nil {
				chain = r.stretches[i:i]
			}
			chain = chain[:len(chain)+1]
			end = s.end
		}
	}

	return chain, chain != nil || offset == r.entry.Length
}

// inline is the stretch whose bytes are in the head; nil: there is none.
func inline(stretches []stretch) *stretch {
	for i := range stretches {
		if stretches[i].file == "" {
			return &stretches[i]
		}
	}

	return nil
}

// with is the entry that is given back once it is stored.
func with(e *storage.CacheEntry, id string, length int64, stretches []stretch) *storage.CacheEntry {
	stored := &struct {
		entry storage.CacheEntry
		parts [1]storage.CachePart // mostly it is one
	}{entry: *e}
	stored.entry.ID, stored.entry.Length = id, length
	if stored.entry.Parts = nil; len(stretches) > 0 {
		stored.entry.Parts = parts(stored.parts[:], stretches)
	}

	return &stored.entry
}

// stored is how many bytes of the body there are.
func stored(stretches []stretch) (n int64) {
	for _, s := range stretches {
		n += s.length
	}

	return n
}

// recordCost is about what a record takes without its texts.
const recordCost = 512

// cost is what a record is charged for in memory.
func (r *record) cost() int64 {
	n := headCost(r.entry) + recordCost + int64(len(r.stretches))*80
	for _, s := range r.stretches {
		n += int64(len(s.file) + len(s.data))
	}

	return n
}

// headCost is about what the head of a response takes, in memory or in a file.
func headCost(e *storage.CacheEntry) int64 {
	n := 128 + len(e.Key) + len(e.Variant) + len(e.Proto) + len(e.MIMEType) + len(e.TextEncodingName)
	if e.URL != nil {
		n += len(e.URL.Scheme) + len(e.URL.Host) + len(e.URL.Path) + len(e.URL.RawQuery)
	}
	for _, h := range []http.Header{e.VaryFields, e.Header, e.Trailer} {
		for name, values := range h {
			n += len(name)
			for _, v := range values {
				n += len(v) + 4
			}
		}
	}

	return int64(n)
}
