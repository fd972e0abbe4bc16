package cache

import (
	"cmp"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// timestamps is how coarse a file system may tell when a folder was changed
	// (FAT's 2 s): a listing that is no older than that does not count as the last.
	timestamps = 2 * time.Second
	// superseded is how long the head that another has replaced is left to whoever
	// replaced it.
	superseded = time.Minute
	// maxAbandoned is how many files of dead processes are looked at in one listing.
	maxAbandoned = 16
)

// head stands for the file of a head. It is immutable but for what its comments say.
type head struct {
	name       string
	key        keyHash
	variant    variantHash
	generation generation
	stored     int64 // an instant
	size       int64 // of all files

	used    atomic.Int64 // an instant; 0: its file tells
	touched atomic.Int64 // what its file tells
	gone    atomic.Bool  // from the folder
	copied  *record      // in memory; guarded by the memory's lock
}

// folder is one of the 256. Its lock is held while it is listed, and while a head
// is renamed or removed; never while a body is read, written or removed.
type folder struct {
	disk   *disk
	number byte // the first one of its keys' hashes
	path   string

	mu       sync.Mutex
	listed   bool
	checked  time.Time // when its time of change was last asked
	modified time.Time // that time, when it was listed; zero: list it again
	size     int64
	count    int
	heads    map[keyHash][]*head // one for each variant, the one stored last in front; replaced, never changed
	bodies   map[generation][]string
	writing  map[string]struct{} // what writers of this store have open
	unsynced map[string]struct{} // what Flush has to see to
}

func newFolder(d *disk, n byte) *folder {
	return &folder{
		disk: d, number: n, path: filepath.Join(d.directory, hex.EncodeToString([]byte{n})),
		writing: make(map[string]struct{}), unsynced: make(map[string]struct{}),
	}
}

