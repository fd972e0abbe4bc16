package cache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"slices"
	"time"

	"github.com/urlkit/urlkit/storage"
)

// copiedAge is for how long what is in memory counts without a look at the disk.
const copiedAge = time.Second

// Lookup implements storage.CacheStore. Where the disk cannot be read it gives what
// is in memory.
func (s *Store) Lookup(ctx context.Context, key string) ([]*storage.CacheEntry, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	own := s.memory.lookup(key)
	d := s.tier()
	if d == nil {
		if own == nil {
			return nil, nil
		}

		return own.entries, nil
	}
	var few [4]*record
	records, err := s.lookup(d, key, few[:0])
	if own != nil {
		records = append(records, own.records...)
		slices.SortStableFunc(records, func(a, b *record) int { return int(min(max(b.stored-a.stored, -1), 1)) })
	}
	if len(records) == 0 {
		return nil, err
	}
	entries := make([]*storage.CacheEntry, len(records))
	for i, r := range records {
		entries[i] = r.entry
	}

	return entries, nil
}

// lookup adds what is on the disk for a key.
func (s *Store) lookup(d *disk, key string, records []*record) ([]*record, error) {
	k := hashKey(key)
	heads, err := d.heads(k, copiedAge)
	if err != nil {
		return nil, err
	}
	if len(heads) == 0 || slices.ContainsFunc(heads, func(h *head) bool { return s.memory.copyOf(h, false) == nil }) {
		if heads, err = d.heads(k, 0); err != nil {
			return nil, err
		}
	}
	for _, h := range heads {
		r, failed := d.entry(h)
		if failed != nil {
			err = failed
			continue
		}
		if r.entry.Key != key {
			continue
		}
		if len(r.stretches) == 0 {
			d.use(h, touchInterval) // nobody will open it
		}
		records = append(records, r)
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}

	return records, err
}

// Open implements storage.CacheStore.
func (s *Store) Open(ctx context.Context, e *storage.CacheEntry, offset int64) (io.ReadCloser, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if r := s.memory.open(e.Key, e.ID); r != nil {
		return r.open(offset)
	}
	d := s.tier()
	if d == nil {
		return nil, errGone(e.ID)
	}
	h, err := d.find(e.ID, copiedAge)
	if err != nil {
		return nil, err
	}
	if h != nil {
		if r := s.memory.copyOf(h, true); r != nil && r.inMemory() {
			d.use(h, touchInterval)
			return r.open(offset)
		}
	}
	if h, err = d.find(e.ID, 0); err != nil {
		return nil, err
	}
	if h == nil {
		return nil, errGone(e.ID)
	}
	r, err := d.entry(h)
	if err != nil {
		return nil, err
	}
	body, err := d.open(r, offset)
	if err == nil {
		d.use(h, 0)
	}

	return body, err
}

// inMemory tells whether a record has its whole body with it.
func (r *record) inMemory() bool {
	return !slices.ContainsFunc(r.stretches, func(s stretch) bool { return s.file != "" })
}

// open reads a body that is in memory.
func (r *record) open(offset int64) (io.ReadCloser, error) {
	chain, ok := r.from(offset)
	switch {
	case !ok:
		return nil, errNotStored
	case len(chain) == 0:
		return &memoryReader{}, nil
	case len(chain) == 1:
		return &memoryReader{rest: chain[0].data[offset-chain[0].base : chain[0].end-chain[0].base]}, nil
	}
	opened := &reader{offset: offset}
	for _, s := range chain {
		opened.sources = append(opened.sources, source{stretch: s})
	}

	return opened, nil
}

// Create implements storage.CacheStore.
func (s *Store) Create(ctx context.Context, e *storage.CacheEntry) (storage.CacheWriter, error) {
	w, err := s.writer(ctx, e, e.InMemoryOnly)
	if err != nil {
		return nil, err
	}
	if e.Length > w.limit || headCost(e) > w.limit {
		return nil, fmt.Errorf("the response is larger than %d bytes: %w", w.limit, storage.ErrTooLarge)
	}
	if w.disk != nil {
		w.key, w.generation = hashKey(e.Key), newGeneration()
	}

	return w, nil
}

