package filelock_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/urlkit/urlkit/internal/filelock"
	"github.com/urlkit/urlkit/internal/leak"
)

func TestLock(t *testing.T) {
	leak.Check(t)
	name := filepath.Join(t.TempDir(), "lock")
	unlock, err := filelock.Lock(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(name); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v, %v", info, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := filelock.Lock(ctx, name); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a second lock: %v", err)
	}
	if err := unlock(); err != nil {
		t.Error(err)
	}
	if unlock, err = filelock.Lock(t.Context(), name); err != nil || unlock() != nil {
		t.Errorf("a lock that was given back: %v", err)
	}
	if _, err := filelock.Lock(t.Context(), filepath.Join(name, "missing")); err == nil || errors.Is(err, fs.ErrInvalid) {
		t.Errorf("in a folder that is none: %v", err)
	}
}

func TestLockExcludes(t *testing.T) {
	leak.Check(t)
	name := filepath.Join(t.TempDir(), "lock")
	var inside, n atomic.Int32
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 20 {
				unlock, err := filelock.Lock(t.Context(), name)
				if err != nil {
					t.Error(err)

					return
				}
				if have := inside.Add(1); have != 1 {
					t.Errorf("%d have the lock", have)
				}
				n.Add(1)
				inside.Add(-1)
				if err := unlock(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n.Load() != 80 {
		t.Errorf("%d times locked", n.Load())
	}
}
