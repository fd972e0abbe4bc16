//go:build !darwin && !dragonfly && !freebsd && !linux && !netbsd && !openbsd && !windows

package cache

import (
	"os"
	"time"
)

// renamesOpen tells whether a file can be renamed while it is open.
const renamesOpen = false

// unwaiting is not needed: no pipe stands in a folder.
const unwaiting = 0

// claim does nothing where files cannot be locked.
func claim(*os.File) bool { return true }

// removeAbandoned removes a file that nobody has written to for a day.
func removeAbandoned(path string, abandoned func() bool) {
	info, err := os.Lstat(path)
	if err == nil && time.Since(info.ModTime()) > 24*time.Hour && abandoned() {
		_ = os.Remove(path)
	}
}
