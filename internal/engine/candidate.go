package engine

import (
	"maps"
	"slices"
	"strings"

	"github.com/urlkit/urlkit/internal/httpauth"
	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/storage"
)

// candidate is the answer that is given without asking; nil: there is none.
func (l *load) candidate(h *hop, c *protocols.Challenge) *answer {
	removals := l.engine.removals()
	credential, fromURL := l.stored(h, c.Space)
	if credential == nil && c.Space.Method == protocols.MethodNegotiate {
		credential = &protocols.Credential{} // whom the Negotiator knows
	}
	if credential == nil {
		return nil
	}
	given := l.attempt(h, c, credential)
	if given == nil {
		return nil
	}
	given.fromURL, given.removals = fromURL, removals

	return given
}

// attempt begins the exchange with a credential; nil: it is of no use for the
// method.
func (l *load) attempt(h *hop, c *protocols.Challenge, credential *protocols.Credential) *answer {
	var x httpauth.Exchange
	var err error
	l.ask(func() { x, err = httpauth.Begin(h, c, credential, h.given.Body, l.engine.config.Negotiator) })
	if err != nil {
		return nil
	}

	return &answer{
		space: c.Space, credential: credential, exchange: x, paths: pathsOf(h.request.URL, c), removals: l.engine.removals(),
	}
}

// stored is the candidate that is used without asking: the URL's user info, else one
// of the store's; that of the user whom the URL names, if it names one.
func (l *load) stored(h *hop, space protocols.ProtectionSpace) (credential *protocols.Credential, fromURL bool) {
	user, named := "", false
	if u := h.request.URL; u.User != nil && forPassword(space) && strings.EqualFold(space.Host, u.Hostname()) {
		user, named = u.User.Username(), u.User.Username() != ""
		if password, ok := u.User.Password(); ok {
			return &protocols.Credential{User: user, Password: password}, true
		}
	}
	store := l.engine.config.Credentials
	if store == nil {
		return nil, false
	}
	l.ask(func() { // a keyring may ask its user
		if !named {
			credential, _ = store.Default(h, space)
		}
		if credential != nil {
			return
		}
		all, _ := store.Credentials(h, space)
		if credential = all[user]; credential == nil && !named && len(all) > 0 {
			credential = all[slices.Min(slices.Collect(maps.Keys(all)))]
		}
	})

	return credential, false
}

// forPassword tells whether a space is entered with a user and a password, and
// belongs to an origin.
func forPassword(space protocols.ProtectionSpace) bool {
	switch space.Method {
	case protocols.MethodDefault, protocols.MethodHTTPBasic, protocols.MethodHTTPDigest,
		protocols.MethodNTLM, protocols.MethodNegotiate:
		return space.ProxyType == ""
	default:
		return false
	}
}

// removals counts what was removed from the store: a credential that was taken before
// one of them may be gone. It stays 0 where the store does not count.
func (e *Engine) removals() uint64 {
	if c, ok := e.config.Credentials.(storage.RemovalCounter); ok {
		return c.Removals()
	}

	return 0
}
