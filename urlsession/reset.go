package urlsession

import (
	"context"
	"errors"

	"github.com/urlkit/urlkit/storage"
)

// stored are the stores that the session uses: what it keeps between loads.
func (s *core) stored() []any {
	c := &s.configuration

	return []any{c.Cookies, c.Credentials, c.Cache, c.AlternativeServices}
}

// Reset empties the session's cookies, credentials, cache and alternative services, deletes their files, and then
// does what Flush does (Apple's reset). Other sessions that share a store lose them
// too. ctx bounds the waiting for disks and keyrings. A store that cannot be emptied
// is an error; the rest is done all the same.
func (s *Session) Reset(ctx context.Context) error {
	var errs []error
	for _, store := range s.stored() {
		if r, ok := store.(storage.Resetter); ok {
			errs = append(errs, r.RemoveAll(ctx))
		}
	}

	return errors.Join(append(errs, s.Flush(ctx))...)
}

// Flush writes what the session's stores have not written yet, and drops its
// connections, TLS sessions and what its protocols remember, so that the next request
// uses a fresh connection (Apple's flush). Running loads go on over the connections
// that they have. ctx bounds the waiting for disks. A store that cannot be written is
// an error; the rest is done all the same.
func (s *Session) Flush(ctx context.Context) error {
	var errs []error
	for _, store := range s.stored() {
		if f, ok := store.(storage.Flusher); ok {
			errs = append(errs, f.Flush(ctx))
		}
	}

	return errors.Join(append(errs, s.engine.Flush())...)
}
