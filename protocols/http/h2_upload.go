package http

import (
	"errors"
	"io"
	nethttp "net/http"
	"net/http/httptrace"
	"sync"
	"time"

	"golang.org/x/net/http/httpguts"
	"golang.org/x/net/http2"
)

// uploadPiece is how much of a body is read and written at once: with the headers of
// its frames whole records of TLS, or a record of a few bytes would follow each time.
const uploadPiece = 64<<10 - 4*frameHeader

var uploadPieces = sync.Pool{New: func() any { return new([uploadPiece]byte) }}

var errOver = errors.New("http: the stream has ended")

// send sends the request. The head goes out on the goroutine of the one who asks, and
// a body in memory with it; any other body has a goroutine of its own.
func (s *stream) send(r *nethttp.Request, trace *httptrace.ClientTrace) error {
	c := s.codec
	if r.Body == nil {
		c.mu.Lock()
		if err := c.open(s, r, true); err != nil {
			c.mu.Unlock()

			return err
		}
		c.send()
		wroteRequest(trace)

		return nil
	}
	b := &outgoing{stream: s, body: r.Body, length: r.ContentLength, trace: trace}
	if httpguts.HeaderValuesContainsToken(r.Header["Expect"], "100-continue") {
		s.granted = make(chan bool, 1)
	} else if u, ok := r.Body.(*upload); ok && u.short() {
		b.piece, _ = uploadPieces.Get().(*[uploadPiece]byte)
		n, err := io.ReadFull(u, b.piece[:])
		if b.ready = b.piece[:n]; !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
			b.ready = nil // what failed fails again
		}
	}
	c.mu.Lock()
	if err := c.open(s, r, false); err != nil {
		c.mu.Unlock()
		b.release()

		return err
	}
	if n := len(b.ready); n > 0 && int64(n) == b.length && n <= c.peer.frame && int64(n) <= min(s.window, c.window) {
		s.data(b.ready, true)
		c.send()
		b.release()
		wroteRequest(trace)

		return nil
	}
	c.send()
	go b.run()

	return nil
}

func wroteRequest(trace *httptrace.ClientTrace) {
	if trace != nil && trace.WroteRequest != nil {
		trace.WroteRequest(httptrace.WroteRequestInfo{})
	}
}

// data queues one frame of the body. The codec's lock is held.
func (s *stream) data(p []byte, end bool) {
	c := s.codec
	s.sentBody.Add(int64(len(p)) + frameHeader)
	s.window -= int64(len(p))
	c.window -= int64(len(p))
	c.out.data(s.id, end, p)
	if end {
		if s.sent = true; s.received {
			c.drop(s)
		}
	}
}

// outgoing sends a request's body while the answer is waited for.
type outgoing struct {
	stream *stream
	body   io.ReadCloser
	length int64 // -1: unknown
	trace  *httptrace.ClientTrace
	piece  *[uploadPiece]byte
	ready  []byte // of piece: all of the body
}

func (b *outgoing) release() {
	if b.piece != nil {
		uploadPieces.Put(b.piece)
		b.piece, b.ready = nil, nil
	}
}

func (b *outgoing) run() {
	if b.piece == nil {
		b.piece, _ = uploadPieces.Get().(*[uploadPiece]byte)
	}
	defer b.release()
	err := b.send()
	_ = b.body.Close()
	switch {
	case err == nil:
		wroteRequest(b.trace)
	case errors.Is(err, errOver), errors.Is(err, errUnwanted):
	default:
		b.stream.abort(http2.ErrCodeCancel, err)
	}
}

func (b *outgoing) send() error {
	if !b.permitted() {
		return errUnwanted
	}
	if len(b.ready) > 0 {
		return b.stream.write(b.ready, true)
	}
	for left := b.length; ; {
		n, err := b.body.Read(b.piece[:])
		if left -= int64(n); left == 0 && err == nil {
			// A body is exactly as long as it says (protocols.Body), so that its end is at
			// hand, and goes out with its last bytes.
			var none [1]byte
			_, err = b.body.Read(none[:])
		}
		end := err == io.EOF
		if err != nil && !end {
			return err
		}
		if err := b.stream.write(b.piece[:n], end); err != nil || end {
			return err
		}
	}
}

// permitted waits until the body may be sent (RFC 9110 §10.1.1).
func (b *outgoing) permitted() bool {
	s := b.stream
	if s.granted == nil {
		return true
	}
	timer := time.NewTimer(s.codec.config.ExpectContinueTimeout)
	defer timer.Stop()
	select {
	case yes := <-s.granted:
		return yes
	case <-timer.C:
		return true
	}
}

// write sends a piece of the body as the windows open.
func (s *stream) write(p []byte, end bool) error {
	if len(p) == 0 && !end {
		return nil
	}
	c := s.codec
	c.mu.Lock()
	defer c.mu.Unlock()
	for done := false; !done; {
		for !s.gone && !c.out.broken && (c.out.writing || len(p) > 0 && min(s.window, c.window) <= 0) {
			c.room.Wait()
		}
		if s.gone || c.out.broken {
			return errOver
		}
		for !done {
			n := int(min(int64(len(p)), int64(c.peer.frame), s.window, c.window))
			if n <= 0 && len(p) > 0 {
				break
			}
			done = n == len(p)
			s.data(p[:n], end && done)
			p = p[n:]
		}
		c.out.writing = true
		c.writeBatch()
		if len(c.out.queue) > 0 && !c.dead() {
			go c.drain(false)
		} else {
			c.stopWriting()
		}
	}

	return nil
}
