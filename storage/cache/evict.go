package cache

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/urlkit/urlkit/storage"
)

const (
	// maxHeads bounds the responses on a disk: what is known of each takes memory.
	maxHeads = 1 << 17
	// touchInterval is how often the use of a response that is served from memory is
	// written to its file.
	touchInterval = time.Minute
	// othersInterval is how often a store that writes looks at what others did.
	othersInterval = time.Second
	// maxIdle is how often all responses are gone through though none could be evicted.
	maxIdle = 3
)

// candidate is a head that may be evicted, unless it was used since.
type candidate struct {
	head *head
	used int64
}

// use notes that a response was used.
func (d *disk) use(h *head, interval time.Duration) {
	h.used.Store(instant())
	d.folder(h.key).touch(h, interval)
}

// touch writes to the file of a head when it was used, if that was not written for
// so long. Other processes and later ones go by it.
func (f *folder) touch(h *head, interval time.Duration) {
	used, touched := h.used.Load(), h.touched.Load()
	if used == 0 || used == touched || touched != 0 && used-touched < int64(interval) || !h.touched.CompareAndSwap(touched, used) {
		return
	}
	t := time.Unix(0, used)
	_ = os.Chtimes(filepath.Join(f.path, h.name), t, t)
}

// reserve counts bytes of a response that is being stored, and makes room for them.
func (d *disk) reserve(bytes int64) error {
	if err := d.refreshAll(othersInterval); err != nil {
		return err
	}
	d.pending.Add(bytes)
	if !d.full() {
		return nil
	}
	if !d.evicting.TryLock() { // whoever has it makes room for this too
		return nil
	}
	err := d.evict()
	d.evicting.Unlock()
	if d.full() {
		d.pending.Add(-bytes)
		return fmt.Errorf("the cache is full: %w", cmp.Or(err, storage.ErrTooLarge))
	}

	return nil
}

// full tells whether there is more than there should be.
func (d *disk) full() bool {
	return d.total.Load()+d.pending.Load() > d.capacity.Load() || d.count.Load() > maxHeads
}

// fit evicts what is too much. The error is about what could not be removed.
func (d *disk) fit() error {
	d.evicting.Lock()
	defer d.evicting.Unlock()
	if err := d.refreshAll(0); err != nil {
		return err
	}

	return d.evict()
}

// evict removes what was used longest ago until what is left fits, or nothing more
// can be removed.
func (d *disk) evict() (failed error) {
	for idle := 0; d.full(); {
		if len(d.queue) == 0 {
			if idle++; idle > maxIdle {
				break
			}
			d.fill()
		}
		if len(d.queue) == 0 {
			break
		}
		next := d.queue[0]
		d.queue = d.queue[1:]
		if !d.unused(next) {
			continue
		}
		if err := d.remove(next.head); err != nil {
			failed = err
			continue
		}
		idle = 0
	}

	return failed
}

// fill makes a queue of all responses, the one that was used longest ago in front.
// What is used or stored from now on was used later than all of them.
func (d *disk) fill() {
	now := instant()
	heads, _ := d.all() // what cannot be read cannot be removed either
	d.queue = make([]candidate, 0, len(heads))
	for _, h := range heads {
		if h.used.Load() == 0 {
			h.used.CompareAndSwap(0, d.lastUse(h, now))
		}
		d.queue = append(d.queue, candidate{h, h.used.Load()})
	}
	slices.SortFunc(d.queue, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.used, b.used), cmp.Compare(a.head.stored, b.head.stored))
	})
}

// lastUse is when the file of a head tells that it was used. A clock that was ahead
// must not keep it for good.
func (d *disk) lastUse(h *head, now int64) int64 {
	used := h.stored
	info, err := os.Lstat(filepath.Join(d.folder(h.key).path, h.name))
	if err == nil {
		used = max(used, info.ModTime().UnixNano())
	}

	return min(used, now)
}

// unused tells whether a candidate is still the next to go: neither this process
// nor another has used it.
func (d *disk) unused(c candidate) bool {
	if c.head.gone.Load() || c.head.used.Load() != c.used {
		return false
	}
	info, err := os.Lstat(filepath.Join(d.folder(c.head.key).path, c.head.name))
	if errors.Is(err, fs.ErrNotExist) {
		return true
	}
	if err != nil {
		return true // remove says what it is
	}
	if file := info.ModTime().UnixNano(); file > max(c.used, c.head.touched.Load(), c.head.stored) && file <= time.Now().UnixNano() {
		return !c.head.used.CompareAndSwap(c.used, file)
	}

	return true
}
