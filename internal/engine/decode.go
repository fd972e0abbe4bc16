package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/urlkit/urlkit/protocols"
)

const (
	// maxCodings is how many content codings may be stacked.
	maxCodings = 4
	// freeExpansion is how much any body may decode to, however short it is: the
	// ratio of a short text says nothing.
	freeExpansion = 16 << 20
)

// decode undoes the content codings (RFC 9110 §8.4), the last applied first. The
// header is left as received.
func (l *load) decode(h *hop, resp *protocols.Response) error {
	codings := contentCodings(resp.Header)
	if len(codings) == 0 || resp.StatusCode == http.StatusPartialContent {
		return nil // a part of an encoded body cannot be decoded by itself
	}
	if len(codings) > maxCodings {
		return protocols.Errorf(protocols.CannotDecodeContentData, "%d content codings are stacked", len(codings))
	}
	for _, coding := range codings {
		if l.engine.config.Decoders[coding] == nil {
			if l.plain {
				return nil // the app asked for codings itself
			}

			return protocols.Errorf(protocols.CannotDecodeContentData, "the content coding %q is not known", coding)
		}
	}
	if l.plain && l.task.OneHop {
		return nil
	}
	d := &decoding{of: &l.body, codings: codings}
	l.body.from = d
	l.body.decoder = d

	return nil
}

func contentCodings(header http.Header) []string {
	values := header["Content-Encoding"]
	if len(values) == 0 {
		return nil
	}
	var codings []string
	for _, v := range values {
		for coding := range strings.SplitSeq(v, ",") {
			coding = strings.ToLower(strings.TrimSpace(coding))
			coding = strings.TrimPrefix(coding, "x-") // RFC 9110 §8.4.1.3
			if coding != "" && coding != "identity" {
				codings = append(codings, coding)
			}
		}
	}

	return codings
}

// decoding reads decoded bytes. The decoders are made at the first Read, because
// they read a header from the body; they are closed, and their buffers reused,
// at the end by the goroutine that reads.
type decoding struct {
	of       *body
	codings  []string
	decoders []io.ReadCloser
	top      io.Reader
	failed   error // what a stage ended the decoding with
}

// stage is what comes out of one decoder. Each is held to the bound, and to the
// end of the load: a decoder beneath another can make much of few bytes while
// nothing comes out at the top.
type stage struct {
	of    *decoding
	from  io.Reader
	count int64
}

func (s *stage) Read(p []byte) (int, error) {
	n, err := s.from.Read(p)
	s.count += int64(n)
	d := s.of
	l, wire := d.of.hop.of, d.of.wire.count.Load()
	if limit := int64(l.engine.config.Expansion); limit > 0 && s.count > freeExpansion && s.count/limit > wire {
		d.failed = protocols.Errorf(protocols.CannotDecodeRawData,
			"the body decodes to more than %d times its size: %d bytes from %d", limit, s.count, wire)
	} else if cause := context.Cause(l.ctx); cause != nil {
		d.failed = cause
	}
	if d.failed != nil {
		err = d.failed
	}

	return n, err
}

func (d *decoding) Read(p []byte) (int, error) {
	if d.top == nil {
		if err := d.start(); err != nil {
			return 0, d.explain(err)
		}
	}
	n, err := d.top.Read(p)
	if err != nil {
		err = d.explain(err)
		_ = d.Close()
	}

	return n, err
}

func (d *decoding) start() error {
	var from io.Reader = &d.of.wire
	for i := len(d.codings) - 1; i >= 0; i-- {
		decoder, err := d.of.hop.of.engine.config.Decoders[d.codings[i]](from)
		if err != nil {
			return err
		}
		d.decoders = append(d.decoders, decoder)
		from = &stage{of: d, from: decoder}
	}
	d.top = from

	return nil
}

// explain tells a body that was cut from one that is corrupt. After the coded
// data's end the body must end too.
func (d *decoding) explain(err error) error {
	wire := &d.of.wire
	switch {
	case d.failed != nil:
		return d.failed
	case wire.failed != nil:
		return wire.failed
	case err == io.EOF: //nolint:errorlint // a Reader returns io.EOF bare
		var rest [1]byte
		n, tail := io.ReadFull(wire, rest[:])
		if n > 0 {
			return protocols.Errorf(protocols.CannotDecodeRawData, "bytes follow the end of the coded data")
		}
		if errors.Is(tail, io.EOF) {
			return io.EOF
		}

		return tail
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		if wire.count.Load() == 0 {
			return io.EOF // an empty body is an empty body in every coding
		}

		return fmt.Errorf("the coded body is cut short: %w", io.ErrUnexpectedEOF)
	default:
		return protocols.Errorf(protocols.CannotDecodeRawData, "%w", err)
	}
}

// Close gives the decoders' buffers back.
func (d *decoding) Close() error {
	var err error
	for _, decoder := range d.decoders {
		err = errors.Join(err, decoder.Close())
	}
	d.decoders = nil
	d.top = ended{}

	return err
}

type ended struct{}

func (ended) Read([]byte) (int, error) { return 0, io.EOF }

// codings lists what can be decoded, sorted.
func (e *Engine) codings() []string {
	return slices.Sorted(maps.Keys(e.config.Decoders))
}
