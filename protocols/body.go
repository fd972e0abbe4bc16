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
	// Length in bytes; -1: unknown. 0 with a File or an Open counts as not said:
	// KnownLength finds it out where that is possible.
	Length int64
	// Bytes is the body itself; not copied, not to be changed while in use.
	Bytes []byte
	// File is the path of a file that holds the body.
	File string
	// Open gives a reader that starts at offset. It may refuse an offset, or a
	// second opening, with an error.
	Open func(offset int64) (io.ReadCloser, error)
	// Once says that Open works one time only; a second opening is an error.
	Once bool
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
// it is given. length is -1, or 0, where it is unknown.
func FuncBody(length int64, open func(offset int64) (io.ReadCloser, error)) *Body {
	return &Body{Length: length, Open: open}
}

// ReaderBody is a body read from r. An io.Seeker is sought back for each sending,
// is never closed, and serves one load at a time; any other reader can be sent
// only once (a second sending is RequestBodyStreamExhausted), and a session closes
// it, if it is an io.Closer, in every outcome. The length is known for a reader
// with Len or Seek; otherwise it is -1. A nil reader gives nil, no body.
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
	if length == 0 {
		length = -1 // a Len that says nothing of what a Read would give
	}
	var opened atomic.Bool
	b := FuncBody(length, func(offset int64) (io.ReadCloser, error) {
		if offset != 0 || opened.Swap(true) {
			return nil, fmt.Errorf("%w: the body is a reader that cannot be read again", RequestBodyStreamExhausted)
		}
		if rc, ok := r.(io.ReadCloser); ok {
			return rc, nil
		}

		return io.NopCloser(r), nil
	})
	b.Once = true

	return b
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

	if end == start {
		return BytesBody(nil), nil
	}

	return FuncBody(end-start, func(offset int64) (io.ReadCloser, error) {
		if _, err := s.Seek(start+offset, io.SeekStart); err != nil {
			return nil, err
		}

		return io.NopCloser(s), nil
	}), nil
}

// Replayable tells whether the body can be opened a second time.
func (b *Body) Replayable() bool { return b == nil || !b.Once }

// KnownLength is the length in bytes; -1: unknown. It is the length of Bytes, the
// Length of a File or an Open, and where a File's is not said its size now.
func (b *Body) KnownLength() int64 {
	switch {
	case b == nil:
		return 0
	case b.Open == nil && b.File == "":
		return int64(len(b.Bytes))
	case b.Length > 0:
		return b.Length
	case b.Length == 0 && b.Open == nil:
		if info, err := os.Stat(b.File); err == nil && info.Mode().IsRegular() {
			return info.Size()
		}
	}

	return -1
}

// OpenAt opens the body at an offset from its start. The reader gives exactly the
// known length less the offset: a source that ends sooner gives
// io.ErrUnexpectedEOF, and what it has beyond is not read.
func (b *Body) OpenAt(offset int64) (io.ReadCloser, error) {
	length := b.KnownLength()
	if offset < 0 || length >= 0 && offset > length {
		return nil, fmt.Errorf("protocols: offset %d is outside a body of %d bytes", offset, length)
	}
	switch {
	case b == nil:
		return NoBody, nil
	case b.Open != nil:
		rc, err := b.Open(offset)
		if err != nil {
			return nil, err
		}
		if rc == nil {
			return nil, fmt.Errorf("%w: the body's Open returned nothing", RequestBodyStreamExhausted)
		}

		return exact(rc, length, offset), nil
	case b.File != "":
		f, err := openFile(b.File, offset)
		if err != nil {
			return nil, err
		}

		return exact(f, length, offset), nil
	default:
		return io.NopCloser(bytes.NewReader(b.Bytes[offset:])), nil
	}
}

func openFile(name string, offset int64) (*os.File, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err == nil && info.IsDir() {
		_ = f.Close()

		return nil, Errorf(FileIsDirectory, "the body %s is a directory", name)
	}
	if _, err := f.Seek(offset, io.SeekStart); err != nil {
		_ = f.Close()

		return nil, err
	}

	return f, nil
}

func exact(rc io.ReadCloser, length, offset int64) io.ReadCloser {
	if length < 0 {
		return rc
	}

	return &exactReader{rc: rc, left: length - offset}
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
