// Package filelock keeps processes apart that change the same files, by an advisory
// lock on a file that is there for that alone: flock on Unix, LockFileEx on Windows.
// The system gives the lock back when a process ends, whatever ends it.
package filelock

import (
	"context"
	"fmt"
	"os"
	"time"
)

// interval is how often a lock that another has is asked for again: neither system
// call can be given up.
const interval = 5 * time.Millisecond

// Lock waits for the lock of a file, as long as ctx lasts. The file is made if it is
// missing, for its owner only, and stays. Two callers in one process exclude each
// other too. unlock gives the lock back, and is to be called once. Where the system
// has no such locks the error is errors.ErrUnsupported.
func Lock(ctx context.Context, name string) (unlock func() error, err error) {
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		free, err := try(file)
		if err != nil {
			_ = file.Close()

			return nil, fmt.Errorf("locking %s: %w", name, err)
		}
		if free {
			return file.Close, nil
		}
		timer := time.NewTimer(interval)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			_ = file.Close()

			return nil, fmt.Errorf("waiting for another process that has locked %s: %w", name, ctx.Err())
		}
	}
}
