package publish

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// ReadFile reads a small file of the program's own: all of it, or most+1 bytes of one
// that is longer. nil: there is none. What is no regular file is an error: opening a
// named pipe would block.
func ReadFile(name string, most int64) ([]byte, error) {
	info, err := os.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is a %s and no regular file", name, Kind(info.Mode()))
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()

	return io.ReadAll(io.LimitReader(file, most+1))
}

// WriteFile puts data under a name as Private and Publish do: whole, or not at all.
func WriteFile(ctx context.Context, name string, data []byte) error {
	to, err := Private(name)
	if err != nil {
		return err
	}
	defer to.Discard()
	if _, err := to.Write(data); err != nil {
		return err
	}
	_, err = to.Publish(ctx)

	return err
}

// Remove removes a file. That there is none is no error.
func Remove(name string) error {
	if err := os.Remove(name); !errors.Is(err, fs.ErrNotExist) {
		return err
	}

	return nil
}
