package publish

import (
	"context"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/urlkit/urlkit/protocols"
)

// copyBuffer is the size of the pieces in which a file is copied.
const copyBuffer = 256 << 10

// MoveTo closes the file and puts it in the place of name, with the permissions
// that Beside would give; to another file system it is copied. What may not be
// replaced is an error as it is of Beside. If it fails, name is as it was, and
// the file stays where it is: MoveTo may be tried again.
func (f *File) MoveTo(name string) error {
	if f.name == "" {
		return protocols.Errorf(protocols.CannotMoveFile, "%w", fs.ErrNotExist)
	}
	if err := f.Close(); err != nil {
		return err
	}
	to, err := Beside(name)
	if err != nil {
		return err
	}
	defer to.Discard()

	return f.moveOver(to)
}

// moveOver takes the place of a new file, that of its folder's target. to has
// the permissions that only creating a file tells.
func (f *File) moveOver(to *File) error {
	beside, path, err := f.renameBeside(to)
	if err != nil {
		// Most likely another file system, which every system says in its own way.
		// Where it is something else, copying works too or says what it is.
		return f.copyOver(to)
	}
	if err := replace(to.folder, beside, to.target); err != nil {
		f.putBack(path)

		return err
	}
	f.name = ""
	f.Discard()

	return nil
}

// renameBeside renames the file to a new name in the folder of to, and there
// gives it the permissions of to: before, more people might come to it than in
// the end. It returns the name and the path.
func (f *File) renameBeside(to *File) (string, string, error) {
	name := newName()
	path := filepath.Join(to.folder.Name(), name)
	if err := os.Rename(f.Name(), path); err != nil {
		return "", "", err
	}
	if err := to.sharePermissions(name); err != nil { // or it is in another folder, which has the path by now
		f.putBack(path)

		return "", "", err
	}

	return name, path, nil
}

// sharePermissions gives a file in the same folder the same permissions.
func (f *File) sharePermissions(name string) error {
	info, err := f.file.Stat()
	if err != nil {
		return err
	}
	other, err := f.folder.OpenFile(name, os.O_RDWR, 0) // on Windows only who may write may sync
	if err != nil {
		return err
	}
	defer other.Close()
	if err := setPermissions(other, info.Mode().Perm()); err != nil {
		return err
	}

	return other.Sync()
}

// putBack undoes renameBeside as far as it can be undone.
func (f *File) putBack(path string) {
	_ = os.Chmod(path, f.info.Mode().Perm())
	_ = os.Rename(path, f.Name())
}

// copyOver publishes a copy.
func (f *File) copyOver(to *File) error {
	from, err := f.Open()
	if err != nil {
		return protocols.Errorf(protocols.CannotMoveFile, "%w", err)
	}
	// os.File would copy itself, in small pieces.
	_, err = io.CopyBuffer(to, struct{ io.Reader }{from}, make([]byte, copyBuffer))
	_ = from.Close() // Windows removes no open file
	if err != nil {
		return protocols.Errorf(protocols.CannotMoveFile, "%w", err)
	}
	if _, err := to.Publish(context.Background()); err != nil {
		return err
	}
	f.Discard()

	return nil
}
