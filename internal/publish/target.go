package publish

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/urlkit/urlkit/protocols"
)

// look opens the folder of a file that is to be replaced, and looks at the file:
// nil where there is none.
func look(name string) (*os.Root, string, fs.FileInfo, error) {
	if name == "" || os.IsPathSeparator(name[len(name)-1]) {
		return nil, "", nil, protocols.Errorf(protocols.FileIsDirectory, "%q does not name a file", name)
	}
	folder, err := openFolder(filepath.Dir(name))
	if err != nil {
		return nil, "", nil, protocols.Errorf(protocols.CannotCreateFile, "%w", err)
	}
	target := filepath.Base(name)
	old, err := replaceable(folder, target)
	if err != nil {
		_ = folder.Close()

		return nil, "", nil, err
	}

	return folder, target, old, nil
}

// openFolder holds on to a folder, so that all steps happen in the same one even
// if it is moved meanwhile.
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

// replaceable looks at what would be replaced: nil where there is nothing.
func replaceable(folder *os.Root, target string) (fs.FileInfo, error) {
	info, err := folder.Lstat(target)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, protocols.Errorf(protocols.CannotCreateFile, "%w", err)
	case info.IsDir():
		return nil, protocols.Errorf(protocols.FileIsDirectory, "%s is a folder", target)
	case !info.Mode().IsRegular():
		return nil, protocols.Errorf(protocols.CannotWriteToFile, "%s is a %s and no regular file", target, Kind(info.Mode()))
	case info.Mode().Perm()&0o222 == 0: // a rename would not ask
		return nil, protocols.Errorf(protocols.CannotWriteToFile, "%s is read-only: %w", target, fs.ErrPermission)
	}

	return info, nil
}

// Kind names what a file is that is not regular, for the error that says so.
func Kind(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "folder"
	case mode&fs.ModeSymlink != 0:
		return "symbolic link"
	case mode&fs.ModeNamedPipe != 0:
		return "named pipe"
	case mode&fs.ModeSocket != 0:
		return "socket"
	case mode&fs.ModeDevice != 0:
		return "device"
	default:
		return "special file"
	}
}
