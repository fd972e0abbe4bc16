// Package publish writes files that become visible under their name only once
// they are whole and safe on the disk: everybody sees the old file or the new
// one, and what fails leaves the old one.
//
// A file whose name is known is written beside the one it replaces (Beside), and
// renamed (Publish). One whose name is not known yet is written in a folder of
// temporary files (Temporary), and gets its name later (MoveTo). No folders are
// made, and no link at the last element is followed. A new file has the
// permissions that os.Create gives, one that replaces another has those of the
// other; hard links and attributes stay with the old file.
//
// Errors are of type *protocols.Error.
package publish

import (
	"context"
	"crypto/rand"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/urlkit/urlkit/protocols"
)

// writeBackStep is how many bytes are written between two calls of writeBack; a
// power of two.
const writeBackStep = 8 << 20

// File is a file that nobody sees yet. It is for one goroutine at a time, but
// that Discard may be called during a Write, which then fails. Whoever made it
// calls Discard in the end.
type File struct {
	file     *os.File
	folder   *os.Root // that of the target; nil where Temporary made the file
	name     string   // in folder, or a path where that is nil; "" once there is no such file any more
	target   string   // the name in folder that Publish gives
	replaces bool
	written  int64 // through the cache
	begun    int64 // how much of it is on its way to the disk
	closed   bool
	failed   error       // of Close
	info     fs.FileInfo // of the file when it was closed
	gathered gathered    // by Append
}

// Beside makes a file that Publish will put in the place of name, in the same
// folder, with the permissions of the old file if there is one: at no time may
// more people read the content than in the end. All happens in that folder, even
// if it is moved meanwhile.
//
// A folder of that name is FileIsDirectory; what is neither a regular file nor a
// folder, CannotWriteToFile; so is a file that nobody may write, with
// fs.ErrPermission beneath. A missing folder is CannotCreateFile.
func Beside(name string) (*File, error) {
	folder, target, old, err := look(name)
	if err != nil {
		return nil, err
	}
	permissions := fs.FileMode(0o666)
	if old != nil {
		permissions = old.Mode().Perm()
	}

	return beside(folder, target, old != nil, permissions)
}

// Private is Beside for a file that holds secrets: only its owner may read and write
// it, whatever the permissions of the old one are.
func Private(name string) (*File, error) {
	folder, target, old, err := look(name)
	if err != nil {
		return nil, err
	}

	return beside(folder, target, old != nil, 0o600)
}

func beside(folder *os.Root, target string, replaces bool, permissions fs.FileMode) (*File, error) {
	f := &File{folder: folder, name: newName(), target: target, replaces: replaces}
	var err error
	if f.file, err = folder.OpenFile(f.name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, permissions); err != nil {
		_ = folder.Close()

		return nil, protocols.Errorf(protocols.CannotCreateFile, "%w", err)
	}
	if !replaces {
		return f, nil
	}
	if err := setPermissions(f.file, permissions); err != nil { // what the umask took away
		f.Discard()

		return nil, protocols.Errorf(protocols.CannotCreateFile, "%w", err)
	}

	return f, nil
}

// Temporary makes a file without a name yet, in a folder of temporary files; ""
// is os.TempDir. Only its owner may read it until MoveTo.
func Temporary(folder string) (*File, error) {
	if folder == "" {
		folder = os.TempDir()
	}
	path, err := filepath.Abs(filepath.Join(folder, newName())) // the process may change its folder
	if err != nil {
		return nil, protocols.Errorf(protocols.CannotCreateFile, "%w", err)
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, protocols.Errorf(protocols.CannotCreateFile, "%w", err)
	}

	return &File{file: file, name: path}, nil
}

// newName is not made of the target's name, which may be of the greatest length.
func newName() string { return ".urlkit-" + rand.Text() + ".tmp" }

