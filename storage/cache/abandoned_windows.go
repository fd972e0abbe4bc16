package cache

import (
	"os"
	"time"
)

// renamesOpen tells whether a file can be renamed while it is open.
const renamesOpen = false

// unwaiting is not needed: no pipe stands in a folder.
const unwaiting = 0

// claim is not needed: Windows removes no file that is open.
func claim(*os.File) bool { return true }

// removeAbandoned removes a file that nobody has open, nor closed a moment ago to
// rename it.
func removeAbandoned(path string, abandoned func() bool) {
	info, err := os.Lstat(path)
	if err == nil && time.Since(info.ModTime()) > time.Minute && abandoned() {
		_ = os.Remove(path)
	}
}
