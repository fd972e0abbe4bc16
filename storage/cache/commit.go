package cache

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/urlkit/urlkit/storage"
)

// maxAttempts is how often what others have disturbed is tried.
const maxAttempts = 16

// create makes a file of a folder, which its store's own listings leave alone until
// forgotten is called with its name.
func (f *folder) create(g generation, suffix string) (*os.File, string, error) {
	var failed error
	for range maxAttempts {
		name := newName(g, suffix)
		f.mu.Lock()
		f.writing[name] = struct{}{}
		f.mu.Unlock()
		file, err := os.OpenFile(filepath.Join(f.path, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err == nil && claim(file) {
			return file, name, nil
		}
		f.forgotten(name)
		switch {
		case err == nil: // another process took it for abandoned before it was locked
			_ = file.Close()
			_ = os.Remove(file.Name())
			failed = errGone(name)
		case !errors.Is(err, fs.ErrNotExist):
			return nil, "", err
		default:
			failed = err
			if err := os.MkdirAll(f.path, 0o700); err != nil {
				return nil, "", err
			}
		}
	}

	return nil, "", failed
}

func (f *folder) forgotten(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.writing, name)
}

// publish writes the file of a head elsewhere, and then calls place with the lock,
// which renames it to the name of the head that it returns, or leaves it.
func (f *folder) publish(g generation, content []byte, place func(rename func(to string) error) error) error {
	file, name, err := f.create(g, tempSuffix)
	if err != nil {
		return err
	}
	path := filepath.Join(f.path, name)
	defer f.forgotten(name)
	_, err = file.Write(content)
	if !renamesOpen {
		err = errors.Join(err, file.Close())
	}
	placed := false
	if err == nil {
		err = func() error {
			f.mu.Lock()
			defer f.mu.Unlock()
			if err := f.refresh(0); err != nil {
				return err
			}

			return place(func(to string) error {
				err := os.Rename(path, filepath.Join(f.path, to))
				placed = err == nil

				return err
			})
		}()
	}
	if renamesOpen { // it was locked until it had its name
		_ = file.Close()
	}
	if !placed {
		_ = os.Remove(path)
	}

	return err
}

// put makes what was written visible, in place of what has its key and variant.
// files are those of its body.
func (d *disk) put(h *head, content []byte, files []string, current func() bool) error {
	f := d.folder(h.key)
	var removed []string
	err := f.publish(h.generation, content, func(rename func(string) error) error {
		if !current() {
			return errReset
		}
		f.date(h)
		if err := rename(h.name); err != nil {
			return err
		}
		f.enter(h, files)
		removed = f.supersede(h)

		return nil
	})
	f.removeFiles(removed)

	return err
}

// date gives a head its time and so its name. It is later than what is stored for
// the key, whatever the clock says.
func (f *folder) date(h *head) {
	h.stored = instant()
	if all := f.heads[h.key]; len(all) > 0 {
		h.stored = max(h.stored, all[0].stored+1)
	}
	h.used.Store(h.stored)
	h.name = headName(h.key, h.variant, h.generation, h.stored, h.size)
}

// supersede removes the heads in whose place a new one is: those of its variant, and
// the oldest where there are too many variants. One that cannot be removed is not
// seen any more. It returns the files of their bodies.
func (f *folder) supersede(h *head) (files []string) {
	kept := 0
	for _, o := range f.heads[h.key] {
		if o == h || o.variant != h.variant && kept < maxVariants {
			kept++
			continue
		}
		left, err := f.leave(o)
		if err != nil {
			f.strike(o)
		}
		files = append(files, left...)
	}

	return files
}

// changed is what a change makes of a response that is stored.
type changed struct {
	entry     *storage.CacheEntry
	stretches []stretch
	file      string // of the stretch that is new; "": none is
}

// change puts another head in place of one, whose body stays. change may be called
// more than once: the response may be changed by others meanwhile.
func (d *disk) change(id string, change func(*record) (changed, error), current func() bool) (*storage.CacheEntry, error) {
	for range maxAttempts {
		old, err := d.find(id, 0)
		if err != nil {
			return nil, err
		}
		if old == nil {
			break
		}
		r, err := d.entry(old)
		if errors.Is(err, fs.ErrNotExist) {
			continue // it was changed between the two calls, or find says that it is gone
		}
		if err != nil {
			return nil, err
		}
		c, err := change(r)
		if err != nil {
			return nil, err
		}
		if c.entry == nil {
			return r.entry, nil
		}
		e, err := d.replace(old, r, c, current)
		if !errors.Is(err, errChanged) {
			return e, err
		}
	}

	return nil, errGone(id)
}

var errChanged = errors.New("the stored response was changed meanwhile")

// replace puts a changed response in the place of an old one, unless that is gone
// by then (errChanged).
func (d *disk) replace(old *head, r *record, c changed, current func() bool) (*storage.CacheEntry, error) {
	e := with(c.entry, r.entry.ID, r.entry.Length, c.stretches)
	content, err := encodeHead(e, old.generation, c.stretches)
	if err != nil {
		return nil, err
	}
	h := &head{key: old.key, variant: hashVariant(e.Variant), generation: old.generation}
	h.size = filesSize(content, c.stretches)
	grown := max(h.size-old.size, 0)
	if err := d.reserve(grown); err != nil {
		return nil, err
	}
	defer d.pending.Add(-grown)
	f := d.folder(old.key)
	var removed []string
	err = f.publish(h.generation, content, func(rename func(string) error) error {
		if !current() {
			return errReset
		}
		if old.gone.Load() {
			return errChanged
		}
		f.date(h)
		if err := rename(h.name); err != nil {
			return err
		}
		removed, err = f.exchange(old, h, r.stretches, c)

		return err
	})
	f.removeFiles(removed)
	if err != nil {
		return nil, err
	}
	d.store.memory.copy(&record{entry: e, stretches: c.stretches, stored: h.stored, head: h})

	return e, nil
}

// exchange takes an old head out, whose changed one is in its place. Who removes the
// file of the old one has made the change; where it is gone another process was
// first, and the new one goes. It returns files that are not needed any more.
func (f *folder) exchange(old, h *head, before []stretch, c changed) ([]string, error) {
	if err := os.Remove(filepath.Join(f.path, old.name)); err != nil {
		_ = os.Remove(filepath.Join(f.path, h.name))
		f.modified = time.Time{}
		if errors.Is(err, fs.ErrNotExist) {
			f.strike(old)
			return nil, errChanged
		}

		return nil, err
	}
	f.strike(old)
	var files []string
	if c.file != "" {
		files = append(files, c.file)
	}
	f.enter(h, files)
	var unused []string
	for _, s := range before {
		if s.file != "" && !slices.ContainsFunc(c.stretches, func(n stretch) bool { return n.file == s.file }) {
			unused = append(unused, s.file)
		}
	}
	f.bodies[h.generation] = slices.DeleteFunc(f.bodies[h.generation], func(name string) bool { return slices.Contains(unused, name) })

	return append(unused, f.supersede(h)...), nil
}

// filesSize is what a head with its bodies takes on disk.
func filesSize(content []byte, stretches []stretch) int64 {
	n := int64(len(content))
	for _, s := range stretches {
		if s.file != "" {
			n += fileLength(s.length)
		}
	}

	return n
}
