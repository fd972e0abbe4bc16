package cache

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// flush makes files and folders safe, and writes when they were used.
func (d *disk) flush(ctx context.Context) error {
	var failed error
	for _, f := range d.folders {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := f.flush(); err != nil {
			failed = err
		}
	}

	return failed
}

func (f *folder) flush() error {
	f.mu.Lock()
	files := make([]string, 0, len(f.unsynced)+1)
	for name := range f.unsynced {
		files = append(files, filepath.Join(f.path, name))
	}
	clear(f.unsynced)
	var used []*head
	for _, all := range f.heads {
		used = append(used, all...)
	}
	f.mu.Unlock()
	for _, h := range used {
		f.touch(h, 0)
	}
	var failed error
	for _, path := range files {
		if err := syncFile(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			failed = err
		}
	}
	if len(files) > 0 {
		if folder, err := os.Open(f.path); err == nil {
			_ = folder.Sync() // not every system can
			_ = folder.Close()
		}
	}

	return failed
}

func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()

	return f.Sync()
}