// Extend implements storage.CacheStore. An entry can have 64 parts.
func (s *Store) Extend(ctx context.Context, e *storage.CacheEntry, offset int64) (storage.CacheWriter, error) {
	if offset < 0 || offset > e.Length {
		return nil, errNotStored
	}
	k, g, onDisk := parseID(e.ID)
	w, err := s.writer(ctx, e, !onDisk)
	if err != nil {
		return nil, err
	}
	if onDisk && w.disk == nil {
		return nil, errGone(e.ID)
	}
	w.extends, w.offset, w.key, w.generation = true, offset, k, g

	return w, nil
}

func (s *Store) writer(ctx context.Context, e *storage.CacheEntry, inMemory bool) (*writer, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	w := &writer{store: s, entry: e, resets: s.resets.Load()}
	if d := s.tier(); d != nil && !inMemory {
		w.disk, w.limit = d, d.capacity.Load()/largestShare
	} else {
		w.limit = s.memory.limit()
	}
	if w.limit == 0 {
		return nil, fmt.Errorf("the cache has no capacity: %w", storage.ErrTooLarge)
	}

	return w, nil
}

// Update implements storage.CacheStore. Key, Length and Parts stay. An entry that
// becomes InMemoryOnly leaves the disk, and is another one then; where memory does
// not take it, it is removed, with ErrTooLarge. One that ceases to be stays in memory.
func (s *Store) Update(ctx context.Context, e, changedEntry *storage.CacheEntry) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	update := func(r *record) *storage.CacheEntry {
		c := *changedEntry
		c.Key = r.entry.Key

		return &c
	}
	if _, _, onDisk := parseID(e.ID); !onDisk {
		_, err := s.memory.change(e.Key, e.ID, func(r *record) (*storage.CacheEntry, []stretch, error) {
			return update(r), r.stretches, nil
		})

		return err
	}
	d := s.tier()
	if d == nil {
		return errGone(e.ID)
	}
	resets := s.resets.Load()
	current := func() bool { return s.resets.Load() == resets }
	if changedEntry.InMemoryOnly {
		return s.moveToMemory(d, e.ID, update, current)
	}
	_, err := d.change(e.ID, func(r *record) (changed, error) {
		return changed{entry: update(r), stretches: r.stretches}, nil
	}, current)

	return err
}

// moveToMemory takes a response off the disk.
func (s *Store) moveToMemory(d *disk, id string, update func(*record) *storage.CacheEntry, current func() bool) error {
	h, err := d.find(id, 0)
	if err != nil {
		return err
	}
	if h == nil {
		return errGone(id)
	}
	r, err := d.entry(h)
	if err != nil {
		return err
	}
	stretches, err := d.load(r, s.memory.limit())
	if removed := d.remove(h); err == nil {
		err = removed
	}
	if err != nil {
		return err
	}
	e := update(r)
	e.Length = r.entry.Length
	_, err = s.memory.add(e, stretches, current)

	return err
}

// Remove implements storage.CacheStore (Apple's removeCachedResponse).
func (s *Store) Remove(_ context.Context, key string, e *storage.CacheEntry) error {
	var variant *string
	if e != nil {
		variant = &e.Variant
	}
	s.memory.remove(key, variant)
	d := s.disk.Load()
	if d == nil {
		return nil
	}

	return d.removeKey(key, variant)
}

// RemoveSince removes what was stored or refreshed at a time or later (Apple's
// removeCachedResponses(since:)). The error is of files that could not be removed.
func (s *Store) RemoveSince(_ context.Context, t time.Time) error {
	from := since(t)
	s.memory.removeSince(from)
	d := s.disk.Load()
	if d == nil {
		return nil
	}

	return d.removeSince(from)
}

// All gives every stored response, in no order, and an error for those that cannot
// be read. Looking at one is not using it.
func (s *Store) All(ctx context.Context) iter.Seq2[*storage.CacheEntry, error] {
	return func(yield func(*storage.CacheEntry, error) bool) {
		for _, e := range s.memory.all() {
			if !yield(e, nil) {
				return
			}
		}
		d := s.tier()
		if d == nil {
			return
		}
		heads, err := d.all()
		if err != nil && !yield(nil, err) {
			return
		}
		for _, h := range heads {
			if err := ctx.Err(); err != nil {
				yield(nil, err)
				return
			}
			r, err := d.read(h)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				r = &record{}
			}
			if !yield(r.entry, err) {
				return
			}
		}
	}
}
