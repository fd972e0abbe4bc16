package http

import (
	"context"
	"fmt"
	"io"
	"maps"
	nethttp "net/http"
	"net/http/httptrace"
	"net/textproto"
	"sync"
	"sync/atomic"

	"golang.org/x/net/http2"
)

// stream is one request over HTTP/2 and its answer: the response and its body.
type stream struct {
	codec *codec2
	ctx   context.Context
	id    uint32
	resp  nethttp.Response
	// lengthOnly: the method is HEAD, whose Content-Length is that of another answer.
	lengthOnly bool

	// awaited is what the one who waits receives from: something has changed.
	awaited chan struct{}
	stop    func() bool // ends the watch over the context

	// Guarded by the codec's lock.
	window   int64 // bytes of the body that may be sent
	mark     int64 // of the connection's output: the end of the head
	sent     bool  // the request's end is queued
	received bool  // the answer's end has come
	gone     bool  // the codec has forgotten it
	urgency  urgency

	// Of the goroutine that reads.
	heads int64 // size of the heads that have come, decoded
	woken bool  // stands among those to be woken

	// Bytes on the wire: of the request's head and body, of the answer's heads, trailer
	// and body.
	sentHead                   int64
	sentBody, gotHead, gotBody atomic.Int64

	mu      sync.Mutex
	ready   chan struct{}       // awaited, until nobody waits any more
	interim []*nethttp.Response // that nobody was told of
	headed  bool                // the final head has come
	backlog backlog
	most    int64          // bytes that may come and not be read
	allowed int64          // bytes that the peer may still send
	owed    int64          // bytes that are done with, and that it was not told of
	filling bool           // the goroutine that reads writes into the last chunk
	over    bool           // the answer's end has come
	empty   bool           // with its head
	length  int64          // of the body that is to come; -1: unknown
	trailer nethttp.Header // of the answer
	err     error          // what ended it before its end
	granted chan bool      // whether a body that expects a permission may be sent
}

// notify wakes the one who waits.
func (s *stream) notify() {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case s.ready <- struct{}{}:
	default:
	}
}

// answer waits for the final head.
func (s *stream) answer(trace *httptrace.ClientTrace) (*nethttp.Response, error) {
	begun, told := trace == nil || trace.GotFirstResponseByte == nil, 0
	for {
		s.mu.Lock()
		interim, headed, over, err := s.interim, s.headed, s.over, s.err
		s.interim = nil
		s.mu.Unlock()
		if !begun && (headed || len(interim) > 0) {
			begun = true
			trace.GotFirstResponseByte()
		}
		for _, r := range interim {
			if told++; trace == nil || trace.Got1xxResponse == nil {
				continue
			}
			if err := trace.Got1xxResponse(r.StatusCode, textproto.MIMEHeader(r.Header)); err != nil {
				s.abort(http2.ErrCodeCancel, err)

				return nil, err
			}
		}
		switch {
		case headed:
			if !over && s.ctx.Done() != nil {
				s.stop = context.AfterFunc(s.ctx, s.cancelled)
			}

			return &s.resp, nil
		case err != nil:
			return nil, err
		case told > maxInterim:
			s.abort(http2.ErrCodeEnhanceYourCalm, errInterim)

			return nil, errInterim
		}
		select {
		case <-s.awaited:
		case <-s.ctx.Done():
			s.abort(http2.ErrCodeCancel, s.ctx.Err())

			return nil, s.ctx.Err()
		}
	}
}

var errInterim = fmt.Errorf("more than %d interim responses", maxInterim)

// Read gives what has come of the body, or waits for it.
func (s *stream) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		s.mu.Lock()
		n := s.backlog.take(p, s.filling)
		more := s.owe(int64(n))
		over, err := s.over, s.err
		s.mu.Unlock()
		switch {
		case n > 0:
			s.codec.consumed(n, s, more)

			return n, nil
		case err != nil:
			return 0, err
		case over:
			return 0, s.end()
		}
		<-s.awaited
	}
}

// owe counts bytes of the stream's window that are free again, and gives what the
// peer is to be told now. A reader who has left little unread by then gets a larger
// window: it may be what the peer waits for. The stream's lock is held.
func (s *stream) owe(n int64) (more int64) {
	if s.owed += n; s.owed < s.most/4 || s.over {
		return 0
	}
	more, s.owed = s.owed, 0
	if unread := s.most - s.allowed - more; unread <= s.most/4 {
		grown := min(s.most*2, fastWindow)
		more, s.most = more+grown-s.most, grown
	}
	s.allowed += more

	return more
}

// consumed counts bytes out that were read or are not wanted, and opens the window of
// their stream by more.
func (c *codec2) consumed(n int, s *stream, more int64) {
	before := c.unread.Add(int64(-n)) + int64(n)
	if more == 0 && before <= maxUnread {
		return
	}
	c.mu.Lock()
	if more > 0 && !s.gone {
		_ = c.out.frames.WriteWindowUpdate(s.id, uint32(more))
	}
	c.repay()
	c.send()
}

// end is the error of a body that was read to its end. A request that is not sent
// to its own end by now is not wanted.
func (s *stream) end() error {
	s.leave()
	s.mu.Lock()
	ready := s.ready
	s.ready = nil
	s.mu.Unlock()
	c := s.codec
	c.mu.Lock()
	if !s.gone && !s.sent {
		_ = c.out.frames.WriteRSTStream(s.id, http2.ErrCodeCancel)
	}
	c.drop(s)
	if ready != nil && len(c.readies) < cap(c.readies) {
		select {
		case <-ready:
		default:
		}
		c.readies = append(c.readies, ready)
	}
	c.send()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.length > 0 {
		return errShort
	}
	if s.resp.Trailer == nil {
		s.resp.Trailer = s.trailer
	} else {
		maps.Copy(s.resp.Trailer, s.trailer)
	}

	return io.EOF
}

var errShort = fmt.Errorf("http: the body is shorter than its Content-Length: %w", io.ErrUnexpectedEOF)

// Close gives up what is left of the answer, and of the request. It ends a Read.
func (s *stream) Close() error {
	s.leave()
	s.abort(http2.ErrCodeCancel, errBodyClosed)

	return nil
}

// abort ends the stream from this side.
func (s *stream) abort(code http2.ErrCode, err error) {
	s.fail(err, true)
	s.reset(code)
}

// fail ends the stream. What has come of the body is still given, unless this side
// does not want it.
func (s *stream) fail(err error, unwanted bool) {
	s.mu.Lock()
	if s.err == nil && (unwanted || !s.over) {
		s.err = err
	}
	freed := 0
	if unwanted {
		freed = s.backlog.free(s.filling)
	}
	select {
	case s.ready <- struct{}{}:
	default:
	}
	s.permit(false)
	s.mu.Unlock()
	if freed > 0 {
		s.codec.consumed(freed, s, 0)
	}
}

// leave ends the watch over the context.
func (s *stream) leave() {
	if s.stop != nil {
		s.stop()
	}
}

// permit says whether the body may be sent; the first word counts. The stream's
// lock is held.
func (s *stream) permit(yes bool) {
	select {
	case s.granted <- yes:
	default:
	}
}
