package leak

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// CheckFiles is as Check, for open file descriptors: it fails the test if one
// that was opened since (a file, a socket, a pipe) is still open two seconds
// after the test's end. It looks at /proc/self/fd, and checks nothing on a
// system without it.
func CheckFiles(t testing.TB) {
	t.Helper()
	if _, err := os.Stat(descriptors); err != nil {
		return
	}
	check(t, "file", openFiles, patience)
}

const descriptors = "/proc/self/fd"

// openFiles gives what each open descriptor stands for, by number and target: a
// number that was closed and used again counts as new.
func openFiles() map[string]string {
	found := make(map[string]string)
	entries, err := os.ReadDir(descriptors)
	if err != nil {
		return found
	}
	for _, e := range entries {
		target, err := os.Readlink(filepath.Join(descriptors, e.Name()))
		// The descriptor of this very listing is gone by now (an error). The
		// runtime opens its event poll when it is first needed, and keeps it.
		if err != nil || strings.HasPrefix(target, "anon_inode:") {
			continue
		}
		found[e.Name()+" "+target] = "descriptor " + e.Name() + " (" + target + ")"
	}

	return found
}
