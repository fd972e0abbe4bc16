//go:build !arm

package publish

import (
	"os"
	"syscall"
)

// syncFileRangeWrite is SYNC_FILE_RANGE_WRITE of sync_file_range(2), which
// package syscall does not name.
const syncFileRangeWrite = 2

// writeBack lets the system begin to write to the disk what is in its cache, so
// that little is left to wait for when the file is synced: the download itself
// gives the disk its time. What fails here fails there again.
func writeBack(f *os.File, offset, length int64) {
	conn, err := f.SyscallConn()
	if err != nil {
		return
	}
	_ = conn.Control(func(fd uintptr) {
		_ = syscall.SyncFileRange(int(fd), offset, length, syncFileRangeWrite)
	})
}
