package engine_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"sync"

	"github.com/urlkit/urlkit/storage"
)

// memory is a store of the simplest kind, which can be made to fail.
type memory struct {
	mu      sync.Mutex
	keys    map[string][]*kept
	number  int
	maximum int64

	lookup, open, create, write, commit, update error // what these fail with; nil: they work
	short                                       int64 // bytes that readers give before they break; 0: all
}

type kept struct {
	entry *storage.CacheEntry
	data  []byte
}

func newMemory() *memory { return &memory{keys: make(map[string][]*kept), maximum: 1 << 20} }

func (m *memory) MaximumBody() int64 { return m.maximum }

func (m *memory) Lookup(_ context.Context, key string) ([]*storage.CacheEntry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.lookup != nil {
		return nil, m.lookup
	}
	var entries []*storage.CacheEntry
	for _, k := range m.keys[key] {
		entries = append(entries, k.entry)
	}

	return entries, nil
}

// find gives the place of an entry. The caller has the lock.
func (m *memory) find(e *storage.CacheEntry) *kept {
	for _, k := range m.keys[e.Key] {
		if k.entry.ID == e.ID {
			return k
		}
	}

	return nil
}

func (m *memory) Open(_ context.Context, e *storage.CacheEntry, offset int64) (io.ReadCloser, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := m.find(e)
	if m.open != nil || k == nil {
		return nil, errors.Join(m.open, fs.ErrNotExist)
	}
	for _, p := range k.entry.Parts {
		if p.Start <= offset && offset < p.End {
			data := k.data[offset:p.End]
			if m.short > 0 {
				return io.NopCloser(io.MultiReader(bytes.NewReader(data[:min(m.short, int64(len(data)))]), broken{})), nil
			}

			return io.NopCloser(bytes.NewReader(data)), nil
		}
	}

	return nil, fs.ErrNotExist
}

// broken is a disk that cannot be read any more.
type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("input/output error") }

func (m *memory) Create(_ context.Context, e *storage.CacheEntry) (storage.CacheWriter, error) {
	return &memoryWriter{of: m, entry: e}, m.create
}

func (m *memory) Extend(_ context.Context, e *storage.CacheEntry, offset int64) (storage.CacheWriter, error) {
	return &memoryWriter{of: m, entry: e, extends: true, offset: offset}, m.create
}

func (m *memory) Update(_ context.Context, e, changed *storage.CacheEntry) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := m.find(e)
	if k == nil {
		return fs.ErrNotExist
	}
	if m.update == nil {
		parts := k.entry.Parts
		updated := *changed
		updated.Parts = parts
		k.entry = &updated
	}

	return m.update
}

func (m *memory) Remove(_ context.Context, key string, e *storage.CacheEntry) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.keys[key] = slices.DeleteFunc(m.keys[key], func(k *kept) bool { return e == nil || k.entry.Variant == e.Variant })

	return nil
}

type memoryWriter struct {
	of      *memory
	entry   *storage.CacheEntry
	extends bool
	offset  int64
	data    []byte
}

func (w *memoryWriter) Write(p []byte) (int, error) {
	if w.of.write != nil {
		return 0, w.of.write
	}
	w.data = append(w.data, p...)

	return len(p), nil
}

func (w *memoryWriter) Abort() {}

func (w *memoryWriter) Commit(context.Context) (*storage.CacheEntry, error) {
	m := w.of
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.commit != nil {
		return nil, m.commit
	}
	if w.extends {
		k := m.find(w.entry)
		if k == nil {
			return nil, fs.ErrNotExist
		}
		end := w.offset + int64(len(w.data))
		if int64(len(k.data)) < end {
			k.data = append(slices.Clone(k.data), make([]byte, end-int64(len(k.data)))...)
		}
		copy(k.data[w.offset:], w.data)
		changed := *k.entry
		changed.Parts = merged(append(slices.Clone(changed.Parts), storage.CachePart{Start: w.offset, End: end}))
		k.entry = &changed

		return k.entry, nil
	}
	m.number++
	e := *w.entry
	e.ID = strconv.Itoa(m.number)
	if e.Length < 0 {
		e.Length = int64(len(w.data))
	}
	if e.Parts = nil; len(w.data) > 0 {
		e.Parts = []storage.CachePart{{End: int64(len(w.data))}}
	}
	list := slices.DeleteFunc(m.keys[e.Key], func(k *kept) bool { return k.entry.Variant == e.Variant })
	m.keys[e.Key] = append([]*kept{{&e, w.data}}, list...)

	return &e, nil
}

func merged(parts []storage.CachePart) []storage.CachePart {
	slices.SortFunc(parts, func(a, b storage.CachePart) int { return int(a.Start - b.Start) })
	joined := parts[:1]
	for _, p := range parts[1:] {
		if last := &joined[len(joined)-1]; p.Start <= last.End {
			last.End = max(last.End, p.End)
		} else {
			joined = append(joined, p)
		}
	}

	return joined
}
