package protocols

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"
)

// FromFS makes a URLProtocol that serves the files of a file system: an embedded
// one, an archive, os.DirFS. The URL's path, decoded, is the name of the file;
// the host is not looked at ("app:///index.html" and "app://any/index.html" are
// the same file). Its Scheme should declare Local.
//
// GET and HEAD work, any other method is UnsupportedURL. A file that is missing
// is FileDoesNotExist, one that may not be read NoPermissionsToReadFile, a
// directory (no listing is made) or a URL that ends in "/" FileIsDirectory, a
// path with "." or ".." in it BadURL; errors.Is finds the file system's error,
// fs.ErrNotExist for instance, beneath. ContentLength is the file's size when it
// is opened: a file that shrinks later ends in io.ErrUnexpectedEOF, one that
// grows is read to that length. The MIME type is that of the extension, else
// what the first 512 bytes look like (http.DetectContentType). The request's
// body is never opened. ctx ends a body between two reads: a read inside the file
// system cannot be interrupted. Safe for concurrent use as fsys is.
func FromFS(fsys fs.FS) URLProtocol { return fileSystem{fsys} }

type fileSystem struct{ fsys fs.FS }

const sniffed = 512 // bytes that http.DetectContentType looks at

// Load implements URLProtocol.
func (s fileSystem) Load(ctx context.Context, req *Request) (*Response, error) {
	if err := ctx.Err(); err != nil {
		return nil, ended(ctx, err)
	}
	if s.fsys == nil {
		return nil, errors.New("protocols: FromFS was given no fs.FS")
	}
	if req.URL == nil {
		return nil, req.Validate()
	}
	head := strings.EqualFold(req.Method, http.MethodHead)
	if !head && req.Method != "" && !strings.EqualFold(req.Method, http.MethodGet) {
		return nil, Errorf(UnsupportedURL, "%s of a file system that is only read: use GET or HEAD", req.Method)
	}
	name, isDir, err := fileName(req.URL)
	if err != nil {
		return nil, err
	}
	f, err := s.fsys.Open(name)
	if err != nil {
		return nil, fileError(err)
	}
	resp, err := serveFile(ctx, f, name, isDir)
	if err != nil {
		_ = f.Close()

		return nil, err
	}
	if head {
		err = resp.Body.Close()
		resp.Body = NoBody
	}

	return resp, err
}

// fileName is the name of the file that a URL means, and whether the URL can only
// mean a directory.
func fileName(u *url.URL) (name string, isDir bool, err error) {
	name = u.Path
	if u.Opaque != "" {
		if name, err = url.PathUnescape(u.Opaque); err != nil {
			return "", false, Errorf(BadURL, "%w", err)
		}
	}
	name = strings.TrimPrefix(name, "/")
	if name == "" {
		return ".", true, nil
	}
	trimmed := strings.TrimSuffix(name, "/")
	if !fs.ValidPath(trimmed) {
		return "", false, Errorf(BadURL, "the path %q names no file: %w", name, fs.ErrInvalid)
	}

	return trimmed, trimmed != name, nil
}

// fileError gives the error of opening a file its code.
func fileError(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Errorf(FileDoesNotExist, "%w", err)
	case errors.Is(err, fs.ErrPermission):
		return Errorf(NoPermissionsToReadFile, "%w", err)
	case errors.Is(err, fs.ErrInvalid):
		return Errorf(BadURL, "%w", err)
	default:
		return Errorf(CannotOpenFile, "%w", err)
	}
}

// serveFile makes the response for an open file. f stays open if it fails.
func serveFile(ctx context.Context, f fs.File, name string, isDir bool) (*Response, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, fileError(err)
	}
	if isDir || info.IsDir() {
		return nil, Errorf(FileIsDirectory, "the URL names the directory %q", name)
	}
	resp := &Response{ContentLength: -1}
	if size := info.Size(); info.Mode().IsRegular() && size >= 0 {
		resp.ContentLength = size
	}
	body := &fileBody{ctx: ctx, f: f, left: resp.ContentLength}
	contentType := mime.TypeByExtension(path.Ext(name))
	if contentType == "" {
		first := make([]byte, sniffed)
		n, err := io.ReadFull(body, first)
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, fileError(err)
		}
		body.first = first[:n]
		contentType = http.DetectContentType(first[:n])
	}
	resp.SetContentType(contentType)
	resp.Body = body
	if resp.ContentLength == 0 {
		resp.Body = NoBody // so that 0 counts as known

		return resp, body.Close()
	}

	return resp, nil
}

// fileBody reads a file to the length that was promised. A file need not be safe
// for a Close during a Read: then the Read closes it when it is done.
type fileBody struct {
	ctx   context.Context
	f     fs.File
	first []byte // what was read to guess the type; read by Read alone
	left  int64  // bytes still promised; negative: unknown; read by Read alone

	mu      sync.Mutex
	reading bool
	closed  bool
}

// Read implements io.Reader.
func (b *fileBody) Read(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, ended(b.ctx, err)
	}
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()

		return 0, fs.ErrClosed
	}
	b.reading = true
	b.mu.Unlock()
	n, err := b.read(p)
	b.mu.Lock()
	b.reading = false
	closed := b.closed
	b.mu.Unlock()
	if closed {
		return 0, errors.Join(fs.ErrClosed, b.f.Close())
	}

	return n, err
}

func (b *fileBody) read(p []byte) (int, error) {
	if len(b.first) > 0 {
		n := copy(p, b.first)
		b.first = b.first[n:]

		return n, nil
	}
	if b.left == 0 {
		return 0, io.EOF
	}
	if b.left > 0 && int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.f.Read(p)
	if b.left < 0 {
		return n, err
	}
	b.left -= int64(n)
	if errors.Is(err, io.EOF) && b.left > 0 {
		err = fmt.Errorf("the file ended %d bytes before its size: %w", b.left, io.ErrUnexpectedEOF)
	}

	return n, err
}

// Close implements io.Closer.
func (b *fileBody) Close() error {
	b.mu.Lock()
	if b.closed || b.reading {
		b.closed = true
		b.mu.Unlock()

		return nil
	}
	b.closed = true
	b.mu.Unlock()

	return b.f.Close()
}
