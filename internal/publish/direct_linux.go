package publish

import (
	"os"
	"syscall"
)

// openDirect opens the file once more, for writing past the cache (O_DIRECT of
// open(2)). Some file systems cannot.
func (f *File) openDirect() (*os.File, error) {
	const flags = os.O_WRONLY | syscall.O_DIRECT
	if f.folder == nil {
		return os.OpenFile(f.name, flags, 0)
	}

	return f.folder.OpenFile(f.name, flags, 0)
}
