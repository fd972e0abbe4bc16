//go:build !linux

package publish

import (
	"errors"
	"os"
)

// openDirect: there is no way past the cache here.
func (f *File) openDirect() (*os.File, error) { return nil, errors.ErrUnsupported }
