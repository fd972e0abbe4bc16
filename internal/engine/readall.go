package engine

import (
	"io"

	"github.com/urlkit/urlkit/protocols"
)

const (
	// trusted is how much is allocated at once on the word of a peer.
	trusted = 1 << 20
	// unknownSize is the first buffer for a body of unknown length.
	unknownSize = 4 << 10
)

// ReadAll reads a response of Load to its end and closes it. The slice is sized
// by Content-Length where that is known, and grown in steps where it is large. A
// body of more than limit bytes is DataLengthExceedsMaximum; limit < 0: none.
func ReadAll(resp *protocols.Response, limit int64) ([]byte, error) {
	b, ok := resp.Body.(*body)
	if !ok {
		return []byte{}, nil // NoBody
	}
	expected := b.expected
	if b.decoder != nil {
		expected = -1
	}
	if limit >= 0 && expected > limit {
		return nil, b.tooLong(limit)
	}
	size := expected
	if size < 0 {
		size = unknownSize
	}
	data := make([]byte, 0, min(size, trusted))
	for {
		if len(data) == cap(data) && int64(len(data)) != expected {
			data = grow(data, expected)
		}
		into := data[len(data):cap(data)]
		if len(into) == 0 {
			into = b.scratch[:] // the end is still to come
		}
		n, err := b.next(into, true)
		data = data[:min(len(data)+n, cap(data))]
		if limit >= 0 && int64(len(data)) > limit {
			return nil, b.tooLong(limit)
		}
		if err == io.EOF { //nolint:errorlint // a Reader returns io.EOF bare
			return data, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

func grow(data []byte, expected int64) []byte {
	size := int64(2 * cap(data))
	if expected >= 0 {
		size = min(size, expected)
	}
	larger := make([]byte, len(data), size)
	copy(larger, data)

	return larger
}

func (b *body) tooLong(limit int64) error {
	return b.finish(protocols.Errorf(protocols.DataLengthExceedsMaximum, "the body is longer than %d bytes", limit))
}

// Received tells whether all of a body has come from its protocol, whatever became of
// it since. It is for the goroutine that reads the body.
func Received(resp *protocols.Response) bool {
	b, ok := resp.Body.(*body)

	return ok && (b.wire.ended || b.wire.count.Load() == b.expected)
}

// Decoded tells whether the body of a response of Load is decoded as it is read.
func Decoded(resp *protocols.Response) bool {
	b, ok := resp.Body.(*body)

	return ok && b.decoder != nil
}
