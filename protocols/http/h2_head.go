package http

import (
	"errors"
	nethttp "net/http"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// rememberedNames bounds the names of fields that a connection knows by heart.
const rememberedNames = 100

// heading is the head or the trailer that is being read.
type heading struct {
	fields  []hpack.HeaderField // without the status
	status  string
	size    int64  // as MAX_HEADER_LIST_SIZE counts
	limit   int64  // of size
	regular bool   // a field that is no pseudo-header has come
	bad     string // what is wrong with it
	long    bool
}

func (h *heading) reset(limit int64) {
	clear(h.fields)
	*h = heading{fields: h.fields[:0], limit: limit}
}

// emit is told of each field.
func (h *heading) emit(f hpack.HeaderField) {
	if h.size += int64(f.Size()); h.size > h.limit {
		h.long = true
	}
	switch {
	case h.long || h.bad != "":
	case !httpguts.ValidHeaderFieldValue(f.Value):
		h.bad = "an invalid value of a field"
	case strings.HasPrefix(f.Name, ":"):
		switch {
		case f.Name != ":status" || h.regular || h.status != "":
			h.bad = "a pseudo-header that does not belong there"
		case len(f.Value) == 0:
			h.bad = "an empty status"
		}
		h.status = f.Value
	case !validName(f.Name):
		h.bad = "an invalid name of a field"
	case ofConnection(f.Name):
		h.bad = "a field of HTTP/1.1's connections"
	default:
		h.regular = true
		h.fields = append(h.fields, f)
	}
}

// validName tells whether a name may stand in HTTP/2 (RFC 9113 §8.2.1).
func validName(name string) bool {
	for i := range len(name) {
		if 'A' <= name[i] && name[i] <= 'Z' {
			return false
		}
	}

	return httpguts.ValidHeaderFieldName(name)
}

// ofConnection tells the fields that make a message malformed (RFC 9113 §8.2.2).
func ofConnection(name string) bool {
	switch name {
	case "connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade":
		return true
	default:
		return false
	}
}

// readHead reads a head or a trailer, which may take several frames.
func (c *codec2) readHead(f *http2.HeadersFrame) error {
	s, err := c.find(f.StreamID, 0)
	if err != nil {
		return err
	}
	limit := c.config.MaximumHeaderBytes
	if s != nil {
		limit -= s.heads
	}
	end := f.StreamEnded()
	c.in.heading.reset(limit)
	size, err := c.decode(f)
	if err != nil || s == nil {
		return err
	}
	h := &c.in.heading
	s.heads += h.size
	s.gotHead.Add(size)
	switch {
	case h.long:
		err = &streamViolation{violation{http2.ErrCodeEnhanceYourCalm, "a head that is too long"}}
	case h.bad != "":
		err = malformed(h.bad)
	default:
		err = s.heard(h, end)
	}
	var bad *streamViolation
	if errors.As(err, &bad) {
		s.refuse(bad.violation)

		return nil
	}
	if err == nil && end {
		s.ended()
	}

	return err
}

// streamViolation is one that concerns one stream.
type streamViolation struct{ violation }

func malformed(reason string) error {
	return &streamViolation{violation{http2.ErrCodeProtocol, reason}}
}

// decode decodes the block that begins with a frame, and gives its bytes on the wire.
// It is decoded whole whatever it says: both sides share a table.
func (c *codec2) decode(f *http2.HeadersFrame) (size int64, err error) {
	in := &c.in
	block, last := f.HeaderBlockFragment(), f.HeadersEnded()
	// Many frames, or much more than the head may have, are not worth the decoding.
	frames, most := 0, c.config.mostOfHead()
	size = int64(f.Length) + frameHeader
	for {
		if _, err := in.heads.Write(block); errors.Is(err, hpack.ErrStringLength) {
			return size, violation{http2.ErrCodeEnhanceYourCalm, "a head that is too long"}
		} else if err != nil {
			return size, violation{http2.ErrCodeCompression, "a head that cannot be decoded"}
		}
		if last {
			break
		}
		frames++
		if in.heading.long && frames > maxContinuations || size > most || int64(frames) > maxContinuations+most/maxFrame {
			return size, violation{http2.ErrCodeEnhanceYourCalm, "a head without end"}
		}
		in.wake()
		frame, err := in.frames.ReadFrame()
		if err != nil {
			return size, unexpected(c.lost(err))
		}
		next, ok := frame.(*http2.ContinuationFrame)
		if !ok {
			return size, violation{http2.ErrCodeProtocol, "a head that was interrupted"}
		}
		block, last = next.HeaderBlockFragment(), next.HeadersEnded()
		size += int64(next.Length) + frameHeader
	}
	if err := in.heads.Close(); err != nil {
		return size, violation{http2.ErrCodeCompression, "a head that cannot be decoded"}
	}

	return size, nil
}

// mostOfHead is how many bytes of a head are decoded: one that is longer than allowed
// concerns its stream, one that goes on and on the connection.
func (c *Config) mostOfHead() int64 { return 2*c.MaximumHeaderBytes + maxFrame }

// maxContinuations is how many frames a head may be cut into beyond those that it
// needs.
const maxContinuations = 64

// heard tells a stream of a head or trailer.
func (s *stream) heard(h *heading, end bool) error {
	c := s.codec
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.err != nil:
		return nil
	case s.over:
		return &streamViolation{violation{http2.ErrCodeStreamClosed, "a head after the end"}}
	case s.headed:
		if !end || h.status != "" {
			return malformed("a second head")
		}
		s.trailer, s.over = c.in.header(h.fields, nil), true
		c.in.later(s)

		return nil
	}
	status, err := strconv.Atoi(h.status)
	if err != nil || status < 0 || h.status[0] == '+' {
		return malformed("no status")
	}
	if status >= 100 && status <= 199 {
		return s.early(h, status, end)
	}
	if err := s.begin(h, status, end); err != nil {
		return err
	}
	s.permit(false) // who has the answer needs no body
	c.in.later(s)
	c.mu.Lock()
	c.out.seen = max(c.out.seen, s.mark)
	c.mu.Unlock()

	return nil
}

