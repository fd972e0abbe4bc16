package publish

import (
	"io"
	"io/fs"
	"sync"
	"time"

	"github.com/urlkit/urlkit/protocols"
)

const (
	// appendBuffer is how much Append gathers: the system takes few large pieces with
	// less work than many small ones, such as the records of TLS.
	appendBuffer = 256 << 10
	// gatherAfter is from where on it does. What is shorter is written at once.
	gatherAfter = 1 << 20
)

var appendBuffers = sync.Pool{New: func() any { return new([appendBuffer]byte) }}

// gathered is what Append has read, and not written yet.
type gathered struct {
	array  *[appendBuffer]byte // of the pool; nil: the pieces of direct are filled
	buffer []byte              // nil: Append was not called
	filled int                 // of buffer
	taken  int                 // of what is filled: is written
	since  time.Time           // when the present directStep was begun
	direct *direct             // nil: pieces go through the system's cache
}

// Append reads once from r, and writes what it got: at once, or in a large file
// together with what follows, and in Close at the latest. It returns what r did, or
// 0 and CannotWriteToFile, which may concern what was appended before. A file is
// written by Append or by Write, and not discarded meanwhile.
func (f *File) Append(r io.Reader) (int, error) {
	if f.closed || f.name == "" {
		return 0, protocols.Errorf(protocols.CannotWriteToFile, "%w", fs.ErrClosed)
	}
	g := &f.gathered
	if g.buffer == nil {
		g.array, _ = appendBuffers.Get().(*[appendBuffer]byte)
		g.buffer, g.since = g.array[:], time.Now()
	}
	n, err := r.Read(g.buffer[g.filled:])
	g.filled += n
	if failed := f.flush(); failed != nil {
		return 0, failed
	}

	return n, err
}

// flush writes what need not wait for more. Buffers begin where a multiple of their
// size was written before.
func (f *File) flush() error {
	g := &f.gathered
	full := g.filled == len(g.buffer)
	switch {
	case full && g.direct != nil:
		var err error
		if g.buffer, err = g.direct.write(g.buffer); err != nil {
			return protocols.Errorf(protocols.CannotWriteToFile, "%w", err)
		}
	case full || g.filled > g.taken && f.written < gatherAfter:
		if err := f.take(); err != nil {
			return err
		}
	}
	if full {
		g.filled, g.taken = 0, 0
		f.hurry()
	}

	return nil
}

// take writes what is gathered, through the cache.
func (f *File) take() error {
	g := &f.gathered
	_, err := f.Write(g.buffer[g.taken:g.filled])
	g.taken = g.filled

	return err
}

// hurry lets what follows go to the disk directly, if it comes fast and others
// leave room for it.
func (f *File) hurry() {
	g := &f.gathered
	if g.direct != nil || f.written%directStep != 0 {
		return
	}
	took := time.Since(g.since)
	g.since = g.since.Add(took)
	if took > directWithin {
		return
	}
	if g.direct = newDirect(f); g.direct != nil {
		appendBuffers.Put(g.array)
		g.array, g.buffer = nil, newPiece()
	}
}

// settle writes the rest.
func (f *File) settle() error {
	g := &f.gathered
	if g.direct != nil {
		offset, err := g.direct.close()
		g.direct = nil
		if err == nil {
			_, err = f.file.Seek(offset, io.SeekStart)
		}
		if err != nil {
			return protocols.Errorf(protocols.CannotWriteToFile, "%w", err)
		}
	}
	var err error
	if g.filled > g.taken {
		err = f.take()
	}
	f.forget()

	return err
}

// forget gives up what was not written.
func (f *File) forget() {
	g := &f.gathered
	if g.direct != nil {
		_, _ = g.direct.close()
	}
	if g.array != nil {
		appendBuffers.Put(g.array)
	}
	*g = gathered{}
}
