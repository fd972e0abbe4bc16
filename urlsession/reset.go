package urlsession

import (
	"context"
	"errors"

	"github.com/urlkit/urlkit/storage"
)

// Reset empties the session's cookies and credentials, and then does what Flush
// does (Apple's reset). Other sessions that share a store lose them too. A store
// that cannot be emptied is an error; the rest is done all the same.
func (s *Session) Reset(ctx context.Context) error {
	var errs []error
	for _, store := range []any{s.configuration.Cookies, s.configuration.Credentials} {
		if r, ok := store.(storage.Resetter); ok {
			errs = append(errs, r.RemoveAll(ctx))
		}
	}

	return errors.Join(append(errs, s.Flush())...)
}

// Flush drops the session's connections, TLS sessions and what its protocols
// remember, so that the next request uses a fresh connection (Apple's flush).
// Running loads go on over the connections that they have.
func (s *Session) Flush() error { return s.engine.Flush() }
