package engine

import (
	"io"

	"github.com/urlkit/urlkit/protocols"
)

// unwatched is how much of a request body goes out unnoticed: so little lies in
// the system's buffers at once.
const unwatched = 64 << 10

// watchUpload makes the reading of a request body count as movement of bytes. A
// body that is short and in memory needs no watching.
func (l *load) watchUpload(b *protocols.Body) *protocols.Body {
	if b == nil || b.Open == nil && b.File == "" && len(b.Bytes) <= unwatched {
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

		return &upload{rc, l}, nil
	}

	return &watched
}

// dropBody closes the app's reader where nobody has opened it: a stage refused
// the request, or the protocol took no body.
func (l *load) dropBody() {
	if b := l.first.given.Body; b != nil && b.Once {
		if rc, err := b.OpenAt(0); err == nil {
			_ = rc.Close()
		}
	}
}

// upload is a request body that is being sent.
type upload struct {
	io.ReadCloser

	of *load
}

func (u *upload) Read(p []byte) (int, error) {
	n, err := u.ReadCloser.Read(p)
	if n > 0 {
		u.of.touch()
	}

	return n, err
}
