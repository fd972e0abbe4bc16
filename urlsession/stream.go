package urlsession

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"iter"

	"github.com/urlkit/urlkit/protocols"
)

const (
	maxLine   = 1 << 20
	chunkSize = 64 << 10
)

// ByteStream is a response body as it arrives (Apple's URLSession.AsyncBytes):
// an io.ReadCloser with views by lines and by chunks. Back-pressure is the
// reader's: what is not read is not fetched beyond a fixed buffer. Close may be
// called at any time, by any goroutine; reading is for one at a time.
type ByteStream struct {
	body     io.ReadCloser
	response *Response
	load     *protocols.Response
	err      error // what the last Read gave
}

// Response is the head of the response. Its Trailer is filled once the stream
// has given io.EOF.
func (b *ByteStream) Response() *Response { return b.response }

// Read gives the next decoded bytes. Its errors are *Error, but for io.EOF.
func (b *ByteStream) Read(p []byte) (int, error) {
	n, err := b.body.Read(p)
	if err != nil {
		b.err = err
		b.response.Trailer = b.load.Trailer
	}

	return n, err
}

// Close ends the load. It is idempotent.
func (b *ByteStream) Close() error { return b.body.Close() }

// Lines gives the lines of the body without their ends (LF or CR LF); empty
// lines are kept, and so is a last line without an end. Leaving the loop closes
// the stream. A line of more than 1 MiB ends it with DataLengthExceedsMaximum.
func (b *ByteStream) Lines() iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		defer b.Close()
		scanner := bufio.NewScanner(b)
		scanner.Buffer(make([]byte, 0, 4<<10), maxLine)
		scanner.Split(b.scanLine)
		for scanner.Scan() {
			if !yield(scanner.Text(), nil) {
				return
			}
		}
		switch err := scanner.Err(); {
		case errors.Is(err, bufio.ErrTooLong):
			yield("", &Error{
				Code: DataLengthExceedsMaximum, Op: "read", URL: protocols.Redact(b.response.URL), Phase: "body",
				Err: errors.New("a line is longer than 1 MiB"),
			})
		case err != nil:
			yield("", err)
		}
	}
}

// scanLine splits as bufio.ScanLines does, but takes a last line without an end
// only at a true end: a cut body's last piece is no line.
func (b *ByteStream) scanLine(data []byte, atEOF bool) (int, []byte, error) {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return i + 1, bytes.TrimSuffix(data[:i], []byte{'\r'}), nil
	}
	if atEOF && len(data) > 0 && b.err == io.EOF { //nolint:errorlint // a Reader returns io.EOF bare
		return len(data), bytes.TrimSuffix(data, []byte{'\r'}), nil
	}

	if atEOF {
		return len(data), nil, nil
	}

	return 0, nil, nil
}

// Chunks gives the body in pieces as they arrive, of at most 64 KiB. A piece is
// valid until the next turn of the loop. Leaving the loop closes the stream.
func (b *ByteStream) Chunks() iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		defer b.Close()
		buffer := make([]byte, chunkSize)
		for {
			n, err := b.Read(buffer)
			if n > 0 && !yield(buffer[:n], nil) {
				return
			}
			if err == io.EOF { //nolint:errorlint // a Reader returns io.EOF bare
				return
			}
			if err != nil {
				yield(nil, err)

				return
			}
		}
	}
}
