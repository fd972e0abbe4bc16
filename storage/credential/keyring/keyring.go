// Package keyring keeps credentials beyond the process: those of
// PersistencePermanent, in the system's keyring ([Open]: Secret Service on Linux and
// the BSDs, Keychain on macOS, Credential Manager on Windows) or, where an app asks
// for that, in a file ([OpenFile]).
package keyring

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/storage"
)

// maxSpaces bounds the spaces that have credentials in memory: a peer chooses its
// realms. The space that was changed longest ago goes.
const maxSpaces = 1000

var (
	errNoCredential = errors.New("keyring: there is no credential to store")
	errNoSecret     = errors.New("keyring: a certificate, or trust, cannot be kept permanently")
	errNoName       = errors.New("keyring: the name is missing under which entries are kept")
)

// Store keeps credentials of PersistencePermanent in a keyring or a file, and others
// in memory. It implements storage.CredentialStore, and is made by Open or OpenFile.
// It is safe for concurrent use, and so are keyring and file for several processes; where
// two change the credentials of one space in the keyring at once, the one that is later
// wins. In a file both count.
//
// Its methods wait for the keyring, which may ask its user to unlock it; when ctx
// ends they return, and the keyring's answer counts for nothing. What concerns no
// permanent credential works without a keyring too.
type Store struct {
	ring ring
	turn chan struct{} // a token: whoever has it changes the ring

	removals atomic.Uint64

	mu     sync.Mutex
	spaces map[protocols.ProtectionSpace]*entry // in memory
	clock  uint64                               // counts changes
}

// ring is what keeps entries for good, by key. The Store calls it one at a time.
type ring interface {
	get(ctx context.Context, key string) (*record, error) // nil: there is none
	set(ctx context.Context, key string, r *record) error // nil removes it
	clear(ctx context.Context) error
	// alone does something that calls the ring. Where other processes can be kept out of
	// the ring between those calls, they are.
	alone(ctx context.Context, something func() error) error
}

// entry holds credentials of one space.
type entry struct {
	users   map[string]protocols.Credential
	first   *string // the user of the default; nil: none
	changed uint64
}

var (
	_ storage.CredentialStore = (*Store)(nil)
	_ storage.Resetter        = (*Store)(nil)
	_ storage.PermanentStore  = (*Store)(nil)
	_ storage.RemovalCounter  = (*Store)(nil)
)

func newStore(r ring) *Store {
	s := &Store{ring: r, turn: make(chan struct{}, 1)}
	s.turn <- struct{}{}

	return s
}

// KeepsPermanent implements storage.PermanentStore.
func (s *Store) KeepsPermanent() bool { return true }

// Default implements storage.CredentialStore.
func (s *Store) Default(ctx context.Context, space protocols.ProtectionSpace) (*protocols.Credential, error) {
	space = canonical(space)
	if c := s.remembered(space); c != nil {
		return c, nil
	}
	r, err := s.kept(ctx, space)
	if r == nil || r.Default == nil {
		return nil, err
	}

	return r.credential(*r.Default), nil
}

// kept is what the ring has of a space; nil: nothing.
func (s *Store) kept(ctx context.Context, space protocols.ProtectionSpace) (*record, error) {
	return do(ctx, s, func(ctx context.Context) (*record, error) { return s.ring.get(ctx, key(space)) })
}

// remembered is the default of the space, where that is in memory.
func (s *Store) remembered(space protocols.ProtectionSpace) *protocols.Credential {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.spaces[space]
	if e == nil || e.first == nil {
		return nil
	}
	c := e.users[*e.first]

	return &c
}

