package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/urlkit/urlkit/internal/publish"
	"github.com/urlkit/urlkit/protocols"
)

// get answers GET and HEAD.
func (l loader) get(ctx context.Context, req *protocols.Request, name string, folder bool) (*protocols.Response, error) {
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return nil, readError(err)
	case info.IsDir() && folder:
		return l.list(ctx, req, name)
	case info.IsDir():
		return nil, protocols.Errorf(protocols.FileIsDirectory, "%s is a folder: a URL that lists it ends in /", name)
	case folder:
		return nil, protocols.Errorf(protocols.FileDoesNotExist, "%s is no folder: %w", name, fs.ErrNotExist)
	case !info.Mode().IsRegular():
		// Before opening, which may have an effect on a device.
		return nil, notRegular(name, info)
	}
	f, err := os.OpenFile(name, openFlags, 0)
	if err != nil {
		return nil, readError(err)
	}
	resp, err := respond(ctx, req, f)
	if err != nil {
		_ = f.Close() // nothing was written

		return nil, err
	}
	if resp.Body == protocols.NoBody {
		return resp, f.Close()
	}

	return resp, nil
}

// respond describes an open file, and gives it to the body where there is one.
func respond(ctx context.Context, req *protocols.Request, f *os.File) (*protocols.Response, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, readError(err)
	}
	if !info.Mode().IsRegular() {
		return nil, notRegular(f.Name(), info) // it was another file a moment ago
	}
	size, err := knownSize(f, info)
	if err != nil {
		return nil, readError(err)
	}
	resp := &protocols.Response{Header: make(http.Header, 6), ContentLength: size, Body: protocols.NoBody}
	part := span{length: size}
	head := strings.EqualFold(req.Method, http.MethodHead)
	if size >= 0 {
		resp.Header.Set("Last-Modified", info.ModTime().UTC().Format(http.TimeFormat))
		resp.Header.Set("ETag", entityTag(info))
		resp.Header.Set("Accept-Ranges", "bytes")
		if !head && rangeApplies(req.Header, resp.Header) {
			resp.StatusCode, part = selectRange(req.Header.Values("Range"), size)
			resp.ContentLength = part.length
		}
		resp.Header.Set("Content-Length", strconv.FormatInt(part.length, 10))
	}
	switch resp.StatusCode {
	case http.StatusPartialContent:
		resp.Header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", part.first, part.first+part.length-1, size))
	case http.StatusRequestedRangeNotSatisfiable:
		resp.Header.Set("Content-Range", fmt.Sprintf("bytes */%d", size))

		return resp, nil
	}
	if resp.MIMEType, err = mediaType(f); err != nil {
		return nil, readError(err)
	}
	resp.Header.Set("Content-Type", resp.MIMEType)
	if head || part.length == 0 {
		return resp, nil
	}
	if _, err := f.Seek(part.first, io.SeekStart); err != nil {
		return nil, readError(err)
	}
	resp.Body = &body{ctx: ctx, file: f, left: part.length}

	return resp, nil
}

// knownSize is the size of a file, or -1 for one that says 0 and has content, as
// those that a kernel makes up do.
func knownSize(f *os.File, info fs.FileInfo) (int64, error) {
	if info.Size() > 0 {
		return info.Size(), nil
	}
	n, err := f.ReadAt(make([]byte, 1), 0)
	if n > 0 {
		return -1, nil
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}

	return 0, nil
}

// entityTag is a strong validator as far as the file system's clock is fine
// enough: of size and time of modification.
func entityTag(info fs.FileInfo) string {
	return fmt.Sprintf(`"%x-%x"`, info.Size(), info.ModTime().UnixNano())
}

// readError gives what the file system says its code.
func readError(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return protocols.Errorf(protocols.FileDoesNotExist, "%w", err)
	case errors.Is(err, syscall.ENOTDIR): // a file stands where the path has a folder
		return protocols.Errorf(protocols.FileDoesNotExist, "%w: %w", fs.ErrNotExist, err)
	case errors.Is(err, fs.ErrPermission):
		return protocols.Errorf(protocols.NoPermissionsToReadFile, "%w", err)
	default:
		return protocols.Errorf(protocols.CannotOpenFile, "%w", err)
	}
}

func notRegular(name string, info fs.FileInfo) error {
	return protocols.Errorf(protocols.CannotOpenFile, "%s is a %s and no regular file", name, publish.Kind(info.Mode()))
}
