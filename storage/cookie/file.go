package cookie

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/urlkit/urlkit/internal/filelock"
	"github.com/urlkit/urlkit/internal/publish"
	"github.com/urlkit/urlkit/storage"
)

const (
	// writeDelay is how long changes gather before they are written.
	writeDelay = 2 * time.Second
	// longestDelay bounds what the delay grows to while the file cannot be written.
	longestDelay = time.Minute
	// writeTimeout is how long a write in the background waits for other processes.
	writeTimeout = 30 * time.Second
)

// File is a store that is kept in a file, which several processes may share. Only
// cookies with an expiry are written; those of a session stay in memory. It
// implements storage.Flusher, and is made by Open. It is safe for concurrent use.
//
// What changes is written within two seconds, in the background: neither a load nor
// an app waits for the disk, but in Flush, RemoveAll and Close. What other processes
// have changed is taken in with each write and by Flush. Where two have set the same
// cookie, the one that writes last wins.
//
// The file is replaced as a whole, with permissions for its owner only. Beside it
// stand an empty file for the lock (".lock") and, once a damaged file was found,
// that one (".damaged").
type File struct {
	*Store

	name   string
	logger *slog.Logger  // nil: slog.Default
	turn   chan struct{} // a token: whoever has it reads and writes

	// Guarded by the lock of the store.
	timer    *time.Timer // nil: no write is due
	failures int         // writes that failed, since one succeeded
	closed   bool
	writes   sync.WaitGroup // in the background
}

var (
	_ storage.CookieStore = (*File)(nil)
	_ storage.Flusher     = (*File)(nil)
	_ storage.Resetter    = (*File)(nil)
	_ io.Closer           = (*File)(nil)
)

// Open reads the file of that name, which need not exist but whose folder must, and
// waits, as long as ctx lasts, for other processes that write it. A damaged file is
// renamed to end in ".damaged", in place of an earlier one, and the store begins
// empty. logger, nil for slog.Default, is told of that, and of writes in the
// background that fail: they are tried again. Close the File in the end.
func Open(ctx context.Context, name string, logger *slog.Logger) (*File, error) {
	return open(ctx, name, logger, NewStore())
}

func open(ctx context.Context, name string, logger *slog.Logger, s *Store) (*File, error) {
	f := &File{Store: s, name: name, logger: logger, turn: make(chan struct{}, 1)}
	s.journal = &journal{wake: f.wake}
	if err := f.Flush(ctx); err != nil {
		return nil, fmt.Errorf("cookie: opening %s: %w", name, err)
	}

	return f, nil
}

// Flush writes what is not written yet, and takes in what other processes have
// written. It waits for them as long as ctx lasts.
func (f *File) Flush(ctx context.Context) error {
	select {
	case f.turn <- struct{}{}:
		defer func() { <-f.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	unlock, err := filelock.Lock(ctx, f.name+".lock")
	if err != nil {
		return err
	}

	return errors.Join(f.sync(ctx), unlock())
}

// RemoveAll empties the store, of which also other processes learn, and deletes the
// file and a damaged one that was set aside. The store is empty also where that
// fails; then it is done with the next write.
func (f *File) RemoveAll(ctx context.Context) error {
	f.removeWhere(func(*entry) bool { return true })
	f.mu.Lock()
	f.changes++
	f.journal.wiped = f.changes
	f.mu.Unlock()

	return f.Flush(ctx)
}

// Close writes what is not written yet, and ends the writing in the background. The
// store can still be used; only Flush and RemoveAll write after that.
func (f *File) Close() error {
	f.mu.Lock()
	f.closed = true
	if f.timer != nil && f.timer.Stop() {
		f.timer = nil
		f.writes.Done()
	}
	f.mu.Unlock()
	f.writes.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), writeTimeout)
	defer cancel()

	return f.Flush(ctx)
}

// wake has the file written after a while. The caller has the store's lock.
func (f *File) wake() {
	if f.closed || f.timer != nil {
		return
	}
	delay := min(writeDelay<<min(f.failures, 10), longestDelay)
	f.writes.Add(1)
	f.timer = time.AfterFunc(delay, f.write)
}

func (f *File) write() {
	defer f.writes.Done()
	f.mu.Lock()
	f.timer = nil
	f.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), writeTimeout)
	defer cancel()
	err := f.Flush(ctx)
	if err != nil {
		f.log("cookie: the file cannot be written", "file", f.name, "error", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil {
		f.failures = 0

		return
	}
	f.failures++
	f.wake()
}

func (f *File) log(message string, args ...any) {
	logger := f.logger
	if logger == nil {
		logger = slog.Default()
	}
	logger.Warn(message, args...)
}

// sync brings file and store together. The caller has the turn and the file's lock.
func (f *File) sync(ctx context.Context) error {
	data, base, lost, err := f.load()
	if err != nil {
		return err
	}
	now := f.clock()
	f.mu.Lock()
	f.merge(base, lost, now)
	list, state := f.records(now)
	wiped := f.journal.wiped > f.journal.written
	f.mu.Unlock()
	if err := f.replace(ctx, data, list, wiped); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.journal.wrote(state)

	return nil
}

// load gives what the file holds, undamaged; nothing where there is none. lost tells
// that it was there and could not be read.
func (f *File) load() (data []byte, base []record, lost bool, err error) {
	if data, err = publish.ReadFile(f.name, maxFile); data == nil || err != nil {
		return nil, nil, false, err
	}
	if base, err = decode(data); !errors.Is(err, errCorrupt) {
		return data, base, false, err
	}
	if len(data) == 0 { // there is nothing to keep
		return nil, nil, true, nil
	}

	return nil, nil, true, f.setAside()
}

// setAside renames a damaged file.
func (f *File) setAside() error {
	aside := f.name + ".damaged"
	if err := os.Rename(f.name, aside); err != nil {
		return fmt.Errorf("%w, and cannot be set aside: %w", errCorrupt, err)
	}
	f.log("cookie: the file is damaged, a fresh one is used", "file", f.name, "kept", aside)

	return nil
}

// replace writes the file, or removes it where it would hold nothing.
func (f *File) replace(ctx context.Context, old []byte, list []record, wiped bool) error {
	if wiped {
		if err := publish.Remove(f.name + ".damaged"); err != nil {
			return err
		}
	}
	if len(list) == 0 {
		return publish.Remove(f.name)
	}
	data, err := encode(list)
	if err != nil || bytes.Equal(old, data) {
		return err
	}

	return publish.WriteFile(ctx, f.name, data)
}
