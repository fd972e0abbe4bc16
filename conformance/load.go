package conformance

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/urlkit/urlkit/internal/engine"
	"github.com/urlkit/urlkit/internal/fault"
	"github.com/urlkit/urlkit/protocols"
)

// oneHop is how most rows load: what the protocol returns is the result, so that
// nothing is followed, answered or repeated but by the protocol.
var oneHop = &engine.Task{OneHop: true}

// outcome is one load of a session, and what the protocol itself did for it.
type outcome struct {
	resp   *protocols.Response // the session's; nil: Load failed
	call   *call               // the protocol's last; nil: it was not asked
	length int64               // of the body
	sum    [sha256.Size]byte   // of the body
	err    error               // of Load, or of the body
}

// same compares two complete bodies.
func (o *outcome) same(other *outcome) bool { return o.length == other.length && o.sum == other.sum }

// quiet tells whether the protocol ended the body as if it were complete.
func (o *outcome) quiet() bool {
	if o.err != nil || o.call == nil || o.call.body == nil {
		return o.err == nil
	}

	return errors.Is(o.call.body.ended(), io.EOF)
}

// start loads as far as the head.
func (s *session) start(ctx context.Context, req *protocols.Request, task *engine.Task) outcome {
	var rec record
	resp, err := s.engine.Load(context.WithValue(ctx, recordKey{}, &rec), req, task)

	return outcome{resp: resp, call: rec.last(), err: err}
}

// finish reads the body to its end and closes it.
func (o *outcome) finish() {
	if o.resp == nil {
		return
	}
	h := sha256.New()
	n, err := copyTo(h, o.resp.Body)
	o.length, o.sum = n, [sha256.Size]byte(h.Sum(nil))
	o.err = errors.Join(err, o.end())
}

// end closes the response.
func (o *outcome) end() error {
	if o.resp == nil {
		return nil
	}
	if o.resp.Upgraded != nil {
		return o.resp.Upgraded.Close()
	}
	if o.resp.Messages != nil {
		return o.resp.Messages.Close(1000, "")
	}

	return o.resp.Body.Close()
}

// copyTo reads r to its end. A Reader that gives nothing and no error for ever is
// broken too.
func copyTo(h hash.Hash, r io.Reader) (int64, error) {
	buf := make([]byte, 64<<10)
	var n int64
	for idle := 0; idle < 1000; idle++ {
		got, err := r.Read(buf)
		if got > 0 {
			idle = 0
			n += int64(got)
			_, _ = h.Write(buf[:got]) // a hash does not fail
		}
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}

	return n, io.ErrNoProgress
}

// load loads to the end.
func (s *session) load(ctx context.Context, req *protocols.Request) outcome {
	o := s.start(ctx, req, oneHop)
	o.finish()

	return o
}

// running is a load in a goroutine of its own.
type running struct {
	head chan struct{} // closed when Load has returned
	done chan struct{} // closed when the body has ended too
	outcome
}

func (s *session) run(ctx context.Context, req *protocols.Request) *running {
	r := &running{head: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(r.done)
		r.outcome = s.start(ctx, req, oneHop)
		close(r.head)
		r.finish()
	}()

	return r
}

// clean is a load with nothing wrong, that others are compared with.
type clean struct {
	outcome
	session *session
	request *protocols.Request
}

// clean loads a content in a session of its own, which must succeed.
func (r *rig) clean(ctx context.Context, c *Content) (*clean, error) {
	s, err := r.session(nil)
	if err != nil {
		return nil, err
	}
	req, err := r.ask(c)
	if err != nil {
		return nil, err
	}
	o := s.load(ctx, req)
	if o.err != nil {
		return nil, fmt.Errorf("%s cannot be loaded: %w", protocols.Redact(req.URL), o.err)
	}

	return &clean{outcome: o, session: s, request: req}, nil
}

// busiest is the connection that carried the most, and how much that was.
func (c *clean) busiest() (index int, total int64) {
	index = -1
	for _, w := range c.session.dialer.made() {
		if n := w.read.Load(); index < 0 || n > total {
			index, total = w.index, n
		}
	}

	return index, total
}

// on is the plan of a fault on one connection alone.
func on(index int, f fault.Fault) plan {
	return func(i int) fault.Fault {
		if i == index {
			return f
		}

		return fault.Fault{}
	}
}

// framed tells whether the protocol can know where the body ends.
func (c *clean) framed(content *Content) bool {
	return content.Framed || c.call.resp.ContentLength > 0
}

// difference tells where two bodies differ.
func difference(got, want []byte) error {
	if bytes.Equal(got, want) {
		return nil
	}
	at := 0
	for at < len(got) && at < len(want) && got[at] == want[at] {
		at++
	}

	return fmt.Errorf("the body has %d bytes and should have %d; they differ from offset %d", len(got), len(want), at)
}
