package cache

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/urlkit/urlkit/storage"
)

var (
	// errReset is what is said of a response that began to be stored before the store
	// was emptied.
	errReset     = fmt.Errorf("the cache was emptied meanwhile: %w", fs.ErrNotExist)
	errNotStored = errors.New("the cache has no part of the body at this offset")
)

// disk is the tier on a disk.
type disk struct {
	store     *Store
	directory string
	capacity  atomic.Int64
	folders   [256]*folder
	total     atomic.Int64 // bytes of what is stored, as far as the folders were listed
	count     atomic.Int64 // of heads
	pending   atomic.Int64 // bytes of what is being stored
	refreshed atomic.Int64 // the instant of the last refreshAll

	evicting sync.Mutex // guards queue; held while files are removed
	queue    []candidate
}

func newDisk(directory string, capacity int64, s *Store) *disk {
	d := &disk{store: s, directory: directory}
	d.capacity.Store(capacity)
	for n := range d.folders {
		d.folders[n] = newFolder(d, byte(n))
	}

	return d
}

func (d *disk) folder(k keyHash) *folder { return d.folders[k[0]] }

// refreshAll sees to it that all folders are known as they were at some time since
// maxAge ago. The error is of one that cannot be read.
func (d *disk) refreshAll(maxAge time.Duration) error {
	now, last := time.Now().UnixNano(), d.refreshed.Load()
	if last != 0 && now >= last && now-last < int64(maxAge) {
		return nil
	}
	d.refreshed.Store(now)
	var failed error
	for _, f := range d.folders {
		f.mu.Lock()
		if err := f.refresh(0); err != nil {
			failed = err
		}
		f.mu.Unlock()
	}

	return failed
}

// heads gives those of a key, the one stored last in front.
func (d *disk) heads(k keyHash, maxAge time.Duration) ([]*head, error) {
	f := d.folder(k)
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.refresh(maxAge); err != nil {
		return nil, err
	}

	return f.heads[k], nil
}

// find gives the head of an entry; nil: it is gone.
func (d *disk) find(id string, maxAge time.Duration) (*head, error) {
	k, g, ok := parseID(id)
	if !ok {
		return nil, nil
	}
	f := d.folder(k)
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.refresh(maxAge); err != nil {
		return nil, err
	}

	return f.find(k, g), nil
}

// read reads the file of a head; fs.ErrNotExist: it is gone. What is damaged is
// removed.
func (d *disk) read(h *head) (*record, error) {
	path := filepath.Join(d.folder(h.key).path, h.name)
	b, err := readFile(path)
	var r *record
	var g generation
	if err == nil {
		r, g, err = decodeHead(b)
	}
	if err == nil && (g != h.generation || hashKey(r.entry.Key) != h.key || hashVariant(r.entry.Variant) != h.variant) {
		err = fmt.Errorf("%w: it has the name of another", errDamaged)
	}
	switch {
	case errors.Is(err, errDamaged):
		d.damaged(h, err)
		return nil, fmt.Errorf("%w: %w", err, fs.ErrNotExist)
	case errors.Is(err, fs.ErrNotExist):
		d.forget(h)
		return nil, err
	case err != nil:
		return nil, err
	}
	r.head, r.stored = h, h.stored

	return r, nil
}

func openForReading(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|unwaiting, 0)
}

// readFile reads a file that is no longer than a head can be.
func readFile(path string) ([]byte, error) {
	f, err := openForReading(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() > int64(headPrefix+maxDescription+inlineLimit+4) || !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: it is no head", errDamaged)
	}
	b := make([]byte, info.Size())
	if _, err := io.ReadFull(f, b); err != nil {
		return nil, fmt.Errorf("%w: %w", errDamaged, err)
	}

	return b, nil
}

// open opens what is stored from an offset on.
func (d *disk) open(r *record, offset int64) (io.ReadCloser, error) {
	chain, ok := r.from(offset)
	if !ok {
		return nil, errNotStored
	}
	h, f := r.head, d.folder(r.head.key)
	opened := &reader{offset: offset, damaged: func(err error) { d.damaged(h, err) }}
	for _, s := range chain {
		file, err := s.openFile(f.path)
		if err != nil {
			_ = opened.Close()
			switch {
			case errors.Is(err, fs.ErrNotExist): // another process removed it, or its body was removed by hand
				d.bodyGone(h)
			case errors.Is(err, errDamaged):
				d.damaged(h, err)
				err = fmt.Errorf("%w: %w", err, fs.ErrNotExist)
			}

			return nil, err
		}
		opened.sources = append(opened.sources, source{stretch: s, open: file})
	}

	return opened, nil
}

