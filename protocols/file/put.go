package file

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"

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
	root, err := openFolder(filepath.Dir(name))
	if err != nil {
		return nil, protocols.Errorf(protocols.CannotCreateFile, "%w", err)
	}
	defer root.Close()
	base := filepath.Base(name)
	old, err := replaceable(root, base)
	if err != nil {
		return nil, err
	}
	t, err := newTemporary(root, old)
	if err != nil {
		return nil, err
	}
	defer t.discard()
	if err := t.fill(ctx, req); err != nil {
		return nil, err
	}
	info, err := t.rename(ctx, base)
	if err != nil {
		return nil, err
	}
	resp := &protocols.Response{StatusCode: http.StatusNoContent, Header: make(http.Header, 1), Body: protocols.NoBody}
	resp.Header.Set("ETag", entityTag(info))
	if old == nil {
		resp.StatusCode = http.StatusCreated
	}

	return resp, nil
}

// openFolder holds on to a folder, so that all steps of a PUT happen in the same
// one even if it is moved meanwhile.
func openFolder(name string) (*os.Root, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() { // opening a named pipe would block
		return nil, &fs.PathError{Op: "open", Path: name, Err: errors.New("not a folder")}
	}

	return os.OpenRoot(name)
}

// replaceable looks at what PUT would replace: nil where there is nothing.
func replaceable(root *os.Root, base string) (fs.FileInfo, error) {
	info, err := root.Lstat(base)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, protocols.Errorf(protocols.CannotCreateFile, "%w", err)
	case info.IsDir():
		return nil, protocols.Errorf(protocols.FileIsDirectory, "%s is a folder", base)
	case !info.Mode().IsRegular():
		return nil, protocols.Errorf(protocols.CannotWriteToFile, "%s is a %s and no regular file", base, kind(info.Mode()))
	case info.Mode().Perm()&0o222 == 0: // a rename would not ask
		return nil, protocols.Errorf(protocols.CannotWriteToFile, "%s is read-only: %w", base, fs.ErrPermission)
	}

	return info, nil
}
