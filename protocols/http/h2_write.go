package http

import (
	"bytes"
	"encoding/binary"
	"net"
	"runtime"
	"strings"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

const (
	// crowd is from how many requests on a connection its frames are gathered: fewer do
	// not overlap, and would only be handed to another goroutine.
	crowd = 3
	// drained is how much is written by the one who has something to say: the system's
	// buffer takes it at once if the peer has read what went before.
	drained = 8 << 10
	// prompt is how often a write that should take no time is looked at.
	prompt = time.Second
	// maxQueued bounds what waits to be written, for a request to join it.
	maxQueued = 1 << 20
	// maxReplies bounds the answers to PING and SETTINGS among it.
	maxReplies = 1000
	// keptQueue is how much memory stays for the next frames.
	keptQueue = 80 << 10
)

// outbox is what a connection is about to write. Frames wait there in their order;
// one goroutine at a time writes them, several in one record of TLS.
type outbox struct {
	queue   []byte
	spare   []byte
	frames  *http2.Framer // into queue
	block   bytes.Buffer  // a head
	heads   *hpack.Encoder
	names   []string            // scratch
	fields  []hpack.HeaderField // scratch
	writing bool
	broken  bool  // a write has failed: nothing is written any more
	direct  bool  // the system buffers what is written
	written int64 // bytes that were taken out
	seen    int64 // of those, what the peer has certainly read
	replies int   // in queue
	guard   guard
}

// guard watches over who writes by himself. A peer that answers what it has not read
// could hold him up.
type guard struct {
	timer   *time.Timer
	armed   bool
	writing bool  // somebody does
	looked  int64 // how much was written when the guard looked last
}

func (o *outbox) start(conn net.Conn) {
	o.frames = http2.NewFramer(o, nil)
	o.heads = hpack.NewEncoder(&o.block)
	if addr := conn.RemoteAddr(); addr != nil {
		o.direct = strings.HasPrefix(addr.Network(), "tcp")
	}
}

// Write queues a frame.
func (o *outbox) Write(frame []byte) (int, error) {
	o.queue = append(o.queue, frame...)

	return len(frame), nil
}

// data queues a frame of a body: the framer would copy it once more.
func (o *outbox) data(stream uint32, end bool, p []byte) {
	flags := http2.Flags(0)
	if end {
		flags = http2.FlagDataEndStream
	}
	n := len(p)
	o.queue = append(o.queue, byte(n>>16), byte(n>>8), byte(n), byte(http2.FrameData), byte(flags))
	o.queue = binary.BigEndian.AppendUint32(o.queue, stream)
	o.queue = append(o.queue, p...)
}

func (o *outbox) total() int64 { return o.written + int64(len(o.queue)) }

// fits tells whether the system takes what is queued, and n bytes more, without
// waiting for the peer.
func (o *outbox) fits(n int) bool { return o.direct && o.total()+int64(n)-o.seen <= drained }

// take gives what is queued. The buffers are two: one is filled while the other is
// written.
func (o *outbox) take() []byte {
	batch := o.queue
	o.written += int64(len(batch))
	o.queue, o.spare, o.replies = o.spare[:0], nil, 0

	return batch
}

func (o *outbox) give(batch []byte) {
	if cap(batch) <= keptQueue {
		o.spare = batch
	}
}

// send sees to it that what is queued is written, and releases the lock. The caller
// writes by itself if that takes no time.
func (c *codec2) send() {
	switch {
	case len(c.out.queue) == 0 || c.out.writing || c.dead():
		c.mu.Unlock()
	case len(c.streams) >= crowd || !c.out.fits(0):
		c.out.writing = true
		c.mu.Unlock()
		go c.drain(true)
	default:
		c.out.writing = true
		c.keepGuard()
		c.writeBatch()
		c.out.guard.writing = false
		if len(c.out.queue) > 0 && !c.dead() {
			c.mu.Unlock()
			go c.drain(false)

			return
		}
		c.stopWriting()
		c.mu.Unlock()
	}
}

// keepGuard begins to watch over the caller's write. The lock is held.
func (c *codec2) keepGuard() {
	g := &c.out.guard
	g.writing = true
	switch {
	case g.armed:
		return
	case g.timer == nil:
		g.timer = time.AfterFunc(prompt, c.lookAtWrite)
	default:
		g.timer.Reset(prompt)
	}
	g.armed = true
}

var errUnreadByPeer = violation{http2.ErrCodeProtocol, "answers to what the server has not read"}

// lookAtWrite ends the connection if a write is still the one of the last look.
func (c *codec2) lookAtWrite() {
	c.mu.Lock()
	g := &c.out.guard
	stuck := g.writing && g.looked == c.out.written
	g.looked = c.out.written
	if g.armed = g.writing && !stuck && c.err == nil; g.armed {
		g.timer.Reset(prompt)
	}
	c.mu.Unlock()
	if stuck {
		c.fail(errUnreadByPeer)
	}
}

// drain writes until nothing is queued; late: after those who are about to queue
// something have.
func (c *codec2) drain(late bool) {
	if late {
		runtime.Gosched()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.out.queue) > 0 && !c.dead() {
		c.writeBatch()
	}
	c.stopWriting()
}

func (c *codec2) stopWriting() {
	c.out.writing = false
	c.room.Broadcast()
}

// writeBatch writes what is queued. The lock is held, but not while it writes; who
// calls has the right to write.
func (c *codec2) writeBatch() {
	if len(c.out.queue) == 0 {
		return
	}
	batch := c.out.take()
	c.mu.Unlock()
	_, err := c.conn.Write(batch)
	c.mu.Lock()
	c.out.give(batch)
	if err != nil && !c.dead() {
		c.out.broken = true
		c.shut.Store(true)
		// What the peer said before it hung up is still to be read, and tells more: an
		// answer, or an alert of TLS.
		time.AfterFunc(afterBreak, func() { c.fail(unwritten{err}) })
	}
}

// dead tells whether nothing is written any more. The lock is held.
func (c *codec2) dead() bool { return c.err != nil || c.out.broken }
