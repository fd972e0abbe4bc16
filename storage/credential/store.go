// Package credential keeps credentials in memory by protection space.
package credential

import (
	"context"
	"errors"
	"maps"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/urlkit/urlkit/internal/observers"
	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/storage"
)

// maxSpaces bounds the protection spaces of a store: a peer chooses its realms,
// and could name a new one in each answer. The space that was changed longest
// ago goes.
const maxSpaces = 1000

var errNoCredential = errors.New("there is no credential to store")

// Store keeps credentials in memory (Apple's URLCredentialStorage). It
// implements storage.CredentialStore. The zero value is an empty store. It is
// safe for concurrent use.
//
// A credential of PersistencePermanent is kept as one of PersistenceForSession:
// as long as the store. Package keyring keeps it beyond the process. The store keeps
// copies, and its methods neither wait nor fail, but for Set and SetDefault of no
// credential.
type Store struct {
	mu     sync.RWMutex
	spaces map[protocols.ProtectionSpace]*entry
	clock  uint64 // counts changes

	removals  atomic.Uint64
	observers observers.List
}

// entry holds the credentials of one space. It is never empty.
type entry struct {
	users       map[string]*protocols.Credential
	defaultUser string
	hasDefault  bool
	changed     uint64
}

var (
	_ storage.CredentialStore = (*Store)(nil)
	_ storage.Resetter        = (*Store)(nil)
	_ storage.RemovalCounter  = (*Store)(nil)
)

// NewStore makes an empty store.
func NewStore() *Store { return &Store{} }

// Shared is the store of the whole process (Apple's
// URLCredentialStorage.shared).
func Shared() *Store { return shared }

var shared = NewStore()

// Default implements storage.CredentialStore.
func (s *Store) Default(_ context.Context, space protocols.ProtectionSpace) (*protocols.Credential, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	e := s.spaces[canonical(space)]
	if e == nil || !e.hasDefault {
		return nil, nil
	}

	return clone(e.users[e.defaultUser]), nil
}

// Credentials implements storage.CredentialStore.
func (s *Store) Credentials(_ context.Context, space protocols.ProtectionSpace) (map[string]*protocols.Credential, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()

	return s.spaces[canonical(space)].copies(), nil
}

// All gives the credentials of every space (Apple's allCredentials). It is never
// nil, and has no empty space.
func (s *Store) All() map[protocols.ProtectionSpace]map[string]*protocols.Credential {
	s.mu.RLock()
	defer s.mu.RUnlock()
	all := make(map[protocols.ProtectionSpace]map[string]*protocols.Credential, len(s.spaces))
	for space, e := range s.spaces {
		all[space] = e.copies()
	}

	return all
}

// Set implements storage.CredentialStore.
func (s *Store) Set(_ context.Context, c *protocols.Credential, space protocols.ProtectionSpace) error {
	return s.set(c, space, false)
}

// SetDefault implements storage.CredentialStore.
func (s *Store) SetDefault(_ context.Context, c *protocols.Credential, space protocols.ProtectionSpace) error {
	return s.set(c, space, true)
}

func (s *Store) set(c *protocols.Credential, space protocols.ProtectionSpace, asDefault bool) error {
	if c == nil {
		return errNoCredential
	}
	if c.Persistence == protocols.PersistenceNone {
		return nil
	}
	space = canonical(space)
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.spaces[space]
	if e == nil {
		s.makeRoom()
		e = &entry{users: make(map[string]*protocols.Credential, 1)}
		s.spaces[space] = e
		asDefault = true
	}
	old, there := e.users[c.User]
	first := asDefault && (!e.hasDefault || e.defaultUser != c.User)
	if !there || *old != *c || first {
		s.observers.Wake()
	}
	e.users[c.User] = clone(c)
	if asDefault {
		e.defaultUser, e.hasDefault = c.User, true
	}
	s.clock++
	e.changed = s.clock

	return nil
}

// makeRoom sees to it that one more space fits.
func (s *Store) makeRoom() {
	if s.spaces == nil {
		s.spaces = make(map[protocols.ProtectionSpace]*entry)
	}
	if len(s.spaces) < maxSpaces {
		return
	}
	var oldest protocols.ProtectionSpace
	changed := s.clock + 1
	for space, e := range s.spaces {
		if e.changed < changed {
			oldest, changed = space, e.changed
		}
	}
	delete(s.spaces, oldest)
}

// Removals implements storage.RemovalCounter.
func (s *Store) Removals() uint64 { return s.removals.Load() }

// Remove implements storage.CredentialStore. No other credential becomes the
// default in place of one that is removed.
func (s *Store) Remove(_ context.Context, c *protocols.Credential, space protocols.ProtectionSpace) error {
	if c == nil {
		return nil
	}
	space = canonical(space)
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.spaces[space]
	if e == nil {
		return nil
	}
	if _, there := e.users[c.User]; there {
		s.removals.Add(1)
		s.observers.Wake()
	}
	delete(e.users, c.User)
	if e.defaultUser == c.User {
		e.defaultUser, e.hasDefault = "", false
	}
	if len(e.users) == 0 {
		delete(s.spaces, space)
	}

	return nil
}

// RemoveAll empties the store. It implements storage.Resetter.
func (s *Store) RemoveAll(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.spaces) > 0 {
		s.removals.Add(1)
		s.observers.Wake()
	}
	s.spaces = nil

	return nil
}

func (e *entry) copies() map[string]*protocols.Credential {
	if e == nil {
		return nil
	}
	users := maps.Clone(e.users)
	for user, c := range users {
		users[user] = clone(c)
	}

	return users
}

func clone(c *protocols.Credential) *protocols.Credential {
	copied := *c
	return &copied
}

// canonical is the space with the names that know no case in lower case.
func canonical(space protocols.ProtectionSpace) protocols.ProtectionSpace {
	space.Host = strings.ToLower(space.Host)
	space.Protocol = strings.ToLower(space.Protocol)

	return space
}

// None is the store that keeps nothing.
var None storage.CredentialStore = none{}

type none struct{}

func (none) Default(context.Context, protocols.ProtectionSpace) (*protocols.Credential, error) {
	return nil, nil
}

func (none) Credentials(context.Context, protocols.ProtectionSpace) (map[string]*protocols.Credential, error) {
	return nil, nil
}

func (none) Set(context.Context, *protocols.Credential, protocols.ProtectionSpace) error {
	return nil
}

func (none) SetDefault(context.Context, *protocols.Credential, protocols.ProtectionSpace) error {
	return nil
}

func (none) Remove(context.Context, *protocols.Credential, protocols.ProtectionSpace) error {
	return nil
}

func (none) RemoveAll(context.Context) error { return nil }
