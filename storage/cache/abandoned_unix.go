//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package cache

import (
	"errors"
	"os"
	"syscall"
)

// renamesOpen tells whether a file can be renamed while it is open.
const renamesOpen = true

// unwaiting opens a file without waiting for whoever writes into it: a pipe may stand
// where a file should.
const unwaiting = syscall.O_NONBLOCK

// claim locks a file that is being written: the lock ends with the process. It
// tells whether the file will stay: another process may have taken it for abandoned
// before it was locked. Where there are no locks nothing is ever abandoned.
func claim(f *os.File) bool {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return false
	}
	_, err = os.Lstat(f.Name())

	return err == nil
}

// removeAbandoned removes a file that nobody has locked, if it is still abandoned
// then.
func removeAbandoned(path string, abandoned func() bool) {
	f, err := os.OpenFile(path, os.O_RDWR|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return
	}
	defer f.Close()
	if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil && abandoned() {
		_ = os.Remove(path)
	}
}
