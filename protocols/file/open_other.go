//go:build !unix

package file

import "os"

// openFlags: opening blocks on no kind of file here.
const openFlags = os.O_RDONLY
