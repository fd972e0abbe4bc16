package cache

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"sync"
)

// A body's file is blocks of 64 KiB, the last one shorter, each with its CRC-32C
// behind it: so each is verified before it is read from, wherever a reader begins.
const blockSize = 64 << 10

// block is the buffer for one, with its checksum.
type block [blockSize + 4]byte

var blocks = sync.Pool{New: func() any { return new(block) }}

// fileLength is how long a file for n bytes is.
func fileLength(n int64) int64 { return n + (n+blockSize-1)/blockSize*4 }

// bodyFile is the file of a body that is being written.
type bodyFile struct {
	file   *os.File
	name   string
	buffer *block
	filled int
}

// write appends. grow is told before the file grows, and may refuse.
func (b *bodyFile) write(p []byte, grow func(int64) error) error {
	for len(p) > 0 {
		n := copy(b.buffer[b.filled:blockSize], p)
		b.filled += n
		p = p[n:]
		if b.filled == blockSize {
			if err := b.end(grow); err != nil {
				return err
			}
		}
	}

	return nil
}

// end writes the block that is in the buffer, if there is one.
func (b *bodyFile) end(grow func(int64) error) error {
	if b.filled == 0 {
		return nil
	}
	binary.LittleEndian.PutUint32(b.buffer[b.filled:], crc32.Checksum(b.buffer[:b.filled], castagnoli))
	piece := b.buffer[:b.filled+4]
	b.filled = 0
	if err := grow(int64(len(piece))); err != nil {
		return err
	}
	_, err := b.file.Write(piece)

	return err
}

// close ends the use of the file and its buffer. It may be called again.
func (b *bodyFile) close() error {
	if b.buffer == nil {
		return nil
	}
	blocks.Put(b.buffer)
	b.buffer = nil

	return b.file.Close()
}

// source is where a reader finds a stretch.
type source struct {
	stretch
	open *os.File // nil: in data
}

// reader reads the stretches of a part. All files are open from the beginning, so
// that nothing that happens to the entry concerns it.
type reader struct {
	mu      sync.Mutex // Close may come during a Read; what Read waits for is a disk
	sources []source
	offset  int64 // in the body
	buffer  *block
	ready   []byte // of the buffer
	failed  error
	damaged func(error)
}

// Read implements io.Reader.
func (r *reader) Read(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		switch {
		case r.failed != nil:
			return 0, r.failed
		case len(p) == 0:
			return 0, nil
		case len(r.ready) > 0:
			n := copy(p, r.ready)
			r.ready = r.ready[n:]
			r.offset += int64(n)

			return n, nil
		}
		r.next()
	}
}

// next makes bytes ready, or says why there are none.
func (r *reader) next() {
	for len(r.sources) > 0 && r.offset >= r.sources[0].end {
		if f := r.sources[0].open; f != nil {
			_ = f.Close()
		}
		r.sources = r.sources[1:]
	}
	if len(r.sources) == 0 {
		r.failed = io.EOF
		return
	}
	s := &r.sources[0]
	if s.open == nil {
		r.ready = s.data[r.offset-s.base : s.end-s.base]
		return
	}
	if r.buffer == nil {
		r.buffer, _ = blocks.Get().(*block)
	}
	content, err := readBlock(s, (r.offset-s.base)/blockSize, r.buffer)
	if err != nil {
		r.failed = err
		r.damaged(err)

		return
	}
	skip := (r.offset - s.base) % blockSize
	r.ready = content[skip:min(int64(len(content)), skip+s.end-r.offset)]
}

// readBlock reads and verifies a block of a file.
func readBlock(s *source, number int64, buffer *block) ([]byte, error) {
	n := int(min(s.length-number*blockSize, blockSize))
	if _, err := s.open.ReadAt(buffer[:n+4], number*int64(len(buffer))); err != nil {
		return nil, err
	}
	if crc32.Checksum(buffer[:n], castagnoli) != binary.LittleEndian.Uint32(buffer[n:]) {
		return nil, fmt.Errorf("%w: the body has changed", errDamaged)
	}

	return buffer[:n], nil
}

// Close implements io.Closer. It may be called again, and during a Read.
func (r *reader) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.sources {
		if s.open != nil {
			_ = s.open.Close()
		}
	}
	r.sources, r.ready, r.failed = nil, nil, fs.ErrClosed
	if r.buffer != nil {
		blocks.Put(r.buffer)
		r.buffer = nil
	}

	return nil
}

// memoryReader reads a stretch that is in memory: the one that small bodies have.
type memoryReader struct {
	mu     sync.Mutex // as in reader
	rest   []byte
	closed bool
}

// Read implements io.Reader.
func (r *memoryReader) Read(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.closed:
		return 0, fs.ErrClosed
	case len(p) == 0:
		return 0, nil
	case len(r.rest) == 0:
		return 0, io.EOF
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]

	return n, nil
}

// Close implements io.Closer.
func (r *memoryReader) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rest, r.closed = nil, true

	return nil
}
