package http

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// intake is what the goroutine that reads has for itself.
type intake struct {
	r       *bufio.Reader
	frames  *http2.Framer
	heads   *hpack.Decoder
	heading heading
	names   map[string]string // canonical names of fields
	settled bool              // the peer's settings have come
	wakes   []*stream         // that somebody may wait for
	idle    tally
}

func (in *intake) start(c *codec2) {
	in.r = bufio.NewReader(c.conn)
	in.frames = http2.NewFramer(nil, in.r)
	in.frames.SetMaxReadFrameSize(maxFrame)
	in.heads = hpack.NewDecoder(4<<10, in.heading.emit)
	in.heads.SetMaxStringLength(int(min(c.config.mostOfHead(), math.MaxInt32)))
	in.names = make(map[string]string)
}

// violation is what a peer did against the protocol.
type violation struct {
	code   http2.ErrCode
	reason string
}

func (f violation) Error() string { return fmt.Sprintf("http: %s (%v)", f.reason, f.code) }

// tally counts frames that do nothing but cost work.
type tally struct {
	n     int
	since time.Time
}

const (
	maxIdleFrames = 10_000
	idlePeriod    = 10 * time.Second
)

func (t *tally) add() error {
	if t.n++; t.n < maxIdleFrames {
		return nil
	}
	now := time.Now()
	if now.Sub(t.since) < idlePeriod {
		return violation{http2.ErrCodeEnhanceYourCalm, "too many frames without effect"}
	}
	t.n, t.since = 0, now

	return nil
}

// read takes in what the peer says until the connection ends.
func (c *codec2) read() {
	for {
		if err := c.readFrame(); err != nil {
			c.in.wake()
			var bad violation
			switch {
			case errors.As(err, &bad):
				c.refuse(bad)
			default:
				c.fail(unexpected(err))
			}

			return
		}
	}
}

// readFrame reads one frame, and does what it says.
func (c *codec2) readFrame() error {
	in := &c.in
	if in.r.Buffered() < frameHeader {
		in.wake()
	}
	h, err := in.frames.ReadFrameHeader()
	if err != nil {
		return c.framing(err)
	}
	if !in.settled && (h.Type != http2.FrameSettings || h.Flags.Has(http2.FlagSettingsAck)) {
		return violation{http2.ErrCodeProtocol, "the server does not begin with its settings"}
	}
	if h.Type == http2.FrameData {
		return c.readData(h)
	}
	if in.r.Buffered() < int(h.Length) {
		in.wake()
	}
	frame, err := in.frames.ReadFrameForHeader(h)
	if err != nil && h.Type == http2.FrameHeaders {
		return c.lost(err)
	}
	if err != nil {
		return c.framing(err)
	}
	switch f := frame.(type) {
	case *http2.HeadersFrame:
		return c.readHead(f)
	case *http2.SettingsFrame:
		return c.settle(f)
	case *http2.WindowUpdateFrame:
		return c.grow(f)
	case *http2.RSTStreamFrame:
		return c.endStream(f)
	case *http2.GoAwayFrame:
		return c.goAway(f)
	case *http2.PingFrame:
		return c.ping(f)
	case *http2.PushPromiseFrame:
		return violation{http2.ErrCodeProtocol, "a push that was not allowed"}
	default: // PRIORITY and what is not known (RFC 9113 §5.5)
		return in.idle.add()
	}
}

// lost is framing for a frame of a head: what cannot be decoded is missing from the
// table that both sides share, and concerns the connection.
func (c *codec2) lost(err error) error {
	var one http2.StreamError
	if errors.As(err, &one) {
		return violation{one.Code, "a malformed head"}
	}

	return c.framing(err)
}

// framing gives what the framer says of a frame the right form; nil: it concerned
// one stream only, and that has been told.
func (c *codec2) framing(err error) error {
	var connection http2.ConnectionError
	var one http2.StreamError
	switch {
	case errors.As(err, &connection):
		reason := "a malformed frame"
		if detail := c.in.frames.ErrorDetail(); detail != nil {
			reason = detail.Error()
		}

		return violation{http2.ErrCode(connection), reason}
	case errors.As(err, &one):
		return c.refuseStream(one.StreamID, violation{one.Code, "a malformed frame"})
	case errors.Is(err, http2.ErrFrameTooLarge):
		return violation{http2.ErrCodeFrameSize, "a frame longer than allowed"}
	default:
		return err
	}
}

// find gives the stream that a frame belongs to, and counts the data that it has; nil:
// the stream has ended. One that has not begun is a fault.
func (c *codec2) find(id uint32, data int64) (*stream, error) {
	c.mu.Lock()
	if id%2 == 0 || id >= c.nextID {
		c.mu.Unlock()

		return nil, violation{http2.ErrCodeProtocol, "a frame for a stream that has not begun"}
	}
	s := c.streams[id]
	if data == 0 {
		c.mu.Unlock()

		return s, nil
	}
	err := c.took(data)
	c.send()

	return s, err
}

// refuseStream ends a stream for what its peer did (RFC 9113 §5.4.2).
func (c *codec2) refuseStream(id uint32, f violation) error {
	s, err := c.find(id, 0)
	if s != nil {
		s.refuse(f)
	}

	return err
}