// refresh sees to it that what is known of the folder was right at some time since
// maxAge ago. Its lock is held.
func (f *folder) refresh(maxAge time.Duration) error {
	now := time.Now()
	if f.listed && now.Sub(f.checked) < maxAge {
		return nil
	}
	info, err := os.Stat(f.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err != nil {
		f.take(nil)
		f.listed, f.checked, f.modified = true, now, time.Time{}

		return nil
	}
	if f.listed && !f.modified.IsZero() && info.ModTime().Equal(f.modified) {
		f.checked = now
		return nil
	}
	names, err := f.names()
	if err != nil {
		return err
	}
	abandoned := f.take(names)
	f.listed, f.checked, f.modified = true, now, info.ModTime()
	if d := now.Sub(f.modified); d > -timestamps && d < timestamps || len(abandoned) > maxAbandoned {
		f.modified = time.Time{}
	}
	f.clean(abandoned)

	return nil
}

func (f *folder) names() ([]string, error) {
	d, err := openForReading(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer d.Close()

	return d.Readdirnames(-1)
}

// take makes the index from a listing. It returns the files that no head refers to.
func (f *folder) take(names []string) (abandoned []string) {
	known := make(map[string]*head)
	for _, all := range f.heads {
		for _, h := range all {
			known[h.name] = h
		}
	}
	heads := make(map[keyHash][]*head)
	generations := make(map[generation]bool)
	bodies := make(map[generation][]string)
	var size int64
	count := 0
	for _, name := range names {
		if !strings.HasSuffix(name, headSuffix) {
			continue
		}
		h := known[name]
		if h == nil {
			if h = parseHeadName(name); h == nil || h.key[0] != f.number {
				continue
			}
		}
		delete(known, name)
		size += h.size
		count++
		generations[h.generation] = true
		heads[h.key] = append(heads[h.key], h)
	}
	for _, name := range names {
		if g, ok := parseName(name, bodySuffix); ok && generations[g] {
			bodies[g] = append(bodies[g], name)
		} else if _, temporary := parseName(name, tempSuffix); ok || temporary {
			if _, own := f.writing[name]; !own {
				abandoned = append(abandoned, name)
			}
		}
	}
	for _, h := range known {
		f.lost(h)
	}
	f.heads, f.bodies = heads, bodies
	f.disk.total.Add(size - f.size)
	f.disk.count.Add(int64(count - f.count))
	f.size, f.count = size, count
	for key, all := range heads {
		heads[key] = f.newest(all)
	}

	return abandoned
}

// newest leaves the head that was stored last of each variant. The others are
// about to be removed by whoever stored it, or else here.
func (f *folder) newest(all []*head) []*head {
	slices.SortFunc(all, func(a, b *head) int { return cmp.Compare(b.stored, a.stored) })
	kept := all[:0]
	for _, h := range all {
		if !slices.ContainsFunc(kept, func(k *head) bool { return k.variant == h.variant }) {
			kept = append(kept, h)
			continue
		}
		if time.Since(time.Unix(0, h.stored)).Abs() > superseded { // either way where a clock jumped
			_ = os.Remove(filepath.Join(f.path, h.name))
		}
		f.lost(h)
	}

	return kept
}

// lost notes that a head is not in the folder any more.
func (f *folder) lost(h *head) {
	if !h.gone.Swap(true) {
		f.disk.store.memory.forget(h)
	}
}

// clean removes the files that dead processes left: heads that were not whole yet,
// and bodies without a head. Those that are being written are locked.
func (f *folder) clean(abandoned []string) {
	for _, name := range abandoned[:min(len(abandoned), maxAbandoned)] {
		removeAbandoned(filepath.Join(f.path, name), func() bool { return !f.referred(name) })
	}
}

// referred tells whether there is a head by now that a file belongs to.
func (f *folder) referred(name string) bool {
	g, ok := parseName(name, bodySuffix)
	if !ok {
		return false
	}
	names, err := f.names()
	if err != nil {
		return true
	}
	part := "-" + hex.EncodeToString(g[:]) + "-"

	return slices.ContainsFunc(names, func(n string) bool {
		return strings.HasSuffix(n, headSuffix) && strings.Contains(n, part)
	})
}

// find gives the head of a generation; nil: there is none.
func (f *folder) find(k keyHash, g generation) *head {
	for _, h := range f.heads[k] {
		if h.generation == g {
			return h
		}
	}

	return nil
}

// enter puts a head whose file is in the folder into the index.
func (f *folder) enter(h *head, files []string) {
	all := append([]*head{h}, f.heads[h.key]...)
	slices.SortStableFunc(all, func(a, b *head) int { return cmp.Compare(b.stored, a.stored) })
	f.heads[h.key] = all
	f.bodies[h.generation] = append(f.bodies[h.generation], files...)
	f.modified = time.Time{}
	f.account(h.size, 1)
	for _, name := range append(files, h.name) {
		f.unsynced[name] = struct{}{}
	}
}

// leave removes the file of a head and takes it out of the index. What is left of
// its body is returned: it may take long to remove, and is removed without the lock.
// Where another process has removed the head, the body is that one's to remove, or
// belongs to a head that is new.
func (f *folder) leave(h *head) (files []string, err error) {
	if h.gone.Load() {
		return nil, nil
	}
	err = os.Remove(filepath.Join(f.path, h.name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	f.modified = time.Time{}
	f.strike(h)
	if err == nil && f.find(h.key, h.generation) == nil {
		files = f.bodies[h.generation]
		delete(f.bodies, h.generation)
	}

	return files, nil
}

// strike takes a head out of the index.
func (f *folder) strike(h *head) {
	left := slices.DeleteFunc(slices.Clone(f.heads[h.key]), func(o *head) bool { return o == h })
	if f.heads[h.key] = left; len(left) == 0 {
		delete(f.heads, h.key)
	}
	delete(f.unsynced, h.name)
	f.account(-h.size, -1)
	f.lost(h)
}

func (f *folder) account(size int64, count int) {
	f.size += size
	f.count += count
	f.disk.total.Add(size)
	f.disk.count.Add(int64(count))
}

// removeFiles removes bodies. One that cannot be removed now (an open one, on
// Windows) is removed as one that a dead process left.
func (f *folder) removeFiles(names []string) {
	for _, name := range names {
		_ = os.Remove(filepath.Join(f.path, name))
	}
	if len(names) == 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, name := range names {
		delete(f.unsynced, name)
	}
}
