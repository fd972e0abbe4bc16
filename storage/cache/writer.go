package cache

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/urlkit/urlkit/storage"
)

var (
	errTooLong  = errors.New("the body is longer than the response said")
	errFinished = fmt.Errorf("the response is stored or given up: %w", fs.ErrClosed)
)

var _ storage.CacheWriter = (*writer)(nil)

// writer stores a body. A small one it keeps until Commit, a large one goes into a
// file as it comes.
type writer struct {
	store      *Store
	disk       *disk // nil: in memory
	resets     uint64
	entry      *storage.CacheEntry
	key        keyHash
	generation generation
	extends    bool
	offset     int64
	limit      int64 // of what may be written

	written  int64
	data     []byte
	held     int64 // of the memory's writing
	body     bodyFile
	reserved int64 // of the disk's pending
	ended    error // of Write and Commit
}

// Write implements storage.CacheWriter.
func (w *writer) Write(p []byte) (int, error) {
	if w.ended != nil {
		return 0, w.ended
	}
	if err := w.write(p); err != nil {
		w.end(err)
		return 0, err
	}
	w.written += int64(len(p))

	return len(p), nil
}

func (w *writer) write(p []byte) error {
	length := w.written + int64(len(p))
	if w.entry.Length >= 0 && length > w.entry.Length-w.offset {
		return errTooLong
	}
	if length > w.limit {
		return fmt.Errorf("the body is longer than %d bytes: %w", w.limit, storage.ErrTooLarge)
	}
	switch {
	case w.body.file != nil:
		return w.body.write(p, w.grow)
	case w.disk == nil:
		if !w.store.memory.grow(int64(len(p))) {
			return fmt.Errorf("too much is being stored in memory: %w", storage.ErrTooLarge)
		}
		w.held += int64(len(p))
	case length > inlineLimit || w.extends && length > 0:
		if err := w.spill(); err != nil {
			return err
		}

		return w.body.write(p, w.grow)
	}
	if room := w.entry.Length - w.offset; length > int64(cap(w.data)) && room >= length {
		grown := make([]byte, len(w.data), max(length, min(room, max(4*int64(cap(w.data)), inlineLimit)))) // a length is a promise only
		copy(grown, w.data)
		w.data = grown
	}
	w.data = append(w.data, p...)

	return nil
}

// spill begins the file of the body.
func (w *writer) spill() error {
	file, name, err := w.disk.folder(w.key).create(w.generation, bodySuffix)
	if err != nil {
		return err
	}
	buffer, _ := blocks.Get().(*block)
	w.body = bodyFile{file: file, name: name, buffer: buffer}
	data := w.data
	w.data = nil

	return w.body.write(data, w.grow)
}

// grow counts what a file or a head takes before it is stored.
func (w *writer) grow(n int64) error {
	if err := w.disk.reserve(n); err != nil {
		return err
	}
	w.reserved += n

	return nil
}

// Commit implements storage.CacheWriter.
func (w *writer) Commit(ctx context.Context) (*storage.CacheEntry, error) {
	if w.ended != nil {
		return nil, w.ended
	}
	if err := ctx.Err(); err != nil {
		w.end(err)
		return nil, err
	}
	e, err := w.commit()
	if err != nil {
		w.end(err)
		return nil, err
	}
	w.finish(errFinished)

	return e, nil
}

func (w *writer) commit() (*storage.CacheEntry, error) {
	if w.body.file != nil {
		if err := w.body.end(w.grow); err != nil {
			return nil, err
		}
	}
	var added []stretch
	if cap(w.data)-len(w.data) > len(w.data)/4 {
		w.data = bytes.Clone(w.data)
	}
	if w.written > 0 {
		added = []stretch{{
			start: w.offset, end: w.offset + w.written, base: w.offset, length: w.written,
			file: w.body.name, data: w.data[:len(w.data):len(w.data)],
		}}
	}
	switch {
	case w.extends && w.disk == nil:
		return w.store.memory.change(w.entry.Key, w.entry.ID, func(r *record) (*storage.CacheEntry, []stretch, error) {
			c, err := w.extend(r, added)
			if c.entry == nil {
				c = changed{entry: r.entry, stretches: r.stretches}
			}

			return c.entry, c.stretches, err
		})
	case w.extends:
		file := ""
		e, err := w.disk.change(w.entry.ID, func(r *record) (c changed, err error) {
			c, err = w.extend(r, added)
			file = c.file

			return c, err
		}, w.current)
		if err == nil && file == "" {
			w.discard() // others have the same bytes
		}

		return e, err
	case w.disk == nil:
		e, err := w.store.memory.add(w.whole(), added, w.current)
		if err == nil {
			w.toMemory()
		}

		return e, err
	default:
		return w.toDisk(added)
	}
}

// whole is the entry with its length.
func (w *writer) whole() *storage.CacheEntry {
	if w.entry.Length >= 0 {
		return w.entry
	}
	e := *w.entry
	e.Length = w.written

	return &e
}

// toMemory removes from the disk what the response has taken the place of.
func (w *writer) toMemory() {
	if d := w.store.tier(); d != nil {
		_ = d.removeKey(w.entry.Key, &w.entry.Variant)
	}
}

func (w *writer) toDisk(added []stretch) (*storage.CacheEntry, error) {
	e := w.whole()
	e = with(e, entryID(w.key, w.generation), e.Length, added)
	content, err := encodeHead(e, w.generation, added)
	if err != nil {
		return nil, err
	}
	if err := w.grow(int64(len(content))); err != nil {
		return nil, err
	}
	h := &head{key: w.key, variant: hashVariant(e.Variant), generation: w.generation}
	h.size = filesSize(content, added)
	var files []string
	if w.body.name != "" {
		files = append(files, w.body.name)
	}
	if err := w.disk.put(h, content, files, w.current); err != nil {
		return nil, err
	}
	w.store.memory.remove(e.Key, &e.Variant)
	w.store.memory.copy(&record{entry: e, stretches: added, stored: h.stored, head: h})

	return e, nil
}

// extend makes of a stored response the one with the new part.
func (w *writer) extend(r *record, added []stretch) (changed, error) {
	if len(added) == 0 {
		return changed{}, nil
	}
	all := insert(r.stretches, added[0])
	switch {
	case all == nil:
		return changed{}, nil
	case len(all) > maxStretches || stored(all) > w.limit:
		return changed{}, fmt.Errorf("the response has too many parts: %w", storage.ErrTooLarge)
	}

	return changed{entry: r.entry, stretches: all, file: w.body.name}, nil
}

// current tells whether the store was not emptied since.
func (w *writer) current() bool { return w.store.resets.Load() == w.resets }

// Abort implements storage.CacheWriter.
func (w *writer) Abort() {
	if w.ended == nil {
		w.end(errFinished)
	}
}

// end gives up the response.
func (w *writer) end(err error) {
	w.discard()
	w.finish(err)
}

// discard removes the file of the body.
func (w *writer) discard() {
	if w.body.file != nil {
		_ = w.body.close()
		w.disk.folder(w.key).removeFiles([]string{w.body.name})
	}
}

// finish gives back what the writer holds. The file of the body is open, and so
// locked, until a head refers to it.
func (w *writer) finish(ended error) {
	w.ended, w.data = ended, nil
	w.store.memory.grow(-w.held)
	w.held = 0
	if w.disk != nil {
		w.disk.pending.Add(-w.reserved)
		w.reserved = 0
	}
	if w.body.file != nil {
		_ = w.body.close()
		w.disk.folder(w.key).forgotten(w.body.name)
		w.body = bodyFile{}
	}
}
