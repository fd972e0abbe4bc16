package cache

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"net/http"
	"net/url"
	"sort"
	"time"

	"github.com/urlkit/urlkit/storage"
)

// A head's file is its magic, which names the version of the format; the length of
// the description (4 bytes, little endian), its CRC-32C, the description; and then
// the bytes of the stretch that has no file of its own, with their CRC-32C.
// Descriptions are numbers as varints, and strings behind their length.
const (
	headMagic  = "urlkit1\n"
	headPrefix = len(headMagic) + 8
	// maxDescription bounds a description in bytes.
	maxDescription = 1 << 20
	// inlineLimit is the length up to which a body is in its head's file.
	inlineLimit = 64 << 10
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	errDamaged = errors.New("the stored response is damaged")
)

// encodeHead makes the file of a head.
func encodeHead(e *storage.CacheEntry, g generation, stretches []stretch) ([]byte, error) {
	size := headPrefix + int(headCost(e))
	in := inline(stretches)
	if in != nil {
		size += len(in.data) + 4
	}
	b := append(make([]byte, 0, size), headMagic...)
	b = append(b, make([]byte, 8)...)
	b = append(b, g[:]...)
	for _, s := range []string{e.Key, e.Variant, e.Proto, e.MIMEType, e.TextEncodingName} {
		b = appendString(b, s)
	}
	address := ""
	if e.URL != nil {
		address = e.URL.String()
	}
	b = appendString(b, address)
	for _, h := range []http.Header{e.VaryFields, e.Header, e.Trailer} {
		b = appendHeader(b, h)
	}
	b = binary.AppendVarint(b, int64(e.StatusCode))
	for _, t := range []time.Time{e.RequestTime, e.ResponseTime} {
		b = binary.AppendVarint(b, t.Unix())
		b = binary.AppendVarint(b, int64(t.Nanosecond()))
	}
	b = binary.AppendVarint(b, e.Length)
	b = binary.AppendUvarint(b, uint64(len(stretches)))
	for _, s := range stretches {
		for _, n := range []int64{s.start, s.end, s.base, s.length} {
			b = binary.AppendVarint(b, n)
		}
		b = appendString(b, s.file)
	}
	description := b[headPrefix:]
	if len(description) > maxDescription {
		return nil, fmt.Errorf("the head of the response is %d bytes long: %w", len(description), storage.ErrTooLarge)
	}
	binary.LittleEndian.PutUint32(b[len(headMagic):], uint32(len(description)))
	binary.LittleEndian.PutUint32(b[len(headMagic)+4:], crc32.Checksum(description, castagnoli))
	if in != nil {
		b = append(b, in.data...)
		b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(in.data, castagnoli))
	}

	return b, nil
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendHeader(b []byte, h http.Header) []byte {
	names := make([]string, 0, len(h))
	for name := range h {
		names = append(names, name)
	}
	sort.Strings(names)
	b = binary.AppendUvarint(b, uint64(len(names)))
	for _, name := range names {
		b = binary.AppendUvarint(appendString(b, name), uint64(len(h[name])))
		for _, v := range h[name] {
			b = appendString(b, v)
		}
	}

	return b
}

// decodeHead reads the file of a head. The record's data is part of b, which is the
// record's from then on. What is not as encodeHead writes it is errDamaged.
func decodeHead(b []byte) (*record, generation, error) {
	if len(b) < headPrefix || string(b[:len(headMagic)]) != headMagic {
		return nil, generation{}, fmt.Errorf("%w: it does not begin as a head of this version does", errDamaged)
	}
	length := binary.LittleEndian.Uint32(b[len(headMagic):])
	sum := binary.LittleEndian.Uint32(b[len(headMagic)+4:])
	b = b[headPrefix:]
	if length > maxDescription || int(length) > len(b) || crc32.Checksum(b[:length], castagnoli) != sum {
		return nil, generation{}, fmt.Errorf("%w: its head is cut off or changed", errDamaged)
	}
	r := &headReader{rest: b[:length]}
	rec, g := r.record()
	if r.failed || len(r.rest) != 0 {
		return nil, generation{}, fmt.Errorf("%w: its head makes no sense", errDamaged)
	}
	if err := takeInline(rec, b[length:]); err != nil {
		return nil, generation{}, err
	}

	return rec, g, nil
}