// early keeps an interim response for the one who waits.
func (s *stream) early(h *heading, status int, end bool) error {
	switch {
	case end || status == nethttp.StatusSwitchingProtocols: // RFC 9113 §8.6
		return malformed("an interim response that cannot be one")
	case len(s.interim) > maxInterim:
		return &streamViolation{violation{http2.ErrCodeEnhanceYourCalm, errInterim.Error()}}
	}
	if status == nethttp.StatusContinue {
		s.permit(true)
	}
	s.interim = append(s.interim, &nethttp.Response{StatusCode: status, Header: s.codec.in.header(h.fields, nil)})
	s.codec.in.later(s)

	return nil
}

// begin makes the response of the final head.
func (s *stream) begin(h *heading, status int, end bool) error {
	r := &s.resp
	r.StatusCode, r.Proto, r.ProtoMajor, r.ContentLength, r.Body = status, "HTTP/2.0", 2, -1, s
	r.Header = s.codec.in.header(h.fields, &r.Trailer)
	for i, value := range r.Header["Content-Length"] {
		length, err := strconv.ParseUint(value, 10, 63)
		if err != nil || i > 0 && int64(length) != r.ContentLength {
			return malformed("an invalid Content-Length")
		}
		r.ContentLength = int64(length)
	}
	bodiless := s.lengthOnly || status == nethttp.StatusNoContent || status == nethttp.StatusNotModified
	if !bodiless {
		s.length = r.ContentLength
	}
	s.empty = end && (bodiless || s.length <= 0)
	if s.empty && !s.lengthOnly {
		r.ContentLength = 0
	}
	s.headed, s.over = true, end

	return nil
}

// header makes a header of fields. The names that "Trailer" announces go where
// trailers go.
func (in *intake) header(fields []hpack.HeaderField, trailer *nethttp.Header) nethttp.Header {
	header := make(nethttp.Header, len(fields))
	values := make([]string, len(fields))
	for i, f := range fields {
		name := in.canonical(f.Name)
		if name == "Trailer" && trailer != nil {
			announce(trailer, f.Value)

			continue
		}
		values[i] = f.Value
		if old, ok := header[name]; ok {
			header[name] = append(old, f.Value)
		} else {
			header[name] = values[i : i+1 : i+1]
		}
	}

	return header
}

func announce(trailer *nethttp.Header, names string) {
	if *trailer == nil {
		*trailer = make(nethttp.Header)
	}
	for name := range strings.SplitSeq(names, ",") {
		if name = nethttp.CanonicalHeaderKey(strings.TrimSpace(name)); name != "" {
			(*trailer)[name] = nil
		}
	}
}

// canonical is http.CanonicalHeaderKey with a memory.
func (in *intake) canonical(name string) string {
	if known, ok := in.names[name]; ok {
		return known
	}
	known := nethttp.CanonicalHeaderKey(name)
	if len(in.names) < rememberedNames {
		in.names[name] = known
	}

	return known
}
