package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/urlkit/urlkit/protocols"
)

// deliver makes the result of the load of the last hop's response.
func (l *load) deliver(h *hop, resp *protocols.Response) (*protocols.Response, error) {
	length := resp.KnownLength()
	resp.ContentLength = length
	l.body = body{hop: h, response: resp, raw: resp.Body, expected: length}
	l.body.from = &l.body.wire
	l.body.wire.body = &l.body
	if resp.Upgraded != nil || resp.Messages != nil {
		return l.deliverConnection(h, resp), nil
	}
	if resp.Body == protocols.NoBody || length == 0 {
		h.collect(resp, 0, nil)
		closeBody(resp)
		l.end(nil)
		resp.Body = protocols.NoBody

		return resp, nil
	}
	if err := l.decode(h, resp); err != nil {
		return nil, h.reject(resp, "body", err)
	}
	resp.Body = &l.body
	if _, observes := l.body.raw.(contextual); !observes && l.parent.Done() != nil {
		l.body.mu.Lock() // a Close by a context that has ended waits for stop to be there
		l.body.stop = context.AfterFunc(l.ctx, func() { _ = l.body.Close() })
		l.body.mu.Unlock()
	}
	l.setOpen(&l.body)
	if cause := context.Cause(l.ctx); cause != nil {
		_ = l.body.Close() // abandoned before there was a body to close

		return nil, at("body", cause)
	}

	return resp, nil
}

// contextual is a protocol's body that ends by itself when its load's context
// does, and says so: the session need not watch the context for it.
type contextual interface{ Context() context.Context }

// body is the response body that the session reads: clocks, truncation, errors
// and the end of the load.
type body struct {
	hop      *hop                // of the load that the body belongs to
	response *protocols.Response // whose Trailer comes with the end
	raw      io.ReadCloser
	from     io.Reader // wire, or the decoder over it
	decoder  io.Closer
	wire     wire
	expected int64        // bytes on the wire; -1 unknown
	given    atomic.Int64 // decoded bytes

	reading sync.Mutex  // held by the one Read, where there is a decoder
	over    atomic.Bool // err is set
	mu      sync.Mutex
	err     error       // what every later Read gives; guarded by mu
	once    sync.Once   // closes raw
	stop    func() bool // of watching the context; nil: nobody does; written under mu
	scratch [1]byte
}

// wire counts what the protocol gives, and holds it to the promised length.
type wire struct {
	body   *body
	count  atomic.Int64
	failed error // what the protocol's body failed with
	ended  bool  // it came to its end
}

func (w *wire) Read(p []byte) (int, error) {
	b := w.body
	left := b.expected - w.count.Load()
	if b.expected >= 0 && int64(len(p))-1 > left {
		p = p[:left+1] // one more, to notice a body that is too long
	}
	n, err := b.raw.Read(p)
	left -= int64(n)
	if n > 0 {
		w.count.Add(int64(n))
		if left != 0 { // else there is nothing to wait for
			b.hop.of.touch()
		}
	}
	switch {
	case b.expected >= 0 && left < 0:
		w.count.Store(b.expected)
		w.failed = protocols.Errorf(protocols.BadServerResponse, "the body is longer than its Content-Length of %d", b.expected)

		return n - 1, w.failed
	case b.expected >= 0 && left > 0 && err == io.EOF: //nolint:errorlint // a Reader returns io.EOF bare
		err = fmt.Errorf("the body ended after %d of %d bytes: %w", w.count.Load(), b.expected, io.ErrUnexpectedEOF)
	}

	if err == io.EOF { //nolint:errorlint // a Reader returns io.EOF bare
		w.ended = true
	} else {
		w.failed = err
	}

	return n, err
}

// Read gives decoded bytes. Its errors are *protocols.Error but for io.EOF.
func (b *body) Read(p []byte) (int, error) {
	return b.next(p, false)
}

// next is Read. on: it follows the head or another read at once, so that the
// clock need not be asked for the time.
func (b *body) next(p []byte, on bool) (int, error) {
	if err := b.failed(); err != nil {
		return 0, err
	}
	if len(p) == 0 {
		return 0, nil
	}
	n, err := b.read(p, on)
	if b.decoder != nil && b.failed() != nil {
		b.closeDecoder()
	}

	return n, err
}

func (b *body) read(p []byte, on bool) (n int, err error) {
	if b.decoder != nil {
		b.reading.Lock()
		defer b.reading.Unlock()
	}
	defer func() {
		if v := recover(); v != nil { // a session outlives a bad protocol
			n, err = 0, b.finish(protocols.Errorf(protocols.Unknown, "the body panicked: %v", v))
		}
	}()
	if on {
		b.hop.of.wait.Store(1)
	} else {
		b.hop.of.waiting()
	}
	n, err = b.from.Read(p)
	b.hop.of.idling()
	b.given.Add(int64(n))
	b.hop.kept.received(p[:n])
	if err != nil {
		err = b.finish(err)
	}

	return n, err
}

// closeDecoder gives the decoder's buffers back, unless a Read uses them: it does
// so itself when it ends.
func (b *body) closeDecoder() {
	if b.reading.TryLock() {
		defer b.reading.Unlock()
		_ = b.decoder.Close()
	}
}

func (b *body) failed() error {
	if !b.over.Load() {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()

	return b.err
}

// finish ends the load at the body's end, or at its failure.
func (b *body) finish(err error) error {
	if err == io.EOF && b.expected < 0 { //nolint:errorlint // a Reader returns io.EOF bare
		// A peer that sees a cancelled load go may end its answer, and win the race
		// against the closing connection: such an end proves nothing.
		if cause := b.hop.of.ctx.Err(); cause != nil {
			err = cause
		}
	}
	if err != io.EOF { //nolint:errorlint // a Reader returns io.EOF bare
		if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			err = fmt.Errorf("%w: %w", io.ErrUnexpectedEOF, err)
		}
		err = b.hop.of.fail(err, "body")
	}
	b.mu.Lock()
	if b.err == nil { // else it was closed meanwhile
		b.err = err
		b.over.Store(true)
	}
	err = b.err
	b.mu.Unlock()
	_ = b.release(err)

	return err
}

// Close ends the load. It may be called during a Read, and more than once.
func (b *body) Close() error {
	var cause error // what ended the load, if it was not the reader
	b.mu.Lock()
	if b.err == nil {
		b.err = b.hop.of.closedError()
		b.over.Store(true)
		if context.Cause(b.hop.of.ctx) != nil {
			cause = b.err
		}
	}
	b.mu.Unlock()
	err := b.release(cause)
	if b.decoder != nil {
		b.closeDecoder()
	}

	return err
}

func (b *body) release(err error) error {
	var closeErr error
	b.once.Do(func() {
		if b.stop != nil {
			b.stop()
		}
		closeErr = b.raw.Close()
		received := b.wire.count.Load()
		e := ending{resp: b.response, received: received, decoded: b.given.Load(), whole: received == b.expected, err: err}
		if err == io.EOF { //nolint:errorlint // the body's end, bare
			e.whole, e.err = true, nil
		}
		b.report(e)
		b.hop.of.end(e.err)
	})

	return closeErr
}

// report reports the transaction of the body, or that of its last piece.
func (b *body) report(e ending) {
	if c := b.hop.of.continued; c != nil {
		c.report(e)

		return
	}
	b.hop.report(e)
}
