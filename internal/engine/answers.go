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
	removals   uint64              // from the store, when the credential was taken
	inside     bool                // given inside a live connection
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

	idle     *answer // whose connection goes back at the end; nil: none's. Guarded by mu
	idleBind string  // likewise
}

// to gives the last answer to a space that was not let in, and whether another may be
// given.
func (a *answers) to(space protocols.ProtectionSpace) (last answer, more bool) {
	if a == nil {
		return answer{}, true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, given := range a.list {
		if given.space == space && !given.good {
			last = given
		}
	}

	return last, a.total < maxAnswers
}

// onHop are those of the pipeline's answers that go on a hop: what a proxy was
// answered on a hop by that proxy only.
func (a *answers) onHop(h *hop) (list []*answer) {
	if a == nil {
		return nil
	}
	if a.origin != nil {
		list = append(list, a.origin)
	}
	if a.proxy != nil && h.request.Route.Forward != "" {
		if p := h.proxy(); p.Host == a.proxy.space.Host && p.Port == a.proxy.space.Port {
			list = append(list, a.proxy)
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
			if !a.list[i].good {
				given.count += a.list[i].count
			}
			a.list = slices.Delete(a.list, i, i+1)

			break
		}
	}
	a.list = append(a.list, given)

	return &given
}

// mark notes whether what a space was answered was let in.
func (a *answers) mark(space protocols.ProtectionSpace, good bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range a.list {
		if a.list[i].space == space {
			a.list[i].good = good
		}
	}
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

// settle is called when the load has its response: the connection that it has to
// itself goes back at its end, whatever a continuation does meanwhile.
func (a *answers) settle() {
	if a == nil || a.origin == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	idle := *a.origin
	a.idle, a.idleBind = &idle, a.bind
}

// release gives the connection back that the load had to itself.
func (a *answers) release(e *Engine) {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	e.known.release(a.idle, a.idleBind)
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
	for _, a := range all.onHop(h) {
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
	if !a.unasked && a.space.ProxyType == "" { // a proxy's is nothing that a protocol could send
		h.request.Credential = a.credential
	}
	if a.exchange == nil {
		return nil
	}
	opening := a.exchange.Opening()
	m := h.message(a)
	value, err := "", error(nil)
	if m.Body == nil {
		value, err = a.exchange.Field(h, m)
	} else {
		l.ask(func() { value, err = a.exchange.Field(h, m) }) // it may take its time to read the body
	}
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
	if opening && h.request.Body != nil {
		h.request.Body, h.bodiless = nil, true
	}

	return nil
}

// message is what an answer may depend on. What that reads of the body is not sent. A
// proxy that is spoken to in absolute-form sees that form.
func (h *hop) message(a *answer) *httpauth.Message {
	m := &httpauth.Message{Method: h.request.Method, URI: h.request.URL.RequestURI()}
	if h.request.Body != nil {
		m.Body = h.given.Body
		if unsent := h.of.task.Unsent; unsent != nil {
			m.Body = unsent(m.Body)
		}
	}
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
	if all == nil {
		return
	}
	for _, a := range all.onHop(h) {
		if a.exchange != nil && !a.exchange.Accepted(ctx, resp.Header) {
			continue
		}
		all.mark(a.space, true)
		if !a.good {
			a.good = true
			l.remember(h, a)
		}
	}
	l.keep(ctx, all)
}

// keep stores what the app gave and was let in. What it gave inside a connection was
// where that was the last.
func (l *load) keep(ctx context.Context, all *answers) {
	store := l.engine.config.Credentials
	var given []answer
	all.mu.Lock()
	for i := range all.list {
		if a := &all.list[i]; a.asked && (a.good || a.inside && i == len(all.list)-1) {
			given = append(given, *a)
			a.asked = false // once is enough
		}
	}
	all.mu.Unlock()
	for _, a := range given {
		if store == nil || a.credential.Persistence == protocols.PersistenceNone {
			continue
		}
		if a.credential.Persistence == protocols.PersistencePermanent {
			l.engine.checkPermanent()
		}
		l.ask(func() { _ = store.Set(ctx, a.credential, a.space) })
	}
}