// takeInline gives the stretch without a file its bytes.
func takeInline(rec *record, b []byte) error {
	in := inline(rec.stretches)
	if in == nil {
		if len(b) != 0 {
			return fmt.Errorf("%w: there is more than its head tells", errDamaged)
		}

		return nil
	}
	if int64(len(b)) != in.length+4 || crc32.Checksum(b[:in.length], castagnoli) != binary.LittleEndian.Uint32(b[in.length:]) {
		return fmt.Errorf("%w: its body is cut off or changed", errDamaged)
	}
	in.data = b[:in.length:in.length]

	return nil
}

// headReader reads a description. Once something failed, all it gives is zero.
type headReader struct {
	rest   []byte
	failed bool
}

func (r *headReader) record() (*record, generation) {
	var g generation
	if len(r.rest) < len(g) {
		r.failed = true
		return nil, g
	}
	r.rest = r.rest[copy(g[:], r.rest):]
	e := &storage.CacheEntry{}
	for _, s := range []*string{&e.Key, &e.Variant, &e.Proto, &e.MIMEType, &e.TextEncodingName} {
		*s = r.string()
	}
	if address := r.string(); address != "" {
		var err error
		if e.URL, err = url.Parse(address); err != nil {
			r.failed = true
		}
	}
	for _, h := range []*http.Header{&e.VaryFields, &e.Header, &e.Trailer} {
		*h = r.header()
	}
	e.StatusCode = int(r.number())
	for _, t := range []*time.Time{&e.RequestTime, &e.ResponseTime} {
		seconds, nanoseconds := r.number(), r.number()
		*t = time.Unix(seconds, nanoseconds).UTC()
	}
	e.Length = r.number()
	rec := &record{entry: e, stretches: r.stretches(e.Length)}
	e.Parts = parts(nil, rec.stretches)
	e.ID = entryID(hashKey(e.Key), g)

	return rec, g
}

func (r *headReader) number() int64 {
	n, length := binary.Varint(r.rest)
	if length <= 0 {
		r.failed, r.rest = true, nil
		return 0
	}
	r.rest = r.rest[length:]

	return n
}

// count reads how much follows, and each of it takes a byte at least.
func (r *headReader) count() int {
	n, length := binary.Uvarint(r.rest)
	if length <= 0 || n > uint64(len(r.rest)-length) {
		r.failed, r.rest = true, nil
		return 0
	}
	r.rest = r.rest[length:]

	return int(n)
}

func (r *headReader) string() string {
	n := r.count()
	s := string(r.rest[:n])
	r.rest = r.rest[n:]

	return s
}

func (r *headReader) header() http.Header {
	n := r.count()
	if n == 0 {
		return nil
	}
	h := make(http.Header)
	for range n {
		name := r.string()
		values := h[name]
		for range r.count() {
			values = append(values, r.string())
		}
		h[name] = values
	}

	return h
}

func (r *headReader) stretches(length int64) []stretch {
	n := r.count()
	if n > maxStretches {
		r.failed = true
		return nil
	}
	all := make([]stretch, n)
	end, inlined := int64(0), 0
	for i := range all {
		s := &all[i]
		for _, field := range []*int64{&s.start, &s.end, &s.base, &s.length} {
			*field = r.number()
		}
		s.file = r.string()
		if s.file == "" {
			inlined++
		} else if _, ok := parseName(s.file, bodySuffix); !ok {
			r.failed = true
		}
		if s.base < 0 || s.start < max(end, s.base) || s.end <= s.start || s.end > length || s.end-s.base > s.length {
			r.failed = true
		}
		if s.file == "" && s.length > inlineLimit {
			r.failed = true
		}
		end = s.end
	}
	if inlined > 1 {
		r.failed = true
	}

	return all
}