// setPermissions asks first: there are file systems where all files have the
// same permissions, and a change is an error.
func setPermissions(f *os.File, permissions fs.FileMode) error {
	info, err := f.Stat()
	if err != nil || info.Mode().Perm() == permissions {
		return err
	}

	return f.Chmod(permissions)
}

// Replaces tells whether there was a file under the name when Beside looked.
func (f *File) Replaces() bool { return f.replaces }

// Name is the path of the file, and "" once it is published, moved or discarded.
func (f *File) Name() string {
	if f.folder == nil || f.name == "" {
		return f.name
	}

	return filepath.Join(f.folder.Name(), f.name)
}

// Write appends to the file. It fails with CannotWriteToFile and the cause
// beneath, which may be a full disk.
func (f *File) Write(p []byte) (int, error) {
	n, err := f.file.Write(p)
	f.written += int64(n)
	if err != nil {
		return n, protocols.Errorf(protocols.CannotWriteToFile, "%w", err)
	}
	if end := f.written &^ (writeBackStep - 1); end > f.begun { // whole pages: one that is on its way is not written to
		writeBack(f.file, f.begun, end-f.begun)
		f.begun = end
	}

	return n, nil
}

// Close ends the writing: when it returns nil, the content is safe on the disk.
// The file stays, until MoveTo or Discard. Calling it again gives the same error:
// the system reports what it could not write only once.
func (f *File) Close() error {
	if !f.closed {
		f.closed = true
		f.failed = f.finish()
	}

	return f.failed
}

func (f *File) finish() error {
	if err := f.settle(); err != nil {
		_ = f.file.Close()

		return err
	}
	err := f.file.Sync()
	if err == nil {
		f.info, err = f.file.Stat()
	}
	if err != nil {
		_ = f.file.Close()

		return protocols.Errorf(protocols.CannotWriteToFile, "%w", err)
	}
	if err := f.file.Close(); err != nil {
		return protocols.Errorf(protocols.CannotCloseFile, "%w", err)
	}

	return nil
}

// Open opens the file for reading, which on Windows is over before MoveTo.
func (f *File) Open() (*os.File, error) {
	err := fs.ErrNotExist
	var file *os.File
	switch {
	case f.name == "":
	case f.folder == nil:
		file, err = os.Open(f.name)
	default:
		file, err = f.folder.Open(f.name)
	}
	if err != nil {
		return nil, protocols.Errorf(protocols.CannotOpenFile, "%w", err)
	}

	return file, nil
}

// Publish closes a file that Beside made, and puts it in its place, unless ctx
// has ended. What is not published is discarded. The name in the result is that
// of the file before.
func (f *File) Publish(ctx context.Context) (fs.FileInfo, error) {
	defer f.Discard()
	if f.folder == nil || f.name == "" {
		return nil, protocols.Errorf(protocols.CannotMoveFile, "publishing a file that Beside did not make, or that is gone: %w", fs.ErrInvalid)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil { // writing to the disk may have taken long
		return nil, err
	}
	if err := replace(f.folder, f.name, f.target); err != nil {
		return nil, err
	}
	f.name = ""

	return f.info, nil
}

// replace renames a file within its folder. The new name outlives a power failure
// where folders can be synced; elsewhere the system does what it can.
func replace(folder *os.Root, name, target string) error {
	if err := folder.Rename(name, target); err != nil {
		return protocols.Errorf(protocols.CannotMoveFile, "%w", err)
	}
	if d, err := folder.Open("."); err == nil {
		_ = d.Sync()
		_ = d.Close()
	}

	return nil
}

// Discard removes the file, unless it was published or moved. It may be called
// more than once. Nothing more can be done about what cannot be removed, and the
// error that led here is the one to report.
func (f *File) Discard() {
	f.forget()
	_ = f.file.Close()
	switch {
	case f.name == "":
	case f.folder == nil:
		_ = os.Remove(f.name)
	default:
		_ = f.folder.Remove(f.name)
	}
	f.name = ""
	if f.folder != nil {
		_ = f.folder.Close()
	}
}
