package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
)

// body reads a part of a file, from where the file stands. It is the only owner
// of the file, and holds no buffer.
type body struct {
	ctx    context.Context // it governs the body as well as the load
	file   *os.File
	left   int64 // bytes to come; -1: to the end of the file
	closed atomic.Bool
}

func (b *body) Read(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	if b.left == 0 {
		return 0, io.EOF
	}
	if b.left > 0 && int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.file.Read(p)
	b.took(int64(n))
	if errors.Is(err, io.EOF) {
		err = b.end()
	}

	return n, err
}

const (
	copyStep   = 4 << 20 // bytes between two looks at the context
	copyBuffer = 256 << 10
)

var copyBuffers = sync.Pool{New: func() any { return new([copyBuffer]byte) }}

// WriteTo lets the system copy the file where w can (sendfile to a connection, a
// copy on the file system to a file), and otherwise copies in large pieces.
func (b *body) WriteTo(w io.Writer) (int64, error) {
	var buffer []byte
	if _, ok := w.(io.ReaderFrom); !ok {
		array, _ := copyBuffers.Get().(*[copyBuffer]byte)
		defer copyBuffers.Put(array)
		buffer = array[:]
	}
	var total int64
	for b.left != 0 {
		if err := b.ctx.Err(); err != nil {
			return total, err
		}
		step := int64(copyStep)
		if b.left > 0 {
			step = min(step, b.left)
		}
		n, err := io.CopyBuffer(w, &io.LimitedReader{R: b.file, N: step}, buffer)
		total += n
		b.took(n)
		if err != nil {
			return total, err
		}
		if n < step {
			if err := b.end(); !errors.Is(err, io.EOF) {
				return total, err
			}

			break
		}
	}

	return total, nil
}

func (b *body) took(n int64) {
	if b.left > 0 {
		b.left -= n
	}
}

// end is the error at the end of the file.
func (b *body) end() error {
	if b.left > 0 {
		return fmt.Errorf("%s ended %d bytes before its length: %w", b.file.Name(), b.left, io.ErrUnexpectedEOF)
	}

	return io.EOF
}

// Close may be called during a Read, which then ends, and more than once.
func (b *body) Close() error {
	if b.closed.Swap(true) {
		return nil
	}

	return b.file.Close()
}
