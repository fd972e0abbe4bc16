package engine

import (
	"context"
	"sync"

	"github.com/urlkit/urlkit/protocols"
)

// questions are the protection spaces that an app is being asked about: one load
// asks at a time, so that a user types a password once.
type questions struct {
	mu   sync.Mutex
	open map[questionKey]*question
}

type questionKey struct {
	space     protocols.ProtectionSpace
	partition string
}

// question is one that is open, or that others still wait for.
type question struct {
	turn  chan struct{} // holds a token while nobody asks
	users int           // who ask or wait; guarded by the lock of questions

	credential *protocols.Credential // of the one who has the turn
}

// begin waits for the turn to ask; nil: ctx has ended.
func (q *questions) begin(ctx context.Context, key questionKey) *question {
	q.mu.Lock()
	one := q.open[key]
	if one == nil {
		one = &question{turn: make(chan struct{}, 1)}
		one.turn <- struct{}{}
		if q.open == nil {
			q.open = make(map[questionKey]*question)
		}
		q.open[key] = one
	}
	one.users++
	q.mu.Unlock()
	select {
	case <-one.turn:
		return one
	case <-ctx.Done():
		q.leave(key, one)

		return nil
	}
}

// end gives the turn to the next.
func (q *questions) end(key questionKey, one *question) {
	one.turn <- struct{}{}
	q.leave(key, one)
}

func (q *questions) leave(key questionKey, one *question) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if one.users--; one.users == 0 {
		delete(q.open, key)
	}
}

// answered keeps an answer for those who wait. One for a single challenge is
// nobody else's.
func (q *question) answered(c *protocols.Credential) {
	if c != nil && c.Persistence != protocols.PersistenceNone {
		q.credential = c
	}
}

// shared is what another load was answered meanwhile, unless it is what was just
// refused; nil: the app is to be asked.
func (q *question) shared(refused *protocols.Credential) *protocols.Credential {
	c := q.credential
	if c == nil || refused != nil && sameSecret(c, refused) {
		return nil
	}

	return c
}

// sameSecret tells whether two credentials say the same.
func sameSecret(a, b *protocols.Credential) bool {
	return a.User == b.User && a.Password == b.Password && a.Token == b.Token
}
