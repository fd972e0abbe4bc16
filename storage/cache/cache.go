// Package cache keeps responses between loads, in memory and on a disk (Apple's
// URLCache). It implements storage.CacheStore: what may be stored, and what a
// stored response is good for, is decided by the session.
//
// In a folder of the app's choice each response is a file, its head, that is
// written elsewhere and renamed: it is there whole or not at all. A body of more
// than 64 KiB has files of its own, which are complete before a head names them.
// There is no index that could be out of step: what is stored, its size and its
// age stand in the files' names, spread over 256 folders that are listed when
// they are first needed, and again when they have changed. Several processes, and
// several stores of one process, may use one folder at the same time.
//
// Heads, and bodies in blocks of 64 KiB, carry checksums that are verified before
// a byte is given out. What is damaged is removed and told to Config.Logger.
package cache

import (
	"context"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/urlkit/urlkit/storage"
)

// The capacities that Apple documents for the shared cache, in bytes.
const (
	DefaultMemoryCapacity int64 = 4 << 20
	DefaultDiskCapacity   int64 = 20 << 20
)

// Config says where and how much a Store stores. The zero value stores nothing.
type Config struct {
	// MemoryCapacity is how many bytes the responses in memory may take, with their
	// heads (Apple's memoryCapacity). 0: none are in memory.
	MemoryCapacity int64
	// DiskCapacity is how many bytes the files may take (Apple's diskCapacity). Other
	// processes count with what they do. 0: nothing is on a disk.
	DiskCapacity int64
	// Directory is the folder for the files (Apple's directory); it is made when
	// something is stored, for the user alone (mode 0700). Whoever else can write to one
	// that is there chooses what is served. "": nothing is on a disk.
	Directory string
	// Logger is told of damaged files, which are removed. nil: slog.Default.
	Logger *slog.Logger
}

// Store is a cache of two tiers. Each evicts the responses that were used longest
// ago. A response with a body of up to 64 KiB may be in both; a larger one is on
// the disk, or in memory where there is no disk. It is safe for concurrent use.
//
// What another process stores is found at once, and so is what it removes or
// replaces, but where it is in memory here: then within a second.
type Store struct {
	memory memory
	disk   atomic.Pointer[disk]
	logger *slog.Logger
	resets atomic.Uint64 // what began before one is not stored after it

	mu           sync.Mutex // guards the settings
	diskCapacity int64
	directory    string
}

var (
	_ storage.CacheStore = (*Store)(nil)
	_ storage.Resetter   = (*Store)(nil)
	_ storage.Flusher    = (*Store)(nil)
)

// New makes a store. It touches no disk: a folder that cannot be used is an error
// of what needs it.
func New(c Config) *Store {
	s := &Store{logger: c.Logger, diskCapacity: max(c.DiskCapacity, 0)}
	if s.logger == nil {
		s.logger = slog.Default()
	}
	s.memory.capacity = max(c.MemoryCapacity, 0)
	s.setDirectory(c.Directory)

	return s
}

// Shared is the store of the whole process (Apple's URLCache.shared), of the
// default capacities. It is in memory until SetDirectory gives it a folder.
func Shared() *Store { return shared() }

var shared = sync.OnceValue(func() *Store {
	return New(Config{MemoryCapacity: DefaultMemoryCapacity, DiskCapacity: DefaultDiskCapacity})
})

// tier is the disk, or nil where nothing is to be there.
func (s *Store) tier() *disk {
	d := s.disk.Load()
	if d == nil || d.capacity.Load() == 0 {
		return nil
	}

	return d
}

// MaximumBody implements storage.CacheStore: 5 % of the capacity of the disk, or
// of the memory where there is no disk.
func (s *Store) MaximumBody() int64 {
	if d := s.tier(); d != nil {
		return d.capacity.Load() / largestShare
	}

	return s.memory.limit()
}

// largestShare is the part of a capacity that one response may take: a twentieth.
const largestShare = 20

// MemoryCapacity is the capacity in memory in bytes (Apple's memoryCapacity).
func (s *Store) MemoryCapacity() int64 {
	s.memory.mu.Lock()
	defer s.memory.mu.Unlock()

	return s.memory.capacity
}

// SetMemoryCapacity changes it, and evicts at once what is too much; 0 or less
// turns the memory off.
func (s *Store) SetMemoryCapacity(bytes int64) { s.memory.setCapacity(max(bytes, 0)) }

// MemoryUsage is how many bytes are in use in memory (Apple's
// currentMemoryUsage): bodies, and about what their heads take.
func (s *Store) MemoryUsage() int64 {
	s.memory.mu.Lock()
	defer s.memory.mu.Unlock()

	return s.memory.used
}

// DiskCapacity is the capacity on disk in bytes (Apple's diskCapacity). It counts
// where there is a Directory.
func (s *Store) DiskCapacity() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.diskCapacity
}

// SetDiskCapacity changes it, and evicts at once what is too much; 0 or less turns
// the disk off and removes all files. The error is about files that could not be
// removed.
func (s *Store) SetDiskCapacity(bytes int64) error {
	s.mu.Lock()
	s.diskCapacity = max(bytes, 0)
	d := s.disk.Load()
	if d != nil {
		d.capacity.Store(s.diskCapacity)
	}
	s.mu.Unlock()
	if d == nil {
		return nil
	}

	return d.fit()
}

// DiskUsage is how many bytes the stored files have (Apple's currentDiskUsage),
// with those of other processes.
func (s *Store) DiskUsage() (int64, error) {
	d := s.disk.Load()
	if d == nil {
		return 0, nil
	}
	err := d.refreshAll(0)

	return d.total.Load(), err
}

// Directory is the folder of the files, "" where there is none.
func (s *Store) Directory() string {
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.directory
}

// SetDirectory changes the folder. What is stored in the old one stays there; ""
// turns the disk off.
func (s *Store) SetDirectory(directory string) {
	s.mu.Lock()
	s.setDirectory(directory)
	s.mu.Unlock()
	s.memory.forgetDisk()
}

func (s *Store) setDirectory(directory string) {
	s.directory = directory
	if directory == "" {
		s.disk.Store(nil)
		return
	}
	if path, err := filepath.Abs(directory); err == nil { // the process may change its folder
		s.directory = path
	}
	s.disk.Store(newDisk(s.directory, s.diskCapacity, s))
}

// RemoveAll empties the store and removes its files, also those of other
// processes (Apple's removeAllCachedResponses). Files that are not a cache's stay.
// What is being stored when it is called is not stored. It implements
// storage.Resetter.
func (s *Store) RemoveAll(context.Context) error {
	s.resets.Add(1)
	s.memory.removeAll()
	d := s.disk.Load()
	if d == nil {
		return nil
	}

	return d.removeAll()
}

// Flush makes what is stored outlive a power failure, and other processes know
// when it was used; it is in its files before. It implements storage.Flusher.
func (s *Store) Flush(ctx context.Context) error {
	d := s.tier()
	if d == nil {
		return nil
	}

	return d.flush(ctx)
}

// None is the store that keeps nothing: its methods find nothing, and there is no
// room in it.
var None storage.CacheStore = New(Config{})
