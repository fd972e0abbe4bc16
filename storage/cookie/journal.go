package cookie

import (
	"slices"
	"time"
)

// maxBuried bounds what is remembered of removed cookies. They are as many only
// where the file cannot be written for long; then some may come back.
const maxBuried = 2 * maxCookies

// journal is what a store knows of its file. It is guarded by the lock of the
// store.
type journal struct {
	wake    func()              // has the file written soon; it does not wait
	written uint64              // the changes up to this one are in the file
	wiped   uint64              // the change that emptied the store last
	buried  map[identity]uint64 // cookies that the file may hold, removed by this change
}

// bury notes that a cookie is to go from the file.
func (j *journal) bury(id identity, change uint64) {
	if j.buried == nil {
		j.buried = make(map[identity]uint64)
	}
	if len(j.buried) >= maxBuried {
		for some := range j.buried {
			delete(j.buried, some)

			break
		}
	}
	j.buried[id] = change
}

// pending tells whether there are changes that the file lacks.
func (j *journal) pending(e *entry) bool { return e.changed > j.written }

// record is a cookie as it is in the file.
type record struct {
	cookie

	partition       string
	created, stored time.Time
	used            uint64
}

// merge takes in what the file holds. What this process has changed since it wrote
// the file last is newer than that; of the rest the file has the last word. lost
// tells that the file was there and could not be read: what the store has is written
// again.
func (s *Store) merge(base []record, lost bool, now time.Time) {
	j := s.journal
	wiped := j.wiped > j.written
	if wiped {
		base = nil
	}
	known := make(map[identity]keyed, s.size.Load())
	for key, jar := range s.jars {
		for _, e := range jar {
			known[e.identity(key)] = keyed{e, key}
		}
	}
	before := s.changes
	held := make(map[identity]bool, len(base))
	for i := range base {
		r := &base[i]
		key := jarKey{r.partition, sites.of(r.domain)}
		id := r.identity(key)
		held[id] = true
		if _, gone := j.buried[id]; gone || r.expired(now) {
			continue
		}
		s.mergeRecord(key, known[id].entry, r)
	}
	switch {
	case lost:
		s.rewrite()
	case !wiped:
		s.forget(held)
	}
	for key := range s.jars {
		s.shrink(key, now)
	}
	if s.changes != before {
		s.observers.Wake()
	}
}

// mergeRecord takes in one cookie of the file. e is what the store has; nil: nothing.
func (s *Store) mergeRecord(key jarKey, e *entry, r *record) {
	switch {
	case e == nil:
		s.insert(key, &entry{cookie: r.cookie, created: r.created, stored: r.stored, used: r.used, onDisk: true})
		s.uses = max(s.uses, r.used)
		s.changes++
	case s.journal.pending(e): // set here since
	case !e.equal(&r.cookie):
		e.cookie, e.stored, e.onDisk = r.cookie, r.stored, true
		s.changes++
	}
}

// rewrite makes a change of everything that the file had.
func (s *Store) rewrite() {
	s.changes++
	for _, jar := range s.jars {
		for _, e := range jar {
			if e.onDisk {
				e.changed = s.changes
			}
		}
	}
}

// forget removes what another process has removed from the file.
func (s *Store) forget(held map[identity]bool) {
	for key, jar := range s.jars {
		var gone []*entry
		for _, e := range jar {
			if e.onDisk && !s.journal.pending(e) && !held[e.identity(key)] {
				e.onDisk = false // so there is nothing to bury
				gone = append(gone, e)
			}
		}
		s.discard(key, func(e *entry) bool { return slices.Contains(gone, e) })
	}
}

// records are the cookies that the file is to hold, and the change that they are
// the state of.
func (s *Store) records(now time.Time) ([]record, uint64) {
	var list []record
	for _, e := range s.live(now) {
		if !e.persists() || len(e.key.partition) > maxAttribute { // the file has a bound
			continue
		}
		e.onDisk = true // soon, or at least perhaps
		list = append(list, record{e.cookie, e.key.partition, e.created, e.stored, e.used})
	}

	return list, s.changes
}

// wrote notes that the file holds the state after a change.
func (j *journal) wrote(change uint64) {
	j.written = max(j.written, change)
	for id, at := range j.buried {
		if at <= j.written {
			delete(j.buried, id)
		}
	}
}