// load reads the body of a response into memory, up to a limit.
func (d *disk) load(r *record, limit int64) ([]stretch, error) {
	if limit == 0 || stored(r.stretches) > limit {
		return nil, fmt.Errorf("the body is longer than %d bytes: %w", limit, storage.ErrTooLarge)
	}
	var loaded []stretch
	for _, part := range r.entry.Parts {
		body, err := d.open(r, part.Start)
		if err != nil {
			return nil, err
		}
		data := make([]byte, part.End-part.Start)
		_, err = io.ReadFull(body, data)
		_ = body.Close()
		if err != nil {
			return nil, err
		}
		loaded = append(loaded, stretch{start: part.Start, end: part.End, base: part.Start, length: int64(len(data)), data: data})
	}

	return loaded, nil
}

// openFile opens the file of a stretch; nil for one without.
func (s *stretch) openFile(folder string) (*os.File, error) {
	if s.file == "" {
		return nil, nil
	}
	f, err := openForReading(filepath.Join(folder, s.file))
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && info.Size() != fileLength(s.length) {
		err = fmt.Errorf("%w: its body is cut off", errDamaged)
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}

	return f, nil
}

// bodyGone removes a head whose body is gone, unless it was extended meanwhile.
func (d *disk) bodyGone(h *head) {
	if !h.gone.Load() {
		_ = d.remove(h)
	}
}

// damaged removes what is damaged and tells it.
func (d *disk) damaged(h *head, err error) {
	if h.gone.Load() {
		return
	}
	d.store.logger.Warn("a stored response is damaged and was removed from the cache",
		"file", filepath.Join(d.folder(h.key).path, h.name), "error", err)
	_ = d.remove(h)
}

// forget notes that another process removed a head.
func (d *disk) forget(h *head) {
	f := d.folder(h.key)
	f.mu.Lock()
	defer f.mu.Unlock()
	if !h.gone.Load() {
		f.strike(h)
	}
	f.modified = time.Time{}
}

// remove removes a head and its body.
func (d *disk) remove(h *head) error {
	f := d.folder(h.key)
	f.mu.Lock()
	files, err := f.leave(h)
	f.mu.Unlock()
	f.removeFiles(files)

	return err
}

// removeKey removes what is stored for a key: all where variant is nil.
func (d *disk) removeKey(key string, variant *string) error {
	k := hashKey(key)
	heads, err := d.heads(k, 0)
	for _, h := range heads {
		if variant == nil || h.variant == hashVariant(*variant) {
			if failed := d.remove(h); failed != nil {
				err = failed
			}
		}
	}

	return err
}

// all gives all heads. The error is of a folder that cannot be read.
func (d *disk) all() ([]*head, error) {
	err := d.refreshAll(0)
	var found []*head
	for _, f := range d.folders {
		f.mu.Lock()
		for _, heads := range f.heads {
			found = append(found, heads...)
		}
		f.mu.Unlock()
	}

	return found, err
}

// removeSince removes what was stored at an instant or later.
func (d *disk) removeSince(since int64) error {
	heads, failed := d.all()
	for _, h := range heads {
		if h.stored < since {
			continue
		}
		if err := d.remove(h); err != nil {
			failed = err
		}
	}

	return failed
}

// removeAll removes the files of all folders, and the folders where nothing else is
// in them.
func (d *disk) removeAll() error {
	var failed error
	for _, f := range d.folders {
		if err := f.removeAll(); err != nil {
			failed = err
		}
	}

	return failed
}

func (f *folder) removeAll() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	names, failed := f.names()
	slices.SortFunc(names, func(a, b string) int { return rank(a) - rank(b) })
	for _, name := range names {
		if rank(name) == 0 {
			continue
		}
		err := os.Remove(filepath.Join(f.path, name))
		if _, writing := f.writing[name]; err != nil && !writing && !errors.Is(err, fs.ErrNotExist) {
			failed = err
		}
	}
	f.take(nil)
	f.modified, f.listed = time.Time{}, false
	clear(f.unsynced)
	_ = os.Remove(f.path) // fails where it is not empty

	return failed
}

// rank tells what a name stands for: 0 nothing of the cache, 1 a head, 2 a body or
// what is being written.
func rank(name string) int {
	if parseHeadName(name) != nil {
		return 1
	}
	_, body := parseName(name, bodySuffix)
	_, temporary := parseName(name, tempSuffix)
	if body || temporary {
		return 2
	}

	return 0
}

// entry is what a look-up gives of a head: from memory, or read.
func (d *disk) entry(h *head) (*record, error) {
	if r := d.store.memory.copyOf(h, false); r != nil {
		return r, nil
	}
	r, err := d.read(h)
	if err == nil {
		d.store.memory.copy(r)
	}

	return r, err
}
