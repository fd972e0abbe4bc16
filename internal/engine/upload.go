package engine

import (
	"io"

	"github.com/urlkit/urlkit/protocols"
)

// unwatched is how much of a request body goes out unnoticed: so little lies in
// the system's buffers at once.
const unwatched = 64 << 10

// watchUpload makes the reading of a request body count as movement of bytes. A
// body that is short and in memory needs no watching, unless it is measured.
func (h *hop) watchUpload(b *protocols.Body) *protocols.Body {
	l := h.of
	if b == nil || b.Open == nil && b.File == "" && len(b.Bytes) <= unwatched && h.request.Trace == nil {
		return b
	}
	watched := *b
	if watched.Length = b.KnownLength(); watched.Length == 0 {
		return b
	}
	watched.Open = func(offset int64) (io.ReadCloser, error) {
		l.opened.Store(true)
		rc, err := b.OpenAt(offset)
		if err != nil {
			return nil, err
		}

		h.kept.begin(offset)

		return &upload{ReadCloser: rc, of: h, sent: offset}, nil
	}

	return &watched
}

// dropBody closes the app's reader where nobody has opened it: a stage refused
// the request, or the protocol took no body.
func (l *load) dropBody() { Drop(l.first.given.Body) }

// Drop closes the app's reader of a body that can be read only once, where nobody
// has opened it: a session closes it in every outcome.
func Drop(b *protocols.Body) {
	if b == nil || !b.Once {
		return
	}
	if rc, err := b.OpenAt(0); err == nil {
		_ = rc.Close()
	}
}

// upload is a request body that is being sent.
type upload struct {
	io.ReadCloser

	of   *hop
	sent int64
}

func (u *upload) Read(p []byte) (int, error) {
	n, err := u.ReadCloser.Read(p)
	if n > 0 {
		u.sent += int64(n)
		u.of.kept.sent(p[:n])
		u.of.request.Trace.Tell(protocols.RequestBodyBytes, u.sent)
		u.of.of.touch()
	}

	return n, err
}
