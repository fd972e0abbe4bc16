package http

import (
	"sync"

	"golang.org/x/net/http2"
)

// Pieces of memory for what has come of a body, a short and a long kind.
const (
	shortChunk = 2 << 10
	longChunk  = 16 << 10
)

var (
	shortChunks = sync.Pool{New: func() any { return &chunk{data: make([]byte, shortChunk)} }}
	longChunks  = sync.Pool{New: func() any { return &chunk{data: make([]byte, longChunk)} }}
)

// chunk holds bytes from read to written.
type chunk struct {
	next          *chunk
	data          []byte
	read, written int
}

func newChunk(n int) *chunk {
	pool := &longChunks
	if n <= shortChunk {
		pool = &shortChunks
	}
	c, _ := pool.Get().(*chunk)

	return c
}

func (c *chunk) release() {
	c.next, c.read, c.written = nil, 0, 0
	if len(c.data) == shortChunk {
		shortChunks.Put(c)
	} else {
		longChunks.Put(c)
	}
}

// backlog is what has come of a body and was not read. It is filled in place: from
// the connection to it, and from it to the reader, are the two copies that a body
// costs. It holds no memory but for such bytes and the rest of one chunk.
type backlog struct {
	first, last *chunk
}

// room gives space for the next bytes, n or fewer; wrote is told how many came.
func (b *backlog) room(n int) []byte {
	if b.last == nil || b.last.written == len(b.last.data) {
		c := newChunk(n)
		if b.last == nil {
			b.first = c
		} else {
			b.last.next = c
		}
		b.last = c
	}
	free := b.last.data[b.last.written:]

	return free[:min(n, len(free))]
}

func (b *backlog) wrote(n int) { b.last.written += n }

// take moves bytes to p. filling: the last chunk is being written to, and stays.
func (b *backlog) take(p []byte, filling bool) (n int) {
	for b.first != nil && n < len(p) {
		c := b.first
		m := copy(p[n:], c.data[c.read:c.written])
		n += m
		if c.read += m; c.read < c.written || c == b.last && filling {
			break
		}
		b.shift()
	}

	return n
}

// shift releases the first chunk.
func (b *backlog) shift() {
	c := b.first
	if b.first = c.next; b.first == nil {
		b.last = nil
	}
	c.release()
}

// free releases all of it, but for a chunk that is being written to, and gives the
// number of bytes that nobody has read.
func (b *backlog) free(filling bool) (n int) {
	for c := b.first; c != nil && (c != b.last || !filling); c = b.first {
		n += c.written - c.read
		b.shift()
	}
	if c := b.first; c != nil {
		n += c.written - c.read
		c.read = c.written
	}

	return n
}

// window is what the peer may send on a connection.
type window struct {
	allowed  int64 // bytes
	owed     int64 // bytes that are allowed again, and that it was not told of
	withheld int64 // bytes that will be once more is read
}

// took counts what has come on the connection. The lock is held.
func (c *codec2) took(n int64) error {
	if c.receive.allowed -= n; c.receive.allowed < 0 {
		return violation{http2.ErrCodeFlowControl, "more data than the connection's window"}
	}
	c.receive.withheld += n
	c.repay()

	return nil
}

// repay allows the peer again what was withheld, unless too much is
// unread. The lock is held.
func (c *codec2) repay() {
	w := &c.receive
	if c.unread.Load() > maxUnread {
		return
	}
	w.owed, w.withheld = w.owed+w.withheld, 0
	if w.owed >= windowOfConnection/4 {
		_ = c.out.frames.WriteWindowUpdate(0, uint32(w.owed))
		w.allowed, w.owed = w.allowed+w.owed, 0
	}
}
