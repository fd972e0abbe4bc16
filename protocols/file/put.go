package file

import (
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/urlkit/urlkit/internal/publish"
	"github.com/urlkit/urlkit/protocols"
)

// put replaces a file by the request's body: written beside it, then renamed, so
// that everybody sees the old file or the new one. It makes no folders and
// follows no link at the last element. The new file has the permissions of the
// old one; hard links and attributes stay with the old.
func put(ctx context.Context, req *protocols.Request, name string, folder bool) (*protocols.Response, error) {
	if folder {
		return nil, protocols.Errorf(protocols.FileIsDirectory, "PUT writes files, and a URL that ends in / names a folder")
	}
	for _, field := range []string{"Content-Range", "If-Match", "If-None-Match", "If-Unmodified-Since"} {
		if len(req.Header.Values(field)) > 0 { // to ignore it would destroy what it protects
			return nil, protocols.Errorf(protocols.CannotWriteToFile, "PUT to a file: URL does not know %s", field)
		}
	}
	f, err := publish.Beside(name)
	if err != nil {
		return nil, err
	}
	defer f.Discard()
	if err := fill(ctx, f, req); err != nil {
		return nil, err
	}
	info, err := f.Publish(ctx)
	if err != nil {
		return nil, err
	}
	resp := &protocols.Response{StatusCode: http.StatusCreated, Header: make(http.Header, 1), Body: protocols.NoBody}
	resp.Header.Set("ETag", entityTag(info))
	if f.Replaces() {
		resp.StatusCode = http.StatusNoContent
	}

	return resp, nil
}

// fill writes the request's body, and closes it. It returns when ctx ends, even
// if the body's reader does not: the copying ends with that reader, and finds
// the file closed.
func fill(ctx context.Context, f *publish.File, req *protocols.Request) error {
	content, err := req.OpenBody()
	if content == nil || err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- copyContent(ctx, f, content) }()
	select {
	case err = <-done:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if closing := content.Close(); err == nil {
		err = closing
	}

	return err
}

// copyContent copies in large pieces, and looks at ctx between them.
func copyContent(ctx context.Context, f *publish.File, content io.Reader) error {
	array, _ := copyBuffers.Get().(*[copyBuffer]byte)
	defer copyBuffers.Put(array)
	for idle := 0; idle < 100; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := content.Read(array[:])
		if n > 0 {
			if _, err := f.Write(array[:n]); err != nil {
				return err
			}
			idle = 0
		} else {
			idle++
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}

	return io.ErrNoProgress
}
