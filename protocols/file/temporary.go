package file

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"os"

	"github.com/urlkit/urlkit/protocols"
)

// temporary is a file that is being written beside the one it will replace.
type temporary struct {
	folder *os.Root
	file   *os.File
	name   string // "" once it is renamed
}

// newTemporary makes the file, with the permissions of the old one if there is
// one: at no time may more people read the content than in the end.
func newTemporary(folder *os.Root, old fs.FileInfo) (*temporary, error) {
	permissions := fs.FileMode(0o644)
	if old != nil {
		permissions = old.Mode().Perm()
	}
	name := ".urlkit-" + rand.Text() + ".tmp" // not made of the file's name, which may be of the greatest length
	f, err := folder.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, permissions)
	if err != nil {
		return nil, protocols.Errorf(protocols.CannotCreateFile, "%w", err)
	}
	t := &temporary{folder: folder, file: f, name: name}
	if old == nil {
		return t, nil
	}
	if err := f.Chmod(permissions); err != nil { // what the umask took away
		t.discard()

		return nil, protocols.Errorf(protocols.CannotCreateFile, "%w", err)
	}

	return t, nil
}

// fill writes the request's body, and closes it. It returns when ctx ends, even
// if the body's reader does not: the copying ends with that reader, and finds
// the file closed.
func (t *temporary) fill(ctx context.Context, req *protocols.Request) error {
	content, err := req.OpenBody()
	if content == nil || err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- copyContent(ctx, t.file, content) }()
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
func copyContent(ctx context.Context, f *os.File, content io.Reader) error {
	array, _ := copyBuffers.Get().(*[copyBuffer]byte)
	defer copyBuffers.Put(array)
	for idle := 0; idle < 100; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := content.Read(array[:])
		if n > 0 {
			if _, err := f.Write(array[:n]); err != nil {
				return protocols.Errorf(protocols.CannotWriteToFile, "%w", err)
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

// rename puts the file in its place, once it is safe on the disk.
func (t *temporary) rename(ctx context.Context, base string) (fs.FileInfo, error) {
	if err := t.file.Sync(); err != nil {
		return nil, protocols.Errorf(protocols.CannotWriteToFile, "%w", err)
	}
	info, err := t.file.Stat()
	if err != nil {
		return nil, protocols.Errorf(protocols.CannotWriteToFile, "%w", err)
	}
	if err := t.file.Close(); err != nil {
		return nil, protocols.Errorf(protocols.CannotCloseFile, "%w", err)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := t.folder.Rename(t.name, base); err != nil {
		return nil, protocols.Errorf(protocols.CannotMoveFile, "%w", err)
	}
	t.name = ""
	// The new name outlives a power failure where folders can be synced; elsewhere
	// the system does what it can.
	if d, err := t.folder.Open("."); err == nil {
		_ = d.Sync()
		_ = d.Close()
	}

	return info, nil
}

// discard removes the file, unless it was renamed. Nothing more can be done about
// what cannot be removed, and the error that led here is the one to report.
func (t *temporary) discard() {
	if t.name == "" {
		return
	}
	_ = t.file.Close()
	_ = t.folder.Remove(t.name)
	t.name = ""
}
