package urlsession

import (
	"bufio"
	"errors"
	"io"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"

	"github.com/urlkit/urlkit/internal/engine"
)

// maxWindow is what RFC 9659 allows a zstd-coded response to ask of its reader.
const maxWindow = 8 << 20

// decoders are the content codings that a session undoes. Their readers are
// pooled: making one costs more than decoding a short body.
var decoders = map[string]engine.Decoder{
	"gzip":    pooled(&sync.Pool{New: func() any { return new(gzip.Reader) }}),
	"br":      pooled(&sync.Pool{New: func() any { return brotli.NewReader(nil) }}),
	"zstd":    pooled(&sync.Pool{New: newZstd}),
	"deflate": deflate,
}

// resetter is a decoder that can be used again.
type resetter interface {
	io.Reader
	Reset(r io.Reader) error
}

func pooled(pool *sync.Pool) engine.Decoder {
	return func(r io.Reader) (io.ReadCloser, error) {
		decoder, _ := pool.Get().(resetter)
		if err := decoder.Reset(r); err != nil {
			pool.Put(decoder)

			return nil, err
		}

		return &pooledReader{decoder, pool}, nil
	}
}

// pooledReader gives its decoder back when it is closed.
type pooledReader struct {
	decoder resetter
	pool    *sync.Pool
}

func (p *pooledReader) Read(b []byte) (int, error) {
	if p.decoder == nil {
		return 0, errDecoderClosed
	}

	return p.decoder.Read(b)
}

func (p *pooledReader) Close() error {
	if p.decoder != nil {
		p.pool.Put(p.decoder)
		p.decoder = nil
	}

	return nil
}

var errDecoderClosed = errors.New("the decoder is closed")

// newZstd decodes on the caller's goroutine.
func newZstd() any {
	d, err := zstd.NewReader(nil,
		zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		panic("urlsession: " + err.Error()) // the options are constant
	}

	return d
}

// deflate is the coding of RFC 9110 §8.4.1.2: zlib's format, and for the sake of
// the servers that misread the name the bare one too.
func deflate(r io.Reader) (io.ReadCloser, error) {
	buffered := bufio.NewReader(r)
	head, err := buffered.Peek(2)
	if err != nil {
		return nil, err
	}
	d := &deflateReader{source: buffered}
	if head[0]&0x0f == 8 && (int(head[0])<<8|int(head[1]))%31 == 0 {
		d.ReadCloser, err = zlib.NewReader(buffered)
	} else {
		d.ReadCloser = flate.NewReader(buffered)
	}

	return d, err
}

// deflateReader notices what follows the coded data: its buffer hides it.
type deflateReader struct {
	io.ReadCloser

	source *bufio.Reader
}

func (d *deflateReader) Read(p []byte) (int, error) {
	n, err := d.ReadCloser.Read(p)
	if err == io.EOF && d.source.Buffered() > 0 {
		err = errTrailingData
	}

	return n, err
}

var errTrailingData = errors.New("bytes follow the end of the coded data")
