package protocols

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
)

// Body is a request's body: data (Bytes or File, which can be described in a
// journal) or a factory (Open). A body is opened anew for each sending (after a
// challenge, a 307, a dead connection), and never while an earlier reader of it
// is open. The zero value is an empty body.
type Body struct {
	// Length in bytes; -1: unknown.
	Length int64
	// Bytes is the body itself; not copied, not to be changed while in use.
	Bytes []byte
	// File is the path of a file that holds the body.
	File string
	// Open gives a reader that starts at offset. It may refuse an offset, or a
	// second opening, with an error.
	Open func(offset int64) (io.ReadCloser, error)
}

// BytesBody is a body of these bytes. They are not copied.
func BytesBody(p []byte) *Body {
	return &Body{Length: int64(len(p)), Bytes: p}
}

// StringBody is a body of the bytes of s.
func StringBody(s string) *Body { return BytesBody([]byte(s)) }

// FileBody is a body of a file's content, read anew at each opening. Its length
// is the file's size now; a file that cannot be looked at has length -1, and the
// load reports why. A file that shrinks while it is sent fails the load.
func FileBody(path string) *Body {
	b := &Body{Length: -1, File: path}
	if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
		b.Length = info.Size()
	}

	return b
}

// FuncBody is a body that open makes anew for each sending, from the offset that
// it is given. length is -1 where it is unknown.
func FuncBody(length int64, open func(offset int64) (io.ReadCloser, error)) *Body {
	return &Body{Length: length, Open: open}
}

// ReaderBody is a body read from r. An io.Seeker is sought back for each sending
// and never closed; any other reader can be sent only once (a second sending is
// RequestBodyStreamExhausted) and is closed after it if it is an io.Closer. The
// length is known for a reader with Len or Seek; otherwise it is -1. A nil reader
// gives nil, no body.
func ReaderBody(r io.Reader) *Body {
	if r == nil {
		return nil
	}
	if s, ok := r.(io.ReadSeeker); ok {
		if b, err := seekerBody(s); err == nil {
			return b
		}
	}
	length := int64(-1)
	if l, ok := r.(interface{ Len() int }); ok {
		length = int64(l.Len())
	}
	var opened atomic.Bool

	return FuncBody(length, func(offset int64) (io.ReadCloser, error) {
		if offset != 0 || opened.Swap(true) {
			return nil, fmt.Errorf("%w: the body is a reader that cannot be read again", RequestBodyStreamExhausted)
		}
		if rc, ok := r.(io.ReadCloser); ok {
			return rc, nil
		}

		return io.NopCloser(r), nil
	})
}

func seekerBody(s io.ReadSeeker) (*Body, error) {
	start, err := s.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil, err
	}
	end, err := s.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	if _, err = s.Seek(start, io.SeekStart); err != nil {
		return nil, err
	}

	return FuncBody(end-start, func(offset int64) (io.ReadCloser, error) {
		if _, err := s.Seek(start+offset, io.SeekStart); err != nil {
			return nil, err
		}

		return io.NopCloser(s), nil
	}), nil
}

// Replayable tells whether the body can be opened a second time as far as can be
// known without trying: bytes and files can.
func (b *Body) Replayable() bool { return b == nil || b.Open == nil }

// OpenAt opens the body at an offset from its start. The reader gives exactly
// Length-offset bytes where Length is known: a source that ends sooner gives
// io.ErrUnexpectedEOF, and what it has beyond is not read.
func (b *Body) OpenAt(offset int64) (io.ReadCloser, error) {
	if b == nil {
		b = &Body{}
	}
	inBytes := b.Open == nil && b.File == ""
	if offset < 0 || b.Length >= 0 && offset > b.Length || inBytes && offset > int64(len(b.Bytes)) {
		return nil, fmt.Errorf("protocols: offset %d is outside a body of %d bytes", offset, b.Length)
	}
	switch {
	case b.Open != nil:
		rc, err := b.Open(offset)
		if err != nil {
			return nil, err
		}
		if rc == nil {
			return nil, fmt.Errorf("%w: the body's Open returned nothing", RequestBodyStreamExhausted)
		}

		return b.exact(rc, offset), nil
	case b.File != "":
		f, err := os.Open(b.File)
		if err != nil {
			return nil, err
		}
		if info, err := f.Stat(); err == nil && info.IsDir() {
			return nil, errors.Join(fmt.Errorf("%w: the body %s is a directory", FileIsDirectory, b.File), f.Close())
		}
		if _, err := f.Seek(offset, io.SeekStart); err != nil {
			return nil, errors.Join(err, f.Close())
		}

		return b.exact(f, offset), nil
	default:
		rc := io.NopCloser(bytes.NewReader(b.Bytes[offset:]))
		if b.Length == int64(len(b.Bytes)) {
			return rc, nil
		}

		return b.exact(rc, offset), nil
	}
}

func (b *Body) exact(rc io.ReadCloser, offset int64) io.ReadCloser {
	if b.Length < 0 {
		return rc
	}

	return &exactReader{rc: rc, left: b.Length - offset}
}

// exactReader gives left bytes, no more and no fewer.
type exactReader struct {
	rc   io.ReadCloser
	left int64
}

func (e *exactReader) Read(p []byte) (int, error) {
	if e.left <= 0 {
		return 0, io.EOF
	}
	if int64(len(p)) > e.left {
		p = p[:e.left]
	}
	n, err := e.rc.Read(p)
	e.left -= int64(n)
	if errors.Is(err, io.EOF) && e.left > 0 {
		err = fmt.Errorf("the request body ended %d bytes before its length: %w", e.left, io.ErrUnexpectedEOF)
	}

	return n, err
}

func (e *exactReader) Close() error { return e.rc.Close() }
