package http

import (
	"bufio"
	"errors"
	"io"
	"net"
	nethttp "net/http"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/net/http/httpguts"
)

const (
	// together is how long a body in memory may be to go out in one write with its
	// head, by the goroutine that asks.
	together = 3 << 10
	// afterAnswer is how long a connection whose answer has ended waits until its
	// request has ended too.
	afterAnswer = 50 * time.Millisecond
	// afterBreak is how long an answer may take that a server sent before it stopped
	// to read.
	afterBreak = 250 * time.Millisecond
)

var errUnwanted = errors.New("http: the server does not want the request body")

// whole hides from net/http that it writes into a buffer, which it would flush
// between head and body.
type whole struct{ *bufio.Writer }

// send writes the request, or begins to.
func (a *reply) send(r *nethttp.Request) error {
	c := a.codec
	c.out.begun = false
	c.out.total.Store(0)
	c.headSent.Store(0)
	expects := httpguts.HeaderValuesContainsToken(r.Header["Expect"], "100-continue")
	if u, ok := r.Body.(*upload); r.Body == nil || ok && !expects && u.short() {
		plain, err := c.head.write(c.w, r)
		if !plain {
			err = r.Write(whole{c.w})
		}
		if err == nil {
			err = c.w.Flush()
		}

		return c.judge(err)
	}
	s := &sender{codec: c, body: r.Body, length: r.ContentLength, done: make(chan struct{})}
	if expects {
		s.permission = make(chan bool, 1)
	}
	r.Body, a.sender = s, s
	go s.run(r)

	return nil
}

// short tells whether a body lies in memory and goes out with its head.
func (u *upload) short() bool {
	return u.source.Open == nil && u.source.File == "" && len(u.source.Bytes) <= together
}

// judge tells what the connection says from what is wrong with the request.
func (c *codec1) judge(err error) error {
	if err != nil && c.out.failed {
		return unwritten{err}
	}

	return err
}

// out writes to a connection, and remembers how it went.
type out struct {
	conn   io.Writer
	begun  bool // bytes of the request were written
	failed bool
	total  atomic.Int64 // bytes of the request
}

func (o *out) Write(p []byte) (int, error) {
	n, err := o.conn.Write(p)
	o.total.Add(int64(n))
	o.begun, o.failed = o.begun || n > 0, o.failed || err != nil

	return n, err
}

// sender writes a request whose body takes time, on a goroutine of its own: the
// answer may come before its end. A nil sender has nothing to do.
type sender struct {
	codec      *codec1
	body       io.ReadCloser
	length     int64     // -1: unknown
	permission chan bool // whether the body may go out; nil: it may
	permitted  bool
	head       atomic.Bool  // that of the answer has come
	taken      atomic.Int64 // bytes of the body
	drained    atomic.Bool  // the body has ended
	done       chan struct{}
	err        error // when done is closed
}

func (s *sender) run(r *nethttp.Request) {
	c := s.codec
	err := r.Write(c.w)
	if err == nil {
		err = c.w.Flush()
	}
	s.err = c.judge(err)
	close(s.done)
	switch {
	case err == nil, errors.Is(err, errUnwanted):
	case !c.out.failed, !c.out.begun:
		c.hangUp()
	case !s.head.Load(): // the server may have said why it does not read on
		_ = c.conn.SetReadDeadline(time.Now().Add(afterBreak))
	}
}

// Read reads the body, once it may go out.
func (s *sender) Read(p []byte) (int, error) {
	if s.permission != nil && !s.permitted {
		timer := time.NewTimer(s.codec.config.ExpectContinueTimeout)
		select {
		case s.permitted = <-s.permission:
		case <-timer.C:
			s.permitted = true
		}
		timer.Stop()
		if !s.permitted {
			s.permit(false) // to the next Read

			return 0, errUnwanted
		}
	}
	n, err := s.body.Read(p)
	s.taken.Add(int64(n))
	if err == io.EOF { // only a bare one is the end
		s.drained.Store(true)
	}

	return n, err
}

func (s *sender) Close() error { return s.body.Close() }

// permit says whether the body may go out; the first word counts.
func (s *sender) permit(yes bool) {
	if s == nil || s.permission == nil {
		return
	}
	select {
	case s.permission <- yes:
	default:
	}
}

// answered is told of the final head. A body that still waits for permission
// stays at home.
func (s *sender) answered() {
	if s != nil {
		s.head.Store(true)
		s.permit(false)
	}
}

// settled tells whether the request was sent to its end. A sender that has
// nothing more to read gets a moment to say so.
func (s *sender) settled() bool {
	if s == nil {
		return true
	}
	select {
	case <-s.done:
		return s.err == nil
	default:
	}
	if !s.drained.Load() && (s.length < 0 || s.taken.Load() < s.length) {
		return false
	}
	timer := time.NewTimer(afterAnswer)
	defer timer.Stop()
	select {
	case <-s.done:
		return s.err == nil
	case <-timer.C:
		return false
	}
}

// explain gives the error that a request which could not be sent ended with,
// where the reading of its answer tells only that the connection is closed.
func (s *sender) explain(err error) error {
	if s == nil || !errors.Is(err, net.ErrClosed) && !errors.Is(err, io.ErrClosedPipe) && !errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	select {
	case <-s.done:
		if s.err != nil {
			return s.err
		}
	default:
	}

	return err
}
