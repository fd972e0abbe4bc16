package cache

import (
	"container/list"
	"fmt"
	"io/fs"
	"math"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/urlkit/urlkit/storage"
)

// maxVariants bounds the responses of one key: a peer that makes its answers vary
// by what always changes would make each look-up longer than the last.
const maxVariants = 32

// memory is the tier in memory. It holds responses of its own, by key, and copies
// of what is on disk, which their heads refer to.
type memory struct {
	mu       sync.Mutex
	capacity int64
	used     int64
	recent   list.List // of *record, the one used last in front
	own      map[string]*responses
	last     uint64 // number in an ID

	writing atomic.Int64 // bytes that writers hold
}

// responses are those of one key, the one stored last in front. It is replaced,
// never changed: look-ups give its entries out.
type responses struct {
	records []*record
	entries []*storage.CacheEntry

	record [1]*record // the room of one, as which most come
	entry  [1]*storage.CacheEntry
}

// limit is how long a body in memory may be.
func (m *memory) limit() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()

	return m.capacity / largestShare
}

// grow counts bytes that a writer keeps in memory, and tells whether it may: what
// is not stored yet takes no more than what is.
func (m *memory) grow(n int64) bool {
	if n <= 0 {
		m.writing.Add(n)
		return true
	}
	m.mu.Lock()
	capacity := m.capacity
	m.mu.Unlock()
	if m.writing.Add(n) > capacity {
		m.writing.Add(-n)
		return false
	}

	return true
}

// lookup gives the responses of a key that are in memory alone; nil: there are
// none. One without a body will not be opened: finding it is using it.
func (m *memory) lookup(key string) *responses {
	m.mu.Lock()
	defer m.mu.Unlock()
	found := m.own[key]
	if found == nil {
		return nil
	}
	for _, r := range found.records {
		if len(r.stretches) == 0 {
			m.recent.MoveToFront(r.place)
		}
	}

	return found
}

// open finds a response that is in memory alone; nil: it is not.
func (m *memory) open(key, id string) *record {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.find(key, id)
	if r != nil {
		m.recent.MoveToFront(r.place)
	}

	return r
}

func (m *memory) find(key, id string) *record {
	if all := m.own[key]; all != nil {
		for _, r := range all.records {
			if r.entry.ID == id {
				return r
			}
		}
	}

	return nil
}

// add stores a response in memory alone, in place of the one with its key and
// variant, unless a reset came since.
func (m *memory) add(e *storage.CacheEntry, stretches []stretch, current func() bool) (*storage.CacheEntry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !current() {
		return nil, errReset
	}
	m.last++
	r := &record{stretches: stretches, stored: instant()}
	id := strconv.AppendUint(append(make([]byte, 0, 16), 'm'), m.last, 36)
	r.entry = with(e, string(id), e.Length, stretches)
	m.put(r)

	return r.entry, nil
}

// put takes a record in, in place of those with its key and variant.
func (m *memory) put(r *record) {
	var few [2]*record
	kept := append(few[:0], r)
	if old := m.own[r.entry.Key]; old != nil {
		for _, o := range old.records {
			if o.entry.Variant == r.entry.Variant || len(kept) == maxVariants {
				m.release(o)
				continue
			}
			kept = append(kept, o)
		}
	}
	m.set(r.entry.Key, kept)
	m.charge(r)
	m.evict()
}

// change puts another entry and other stretches into the place of a response that
// is in memory alone.
func (m *memory) change(key, id string, changed func(*record) (*storage.CacheEntry, []stretch, error)) (*storage.CacheEntry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	old := m.find(key, id)
	if old == nil {
		return nil, errGone(id)
	}
	e, stretches, err := changed(old)
	if err != nil {
		return nil, err
	}
	m.drop(old)
	r := &record{stretches: stretches, stored: instant()}
	r.entry = with(e, id, old.entry.Length, stretches)
	m.put(r)

	return r.entry, nil
}

// remove removes what is in memory alone: all of a key where variant is nil.
func (m *memory) remove(key string, variant *string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if all := m.own[key]; all != nil {
		for _, r := range all.records {
			if variant == nil || r.entry.Variant == *variant {
				m.drop(r)
			}
		}
	}
}

// copyOf is the copy of what a head stands for; nil: there is none. use counts
// that as use.
func (m *memory) copyOf(h *head, use bool) *record {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := h.copied
	if r != nil && use {
		m.recent.MoveToFront(r.place)
	}

	return r
}

// copy keeps a record that is on disk, if it is small.
func (m *memory) copy(r *record) {
	cost := r.cost()
	m.mu.Lock()
	defer m.mu.Unlock()
	if r.head.gone.Load() || r.head.copied != nil || cost > m.capacity/largestShare {
		return
	}
	r.head.copied = r
	m.charge(r)
	m.evict()
}

// forget drops the copy of a head.
func (m *memory) forget(h *head) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if h.copied != nil {
		m.drop(h.copied)
	}
}

// forgetDisk drops all copies of what is on disk.
func (m *memory) forgetDisk() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dropAll(func(r *record) bool { return r.head != nil })
}

// removeSince removes what was stored at an instant or later.
func (m *memory) removeSince(since int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dropAll(func(r *record) bool { return r.stored >= since })
}

func (m *memory) removeAll() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dropAll(func(*record) bool { return true })
}

// all gives the entries that are in memory alone.
func (m *memory) all() []*storage.CacheEntry {
	m.mu.Lock()
	defer m.mu.Unlock()
	var entries []*storage.CacheEntry
	for _, r := range m.own {
		entries = append(entries, r.entries...)
	}

	return entries
}

func (m *memory) setCapacity(bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.capacity = bytes
	m.evict()
}

func (m *memory) dropAll(which func(*record) bool) {
	for at := m.recent.Front(); at != nil; {
		r, _ := at.Value.(*record)
		at = at.Next()
		if which(r) {
			m.drop(r)
		}
	}
}

func (m *memory) evict() {
	for m.used > m.capacity {
		r, _ := m.recent.Back().Value.(*record)
		m.drop(r)
	}
}

// drop takes a record out. Readers that are open keep its bytes.
func (m *memory) drop(r *record) {
	m.release(r)
	if r.head != nil {
		r.head.copied = nil
		return
	}
	all := m.own[r.entry.Key].records
	m.set(r.entry.Key, slices.DeleteFunc(slices.Clone(all), func(o *record) bool { return o == r }))
}

func (m *memory) set(key string, records []*record) {
	if len(records) == 0 {
		delete(m.own, key)
		return
	}
	if m.own == nil {
		m.own = make(map[string]*responses)
	}
	all := new(responses)
	all.records, all.entries = all.record[:0], all.entry[:0]
	for _, r := range records {
		all.records, all.entries = append(all.records, r), append(all.entries, r.entry)
	}
	m.own[key] = all
}

func (m *memory) charge(r *record) {
	r.charged = r.cost()
	r.place = m.recent.PushFront(r)
	m.used += r.charged
}

func (m *memory) release(r *record) {
	m.recent.Remove(r.place)
	m.used -= r.charged
}

func errGone(id string) error {
	return fmt.Errorf("the stored response %s is gone: %w", id, fs.ErrNotExist)
}

// since is the instant of a time, or the first or last one there is.
func since(t time.Time) int64 {
	switch {
	case t.Before(time.Unix(0, 0)):
		return 0
	case t.After(time.Unix(0, math.MaxInt64)):
		return math.MaxInt64
	default:
		return t.UnixNano()
	}
}
