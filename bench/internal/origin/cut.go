package origin

import (
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"

	"github.com/urlkit/urlkit/bench/internal/child"
)

const (
	// LargeBody is the length in bytes of Content.
	LargeBody = 1 << 30
	// CutAt is after how many of its bytes Cut ends a body.
	CutAt = LargeBody / 100 * 99
)

// Content is a body of LargeBody bytes that do not repeat, so that a piece that
// is lost, doubled or out of place changes its digest.
func Content() io.Reader {
	return io.LimitReader(rand.NewChaCha8([32]byte{'u', 'r', 'l', 'k', 'i', 't'}), LargeBody)
}

// Cut announces LargeBody bytes and ends after CutAt of them: at /abort without
// ceremony (a closed connection, a reset stream), at /short in the way in which a
// body that is complete ends (on HTTP/2 with END_STREAM).
func Cut(parent *child.Pipe) error {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Length", strconv.Itoa(LargeBody))
		buffer := make([]byte, 64<<10)
		_, err := io.CopyBuffer(struct{ io.Writer }{w}, io.LimitReader(Content(), CutAt), buffer)
		if err != nil || r.URL.Path != "/short" {
			panic(http.ErrAbortHandler)
		}
	})
	address, stop, err := serve(handler, nil)
	if err != nil {
		return err
	}
	defer stop()
	if err := parent.Send(address); err != nil {
		return err
	}

	return parent.UntilEnd()
}