// Credentials implements storage.CredentialStore.
func (s *Store) Credentials(ctx context.Context, space protocols.ProtectionSpace) (map[string]*protocols.Credential, error) {
	space = canonical(space)
	all := make(map[string]*protocols.Credential)
	r, err := s.kept(ctx, space)
	if r != nil {
		for user := range r.Users {
			all[user] = r.credential(user)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.spaces[space]; e != nil {
		for user, c := range e.users {
			all[user] = &c
		}
	}
	if len(all) == 0 {
		return nil, err
	}

	return all, err
}

// Set implements storage.CredentialStore.
func (s *Store) Set(ctx context.Context, c *protocols.Credential, space protocols.ProtectionSpace) error {
	return s.set(ctx, c, space, false)
}

// SetDefault implements storage.CredentialStore.
func (s *Store) SetDefault(ctx context.Context, c *protocols.Credential, space protocols.ProtectionSpace) error {
	return s.set(ctx, c, space, true)
}

func (s *Store) set(ctx context.Context, c *protocols.Credential, space protocols.ProtectionSpace, asDefault bool) error {
	switch {
	case c == nil:
		return errNoCredential
	case c.Persistence == protocols.PersistenceNone:
		return nil
	case c.Persistence == protocols.PersistencePermanent && (c.Certificate != nil || c.Trust != nil):
		return errNoSecret
	}
	given, space := *c, canonical(space)
	permanent := given.Persistence == protocols.PersistencePermanent

	return s.change(ctx, func(ctx context.Context) error {
		r, err := s.ring.get(ctx, key(space))
		if err != nil && permanent && !errors.Is(err, errCorrupt) { // a damaged one is replaced
			return err
		}
		if r == nil {
			r = &record{}
		}
		known, replaced := s.has(space), r.isDefault(given.User) || s.isDefault(space, given.User)
		first := asDefault || replaced || !known && len(r.Users) == 0
		if permanent {
			r.put(&given, first)
			if err := s.ring.set(ctx, key(space), r); err != nil {
				return err
			}
			s.forget(space, given.User, first)

			return nil
		}
		s.remember(space, given, first)
		if _, kept := r.Users[given.User]; !kept && (!first || r.Default == nil) {
			return nil // the ring need not be changed
		}
		r.drop(given.User)
		if first {
			r.Default = nil
		}

		return s.ring.set(ctx, key(space), r)
	})
}

func (s *Store) has(space protocols.ProtectionSpace) bool {
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.spaces[space] != nil
}

func (s *Store) isDefault(space protocols.ProtectionSpace, user string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.spaces[space]

	return e != nil && e.first != nil && *e.first == user
}

// remember keeps a credential in memory.
func (s *Store) remember(space protocols.ProtectionSpace, c protocols.Credential, first bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.spaces[space]
	if e == nil {
		s.makeRoom()
		e = &entry{users: make(map[string]protocols.Credential, 1)}
		s.spaces[space] = e
	}
	e.users[c.User] = c
	if first {
		e.first = &c.User
	}
	s.clock++
	e.changed = s.clock
}

// makeRoom sees to it that one more space fits. The lock is held.
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

// forget takes a user's credential out of memory; and, where first, whatever default
// the space has there.
func (s *Store) forget(space protocols.ProtectionSpace, user string, first bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.spaces[space]
	if e == nil {
		return
	}
	delete(e.users, user)
	if first || e.first != nil && *e.first == user {
		e.first = nil
	}
	if len(e.users) == 0 {
		delete(s.spaces, space)
	}
}

// Removals implements storage.RemovalCounter. It counts those by this Store, not what
// others take out of the keyring.
func (s *Store) Removals() uint64 { return s.removals.Load() }

// Remove implements storage.CredentialStore. No other credential becomes the
// default in place of one that is removed.
func (s *Store) Remove(ctx context.Context, c *protocols.Credential, space protocols.ProtectionSpace) error {
	if c == nil {
		return nil
	}
	space = canonical(space)
	user := c.User
	s.forget(space, user, false)
	defer s.removals.Add(1) // once it cannot be read any more

	return s.change(ctx, func(ctx context.Context) error {
		r, err := s.ring.get(ctx, key(space))
		if r == nil || err != nil {
			return err
		}
		if _, kept := r.Users[user]; !kept {
			return nil
		}
		r.drop(user)

		return s.ring.set(ctx, key(space), r)
	})
}

// RemoveAll empties the store, and takes what the app has in the keyring out of it;
// a file is deleted. It implements storage.Resetter.
func (s *Store) RemoveAll(ctx context.Context) error {
	s.mu.Lock()
	s.spaces = nil
	s.mu.Unlock()
	defer s.removals.Add(1)

	return s.change(ctx, s.ring.clear)
}

// do does something with the ring, when it is free, and returns when that is done or
// ctx has ended. What the ring does may take longer than that.
func do[T any](ctx context.Context, s *Store, something func(context.Context) (T, error)) (result T, err error) {
	type outcome struct {
		result T
		err    error
	}
	select {
	case <-s.turn:
	case <-ctx.Done():
		return result, fmt.Errorf("keyring: waiting for the keyring: %w", context.Cause(ctx))
	}
	done := make(chan outcome, 1)
	go func() {
		defer func() { s.turn <- struct{}{} }()
		var o outcome
		o.err = s.ring.alone(ctx, func() (err error) {
			o.result, err = something(ctx)

			return err
		})
		done <- o
	}()
	select {
	case o := <-done:
		return o.result, o.err
	case <-ctx.Done():
		return result, fmt.Errorf("keyring: waiting for the keyring: %w", context.Cause(ctx))
	}
}

// change is do for what has no result.
func (s *Store) change(ctx context.Context, something func(context.Context) error) error {
	_, err := do(ctx, s, func(ctx context.Context) (struct{}, error) { return struct{}{}, something(ctx) })

	return err
}
