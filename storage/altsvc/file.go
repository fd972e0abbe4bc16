package altsvc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/urlkit/urlkit/internal/filelock"
	"github.com/urlkit/urlkit/internal/publish"
	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/storage"
)

const (
	// writeDelay is how long changes gather before they are written.
	writeDelay = 2 * time.Second
	// writeTimeout is how long a write in the background waits for other processes.
	writeTimeout = 30 * time.Second
	// maxFile bounds what is read: more was never written, though a byte of a text may
	// take six.
	maxFile = 64 << 20
	// version is that of the form of the file.
	version = 1
)

// File is a store that is kept in a file, which several processes may share. It is
// made by Open, and safe for concurrent use. What changes is written within two
// seconds, in the background, and by Flush and Close: no load waits for the disk. What
// other processes have written is taken in with that. Where two have stored the same
// origin, the one that writes last wins.
//
// The file is replaced as a whole, with permissions for its owner only. Beside it
// stand an empty file for the lock (".lock") and, once a damaged file was found, that
// one (".damaged").
type File struct {
	*Store

	name   string
	logger *slog.Logger

	turn sync.Mutex // of whoever reads and writes the file

	// Guarded by the lock of the store.
	timer  *time.Timer // nil: no write is due
	closed bool
	wiped  bool           // what the file holds is not to be taken in
	writes sync.WaitGroup // in the background
}

var (
	_ storage.Flusher  = (*File)(nil)
	_ storage.Resetter = (*File)(nil)
	_ io.Closer        = (*File)(nil)
)

// Open reads the file of that name, which need not exist but whose folder must, and
// waits, as long as ctx lasts, for other processes that write it. A damaged file is
// renamed to end in ".damaged", in place of an earlier one, and the store begins
// empty. logger, nil for slog.Default, is told of that, and of writes in the
// background that fail. Close the File in the end.
func Open(ctx context.Context, name string, logger *slog.Logger) (*File, error) {
	if logger == nil {
		logger = slog.Default()
	}
	f := &File{Store: &Store{changed: make(map[string]bool)}, name: name, logger: logger}
	f.wake = f.due
	if err := f.Flush(ctx); err != nil {
		return nil, fmt.Errorf("altsvc: opening %s: %w", name, err)
	}

	return f, nil
}

// due has the file written after a while. The lock is held.
func (f *File) due() {
	if f.closed || f.timer != nil {
		return
	}
	f.writes.Add(1)
	f.timer = time.AfterFunc(writeDelay, func() {
		defer f.writes.Done()
		f.mu.Lock()
		f.timer = nil
		f.mu.Unlock()
		ctx, cancel := context.WithTimeout(context.Background(), writeTimeout)
		defer cancel()
		if err := f.Flush(ctx); err != nil { // what changed is written with the next change
			f.logger.Warn("altsvc: the file cannot be written", "file", f.name, "error", err)
		}
	})
}

// Flush writes what is not written yet, and takes in what other processes have
// written. It waits for them as long as ctx lasts.
func (f *File) Flush(ctx context.Context) error {
	f.turn.Lock()
	defer f.turn.Unlock()
	unlock, err := filelock.Lock(ctx, f.name+".lock")
	if err != nil {
		return err
	}

	return errors.Join(f.sync(ctx), unlock())
}

// RemoveAll empties the store and deletes the file, and a damaged one that was set
// aside.
func (f *File) RemoveAll(ctx context.Context) error {
	f.mu.Lock()
	f.origins, f.wiped = nil, true
	clear(f.changed)
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

// record is an origin in the file.
type record struct {
	Key      string
	Services []protocols.AlternativeService
}

type content struct {
	Version int
	Origins []record
}

// sync brings file and store together. The caller has the turn and the file's lock.
func (f *File) sync(ctx context.Context) error {
	data, err := publish.ReadFile(f.name, maxFile)
	if err != nil {
		return err
	}
	held, damaged, err := f.decode(data)
	if err != nil {
		return err
	}
	now := time.Now()
	f.mu.Lock()
	if f.wiped {
		held = nil
	}
	f.take(held, damaged, now)
	var list content
	for key, services := range f.origins {
		if services = valid(services, now); len(services) > 0 {
			list.Origins = append(list.Origins, record{key, services})
		}
	}
	written, wiped := f.changed, f.wiped
	f.changed, f.wiped = make(map[string]bool), false
	f.mu.Unlock()
	if err = f.replace(ctx, data, list, wiped); err != nil {
		f.mu.Lock()
		for key := range written {
			f.changed[key] = true
		}
		f.wiped = f.wiped || wiped
		f.mu.Unlock()
	}

	return err
}

// take has the file's word count where nothing has changed here: also for what other
// processes have removed, unless the file was damaged and tells nothing. The lock of the
// store is held.
func (f *File) take(held []record, damaged bool, now time.Time) {
	known := make(map[string]bool, len(held))
	for _, r := range held {
		known[r.Key] = true
	}
	for key := range f.origins {
		if !damaged && !known[key] && !f.changed[key] {
			delete(f.origins, key)
		}
	}
	for _, r := range held {
		if !f.changed[r.Key] {
			limit(r.Services, now)
			f.put(r.Key, valid(r.Services, now))
		}
	}
}

// decode reads what a file holds. A damaged one is set aside.
func (f *File) decode(data []byte) (list []record, damaged bool, err error) {
	if len(data) == 0 {
		return nil, false, nil
	}
	list, ok := parse(data)
	if ok {
		return list, false, nil
	}
	aside := f.name + ".damaged"
	if err := os.Rename(f.name, aside); err != nil {
		return nil, true, fmt.Errorf("the file is damaged, and cannot be set aside: %w", err)
	}
	f.logger.Warn("altsvc: the file is damaged, a fresh one is used", "file", f.name, "kept", aside)

	return nil, true, nil
}

// parse reads the bytes of a file; false: they are none that a File has written.
func parse(data []byte) ([]record, bool) {
	var c content
	if len(data) > maxFile || json.Unmarshal(data, &c) != nil || c.Version != version || len(c.Origins) > maxOrigins {
		return nil, false
	}
	for _, r := range c.Origins {
		if r.Key == "" || len(r.Key) > maxText || len(r.Services) == 0 || len(r.Services) > maxServices {
			return nil, false
		}
		for _, s := range r.Services {
			if !possible(s) {
				return nil, false
			}
		}
	}

	return c.Origins, true
}

// replace writes the file, or removes it where it would hold nothing.
func (f *File) replace(ctx context.Context, old []byte, list content, wiped bool) error {
	if wiped {
		if err := publish.Remove(f.name + ".damaged"); err != nil {
			return err
		}
	}
	if len(list.Origins) == 0 {
		return publish.Remove(f.name)
	}
	list.Version = version
	slices.SortFunc(list.Origins, func(a, b record) int { return strings.Compare(a.Key, b.Key) })
	data, err := json.Marshal(list)
	if err != nil || bytes.Equal(old, data) {
		return err
	}

	return publish.WriteFile(ctx, f.name, data)
}
