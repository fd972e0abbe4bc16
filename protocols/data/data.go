// Package data loads data: URLs (RFC 2397), read as browsers read them: by the
// data: URL processor of the WHATWG Fetch standard, with media types by the
// MIME Sniffing standard. A media type that cannot be read is therefore
// text/plain;charset=US-ASCII and no error; a URL without a comma, or with
// base64 that cannot be decoded, is protocols.BadURL.
//
// The methods are GET and HEAD. Nothing leaves the process, and nothing blocks.
package data

import (
	"context"
	"io"
	"net/http"
	"os"
	"strings"
	"sync/atomic"

	"github.com/urlkit/urlkit/protocols"
)

// Schemes is the scheme "data". It is Local, and no redirect lands on it.
func Schemes() []protocols.Scheme {
	return []protocols.Scheme{{
		Name:     "data",
		Security: protocols.Local,
		New:      func(protocols.Client) protocols.URLProtocol { return loader{} },
	}}
}

// loader has no state: all of a load is in its URL.
type loader struct{}

// Load answers with what the URL holds: MIMEType, TextEncodingName, the full
// media type in Content-Type, no status. To HEAD it answers with the length that
// a GET has, and no body.
func (loader) Load(ctx context.Context, req *protocols.Request) (*protocols.Response, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	head := strings.EqualFold(req.Method, http.MethodHead)
	if !head && req.Method != "" && !strings.EqualFold(req.Method, http.MethodGet) {
		return nil, protocols.Errorf(protocols.UnsupportedURL, "the method of a data: URL is GET or HEAD, not %q", req.Method)
	}
	if req.URL == nil {
		return nil, protocols.Errorf(protocols.BadURL, "the request has no URL")
	}
	text, err := urlText(req.URL)
	if err != nil {
		return nil, err
	}
	r, err := process(text)
	if err != nil {
		return nil, err
	}
	resp := &protocols.Response{
		MIMEType:         r.mediaType.name,
		TextEncodingName: strings.ToLower(r.mediaType.parameter("charset")),
		Header:           http.Header{"Content-Type": {r.mediaType.String()}},
		ContentLength:    int64(r.content.Len()),
		Body:             protocols.NoBody,
	}
	if !head && resp.ContentLength > 0 {
		resp.Body = &body{ctx: ctx, content: r.content}
	}

	return resp, nil
}

// body reads what a URL held for as long as its load's context lasts.
type body struct {
	ctx     context.Context // it governs the body as well as the load
	content content
	closed  atomic.Bool
}

func (b *body) usable() error {
	if b.closed.Load() {
		return os.ErrClosed
	}

	return b.ctx.Err()
}

func (b *body) Read(p []byte) (int, error) {
	if err := b.usable(); err != nil {
		return 0, err
	}

	return b.content.Read(p)
}

// WriteTo spares io.Copy its buffer.
func (b *body) WriteTo(w io.Writer) (int64, error) {
	if err := b.usable(); err != nil {
		return 0, err
	}

	return b.content.WriteTo(w)
}

func (b *body) Close() error {
	b.closed.Store(true)

	return nil
}
