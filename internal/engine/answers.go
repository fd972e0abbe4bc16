package engine

import (
	"context"
	"slices"
	"sync"

	"github.com/urlkit/urlkit/internal/httpauth"
	"github.com/urlkit/urlkit/protocols"
)

// What one load may cost, should an app answer for ever, or a peer name a new
// realm, a stale nonce or another leg each time: credentials that are sent, and
// answers that go on without one.
const (
	maxAnswers = 64
	maxLegs    = 8
)

// answer is a credential that a load has sent to a protection space. Should that
// space ask again, it was refused.
type answer struct {
	space      protocols.ProtectionSpace
	count      int
	credential *protocols.Credential
	exchange   httpauth.Exchange // nil: a method without a header field
	paths      paths             // where else the credential is good
	asked      bool              // the app gave it
	fromURL    bool
	unasked    bool                // the session knew it to be wanted
	recalled   bool                // it was, and was refused
	known      *known              // what the session remembers of it; nil: nothing
	bind       string              // of an unasked one: the connection that was let in
	legs       int                 // that went on without another credential
	good       bool                // was let in
	conn       *protocols.ConnInfo // that the exchange began on
}

// bound tells whether the answer is to one connection.
func (a *answer) bound() bool { return a.exchange != nil && a.exchange.Bound() }

// field is the header field that carries the answer.
func (a *answer) field() string {
	if a.space.ProxyType != "" {
		return "Proxy-Authorization"
	}

	return "Authorization"
}

// answers are those of one load, the last given last. nil: none was given. A
// protocol may ask on any goroutine; what is not under the lock is the pipeline's.
type answers struct {
	mu    sync.Mutex
	list  []answer
	total int

	origin, proxy *answer                     // the pipeline's own, which go on the next hop; nil: none
	bind          string                      // of the connection that they are bound to; "": any will do
	open          bool                        // a message of a bound exchange is under way
	skipped       []protocols.ProtectionSpace // where an exchange failed
}

// to gives the last answer to a space, and whether another may be given.
func (a *answers) to(space protocols.ProtectionSpace) (last answer, more bool) {
	if a == nil {
		return answer{}, true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, given := range a.list {
		if given.space == space {
			last = given
		}
	}

	return last, a.total < maxAnswers
}

// onHop are the pipeline's answers, which go on the next hop.
func (a *answers) onHop() (list []*answer) {
	if a == nil {
		return nil
	}
	for _, given := range []*answer{a.origin, a.proxy} {
		if given != nil {
			list = append(list, given)
		}
	}

	return list
}

// place is where the answer to an origin, or to a proxy, stands.
func (a *answers) place(proxy bool) **answer {
	if proxy {
		return &a.proxy
	}

	return &a.origin
}

// answered gives the load's answers, to add one.
func (l *load) answered() *answers {
	if a := l.answers.Load(); a != nil {
		return a
	}
	l.answers.CompareAndSwap(nil, new(answers))

	return l.answers.Load()
}

// add notes that a credential is sent.
func (a *answers) add(given answer) *answer {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.total++
	given.count = 1
	for i := range a.list {
		if a.list[i].space == given.space {
			given.count += a.list[i].count
			a.list = slices.Delete(a.list, i, i+1)

			break
		}
	}
	a.list = append(a.list, given)

	return &given
}

// arrived is called when a response has come, and tells whether a message of a
// bound exchange was under way.
func (a *answers) arrived() bool {
	if a == nil || !a.open {
		return false
	}
	a.open = false

	return true
}

// last is what was sent last; its credential is nil where nothing was.
func (a *answers) last() answer {
	if a == nil {
		return answer{}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.list) == 0 {
		return answer{}
	}

	return a.list[len(a.list)-1]
}

// forget is called when a redirect leads to another origin. What a proxy was
// answered stays: the route decides whether it is sent.
func (a *answers) forget(e *Engine) {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.origin != nil {
		e.known.release(a.origin, a.bind)
	}
	a.list = slices.DeleteFunc(a.list, func(given answer) bool { return given.space.ProxyType == "" })
	a.origin, a.bind, a.skipped = nil, "", nil
	if a.proxy != nil && a.proxy.bound() {
		a.proxy = nil // its connection was the bound one
	}
}

// release gives the connection back that the load had to itself.
func (a *answers) release(e *Engine) {
	if a != nil {
		e.known.release(a.origin, a.bind)
	}
}

// authorize puts the credentials that were answered last on the hop, else those
// that the session knows to be wanted.
func (l *load) authorize(h *hop) error {
	all := l.answers.Load()
	if all == nil || all.origin == nil {
		if a := l.recall(h); a != nil {
			all = l.answered()
			all.origin = a
			if a.bind != "" {
				all.bind = a.bind
			}
		}
	}
	for _, a := range all.onHop() {
		if a.space.ProxyType != "" && h.request.Route.Forward == "" {
			continue // another way: it is none of the origin's business
		}
		if a.bound() && all.open && !l.restart(h, a, &protocols.Challenge{Space: a.space}) {
			continue // the message before was lost with its connection
		}
		if err := l.write(h, a); err != nil {
			return err
		}
	}
	if all != nil && all.bind != "" {
		h.request.Bind = all.bind
	}

	return nil
}

// write puts an answer on the hop.
func (l *load) write(h *hop, a *answer) error {
	if !a.unasked {
		h.request.Credential = a.credential
	}
	if a.exchange == nil {
		return nil
	}
	opening := a.exchange.Opening()
	value, err := a.exchange.Field(h, h.message(a))
	switch {
	case err != nil && a.unasked:
		l.answered().origin = nil // it is asked for, then

		return nil
	case err != nil:
		return err
	case value != "":
		h.setField(a.field(), value)
		if a.bound() {
			l.answered().open = true
		}
	}
	h.opening = h.opening || opening
	if opening && h.request.Body != nil {
		h.request.Body, h.bodiless = nil, true
	}

	return nil
}

// message is what an answer may depend on. A proxy that is spoken to in
// absolute-form sees that form.
func (h *hop) message(a *answer) *httpauth.Message {
	m := &httpauth.Message{Method: h.request.Method, URI: h.request.URL.RequestURI(), Body: h.request.Body}
	if a.space.ProxyType != "" {
		u := *h.request.URL
		u.User, u.Fragment, u.RawFragment = nil, "", ""
		m.URI = u.String()
	}

	return m
}

// accepted takes in that a response was let in: the exchanges may learn from it,
// and the credential is stored and remembered. A store that fails (a locked
// keyring) costs a question the next time, not this response.
func (l *load) accepted(ctx context.Context, h *hop, resp *protocols.Response) {
	all := l.answers.Load()
	if all == nil || h.opening {
		return // an exchange that was cut short proves nothing
	}
	for _, a := range all.onHop() {
		if a.exchange != nil {
			a.exchange.Accepted(ctx, resp.Header)
		}
		if !a.good {
			a.good = true
			l.remember(h, a)
		}
	}
	l.keep(ctx, all)
}

// keep stores the credential that the app gave last.
func (l *load) keep(ctx context.Context, all *answers) {
	all.mu.Lock()
	var given answer
	if n := len(all.list); n > 0 && all.list[n-1].asked {
		given = all.list[n-1]
		all.list[n-1].asked = false // once is enough
	}
	all.mu.Unlock()
	store := l.engine.config.Credentials
	if store == nil || given.credential == nil || given.credential.Persistence == protocols.PersistenceNone {
		return
	}
	if given.credential.Persistence == protocols.PersistencePermanent {
		l.engine.checkPermanent()
	}
	l.ask(func() { _ = store.Set(ctx, given.credential, given.space) })
}