// refuse ends the stream for what its peer did.
func (s *stream) refuse(f violation) {
	s.fail(f, false)
	s.reset(f.code)
}

// reset tells the peer that the stream has ended, and forgets it.
func (s *stream) reset(code http2.ErrCode) {
	c := s.codec
	c.mu.Lock()
	if !s.gone {
		_ = c.out.frames.WriteRSTStream(s.id, code)
	}
	c.drop(s)
	c.send()
}

// readData reads a frame of a body straight into the backlog of its stream.
func (c *codec2) readData(h http2.FrameHeader) error {
	if h.StreamID == 0 {
		return violation{http2.ErrCodeProtocol, "data without a stream"}
	}
	n, padding := int(h.Length), 0
	if h.Flags.Has(http2.FlagDataPadded) {
		var err error
		if padding, err = c.readPadding(n); err != nil {
			return err
		}
		n -= padding + 1
	}
	end := h.Flags.Has(http2.FlagDataEndStream)
	if n == 0 && !end {
		if err := c.in.idle.add(); err != nil {
			return err
		}
	}
	s, err := c.find(h.StreamID, int64(h.Length))
	if err != nil {
		return err
	}
	if s != nil {
		s.gotBody.Add(int64(h.Length) + frameHeader)
		err = s.receive(n, int(h.Length)-n, end)
	} else {
		err = c.skip(n)
	}
	if err == nil {
		err = c.skip(padding)
	}
	if s != nil && end && err == nil {
		s.ended()
	}

	return err
}

// readPadding reads how much of a frame of n bytes is padding.
func (c *codec2) readPadding(n int) (int, error) {
	if n > 0 {
		if c.in.r.Buffered() == 0 {
			c.in.wake()
		}
		padding, err := c.in.r.ReadByte()
		if err != nil {
			return 0, unexpected(err)
		}
		if int(padding) < n {
			return int(padding), nil
		}
	}

	return 0, violation{http2.ErrCodeProtocol, "padding longer than its frame"}
}

func (c *codec2) skip(n int) error {
	if n == 0 {
		return nil
	}
	if c.in.r.Buffered() < n {
		c.in.wake()
	}
	_, err := c.in.r.Discard(n)

	return unexpected(err)
}

// unexpected is the error of a connection that ends within a frame.
func unexpected(err error) error {
	if err == io.EOF { //nolint:errorlint // a Reader returns it bare
		return io.ErrUnexpectedEOF
	}

	return err
}

// receive takes in n bytes of the body; extra counts the padding.
func (s *stream) receive(n, extra int, end bool) error {
	c := s.codec
	s.mu.Lock()
	var bad violation
	switch s.allowed -= int64(n + extra); {
	case s.err != nil:
	case s.allowed < 0:
		bad = violation{http2.ErrCodeFlowControl, "more data than the stream's window"}
	case !s.headed:
		bad = violation{http2.ErrCodeProtocol, "a body before its head"}
	case s.over:
		bad = violation{http2.ErrCodeStreamClosed, "data after the end"}
	case s.length >= 0 && int64(n) > s.length:
		bad = violation{http2.ErrCodeProtocol, "a body longer than its Content-Length"}
	}
	if s.err != nil || bad.reason != "" {
		s.mu.Unlock()
		if bad.reason != "" {
			s.refuse(bad)
		}

		return c.skip(n)
	}
	if s.length >= 0 {
		s.length -= int64(n)
	}
	more := s.owe(int64(extra))
	for n > 0 {
		m, err := s.fill(n)
		if n -= m; err != nil {
			s.mu.Unlock()

			return unexpected(err)
		}
		if s.err != nil { // meanwhile
			freed := s.backlog.free(false)
			s.mu.Unlock()
			c.consumed(freed, s, 0)

			return c.skip(n)
		}
	}
	s.over = s.over || end
	s.mu.Unlock()
	c.in.later(s)
	if more > 0 {
		c.consumed(0, s, more)
	}

	return nil
}

// fill reads the next bytes of the body, n at most. The lock is held, but not while it
// reads.
func (s *stream) fill(n int) (int, error) {
	c := s.codec
	room := s.backlog.room(n)
	s.filling = true
	s.mu.Unlock()
	if c.in.r.Buffered() == 0 {
		c.in.wake()
	}
	m, err := c.in.r.Read(room)
	c.unread.Add(int64(m))
	s.mu.Lock()
	s.filling = false
	s.backlog.wrote(m)
	c.in.later(s)

	return m, err
}

// ended notes that the answer has come to its end. The stream has if the request has.
func (s *stream) ended() {
	c := s.codec
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.received = true; s.sent {
		c.drop(s)
	}
}

// later has whoever waits for the stream woken when nothing more is at hand: often
// the head and all of the body come together.
func (in *intake) later(s *stream) {
	if !s.woken {
		s.woken = true
		in.wakes = append(in.wakes, s)
	}
}

func (in *intake) wake() {
	for _, s := range in.wakes {
		s.woken = false
		s.notify()
	}
	clear(in.wakes)
	in.wakes = in.wakes[:0]
}
