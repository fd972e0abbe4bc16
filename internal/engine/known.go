package engine

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/urlkit/urlkit/internal/httpauth"
	"github.com/urlkit/urlkit/protocols"
)

// What a session remembers of the spaces that let it in: so many of them, so many
// paths and idle connections of each.
const (
	knownSpaces = 256
	knownPaths  = 16
	knownBinds  = 6
)

// memory is the protection spaces that have let the session in. What enters them is
// sent unasked from then on, where it is to be wanted: Basic and Bearer below the
// folder of what was let in (RFC 7617 §2.2), Digest where the challenge's domain
// says (RFC 7616 §3.3), NTLM and Negotiate over the connection that was let in.
type memory struct {
	count atomic.Int32 // spaces; 0 costs a request nothing
	binds atomic.Int64 // that were given out

	mu       sync.Mutex
	removals uint64 // from the store, as far as the spaces were held against them
	byOrigin map[origin][]*known
	order    []*known // the one that was let in longest ago first
}

// origin is where a space is, and whose it is.
type origin struct{ scheme, host, port, partition string }

func originOf(h *hop) origin {
	u := h.request.URL

	return origin{u.Scheme, strings.ToLower(u.Hostname()), portWithDefault(&h.request), h.request.CookiePartition}
}

// known is one such space, with the credential that enters it. All but the lists
// is immutable.
type known struct {
	origin     origin
	space      protocols.ProtectionSpace
	credential *protocols.Credential
	exchange   httpauth.Exchange // nil: of a connection
	fromURL    bool              // for URLs with the same user info only
	removals   uint64            // from the store, when the credential was taken

	paths paths    // guarded by the memory's lock
	free  []string // the binds of idle connections that were let in; guarded likewise
}

// paths are where a credential is good: below folders, or at prefixes. A path
// stands as it is sent. nil: everywhere at the origin.
type paths []string

// pathsOf are those that an answered challenge speaks of.
func pathsOf(u *url.URL, c *protocols.Challenge) paths {
	switch c.Space.Method {
	case protocols.MethodHTTPDigest:
		return domain(u, c.Parameters["domain"])
	case protocols.MethodHTTPBasic, protocols.MethodHTTPBearer:
		path := u.EscapedPath()

		return paths{path[:strings.LastIndexByte(path, '/')+1]}
	default:
		return nil
	}
}

// domain reads the parameter of RFC 7616 §3.3. Other origins than the one that says
// so get nothing.
func domain(u *url.URL, list string) (p paths) {
	if strings.TrimSpace(list) == "" {
		return nil
	}
	p = paths{}
	for one := range strings.FieldsSeq(list) {
		if len(p) >= knownPaths {
			break
		}
		target, err := u.Parse(one)
		if err == nil && sameOrigin(u, target) {
			p = append(p, target.EscapedPath())
		}
	}

	return p
}

func (p paths) have(path string) bool { return p.reach(path) >= 0 }

// reach is how much of a path the one says that it is at; -1: it is at none.
func (p paths) reach(path string) int {
	if p == nil {
		return 0
	}
	longest := -1
	for _, prefix := range p {
		if strings.HasPrefix(path, prefix) || path == "" && prefix == "/" {
			longest = max(longest, len(prefix))
		}
	}

	return longest
}

// newBind names a connection of its own (protocols.Request.Bind).
func (m *memory) newBind() string { return "auth " + strconv.FormatInt(m.binds.Add(1), 10) }

// recall is what the session knows to be wanted of a hop; nil: nothing. The app's
// own field wins, as does another user in the URL.
func (l *load) recall(h *hop) *answer {
	m := &l.engine.known
	if m.count.Load() == 0 || l.task.OneHop || h.request.Header["Authorization"] != nil || !hasCookies(h.request.URL.Scheme) {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.purge(l.engine.removals())
	k := l.wanted(h)
	if k == nil {
		return nil
	}
	a := &answer{
		space: k.space, credential: k.credential, exchange: k.exchange, known: k, fromURL: k.fromURL,
		removals: k.removals, unasked: true, good: true,
	}
	if n := len(k.free); k.exchange == nil {
		a.exchange, a.bind = letIn{}, k.free[n-1]
		k.free = k.free[:n-1]
	}

	return a
}

// wanted is the space that a hop enters unasked; nil: none. Of several it is the
// innermost, and of those that which let the session in last. The lock is held.
func (l *load) wanted(h *hop) (best *known) {
	path := h.request.URL.EscapedPath()
	if leaves(path) {
		return nil
	}
	reached := 0
	for _, k := range l.engine.known.byOrigin[originOf(h)] {
		reach := k.paths.reach(path)
		if reach >= reached && k.suits(h.request.URL.User) && !l.skips(k.space) && (k.exchange != nil || len(k.free) > 0) {
			best, reached = k, reach
		}
	}

	return best
}

// leaves tells whether a path may lead out of the folder that it begins with (RFC
// 3986 §5.2.4).
func leaves(path string) bool {
	if strings.Contains(path, "%") {
		path = strings.NewReplacer("%2e", ".", "%2E", ".", "%2f", "/", "%2F", "/", "%5c", "/", "%5C", "/").Replace(path)
	}

	return strings.Contains(path, "/../") || strings.HasSuffix(path, "/..")
}

// purge forgets the spaces whose credentials may have been removed from the store
// since they were taken. The lock is held.
func (m *memory) purge(removals uint64) {
	if m.removals == removals {
		return
	}
	m.removals = removals
	for _, k := range slices.Clone(m.order) {
		if k.removals != removals {
			m.remove(k)
		}
	}
}

// suits tells whether the user info of a URL leaves the choice to the session.
func (k *known) suits(user *url.Userinfo) bool {
	if user == nil {
		return !k.fromURL
	}
	password, given := user.Password()

	return user.Username() == k.credential.User && (given && password == k.credential.Password || !given && !k.fromURL)
}

// remember notes a space that has let the load in.
func (l *load) remember(h *hop, a *answer) {
	if a.exchange == nil || a.space.ProxyType != "" || a.asked && a.credential.Persistence == protocols.PersistenceNone ||
		l.instances != l.engine.instances.Load() || // a reset has come between
		a.removals != l.engine.removals() {
		return
	}
	k := &known{
		origin: originOf(h), space: a.space, credential: a.credential, fromURL: a.fromURL, removals: a.removals, paths: a.paths,
	}
	if !a.exchange.Bound() {
		k.exchange = a.exchange
	}
	a.known = l.engine.known.add(k)
}

// add takes a space in, in place of what was known of it.
func (m *memory) add(k *known) *known {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.purge(k.removals)
	for _, old := range m.byOrigin[k.origin] {
		if old.space != k.space || old.fromURL != k.fromURL {
			continue
		}
		same := sameSecret(old.credential, k.credential)
		if same && k.exchange == nil {
			return old // and its connections
		}
		if k.space.Method != protocols.MethodHTTPDigest && same {
			k.paths = old.paths.with(k.paths)
		}
		m.remove(old)

		break
	}
	if len(m.order) >= knownSpaces {
		m.remove(m.order[0])
	}
	if m.byOrigin == nil {
		m.byOrigin = make(map[origin][]*known)
	}
	m.byOrigin[k.origin] = append(m.byOrigin[k.origin], k)
	m.order = append(m.order, k)
	m.count.Store(int32(len(m.order)))

	return k
}

// with adds paths. Where there are too many the oldest go.
func (p paths) with(more paths) paths {
	all := slices.Clone(p)
	for _, path := range more {
		if !all.have(path) {
			all = append(all, path)
		}
	}

	return all[max(0, len(all)-knownPaths):]
}

// remove forgets a space. The lock is held.
func (m *memory) remove(k *known) {
	is := func(other *known) bool { return other == k }
	m.order = slices.DeleteFunc(m.order, is)
	if m.byOrigin[k.origin] = slices.DeleteFunc(m.byOrigin[k.origin], is); len(m.byOrigin[k.origin]) == 0 {
		delete(m.byOrigin, k.origin)
	}
	m.count.Store(int32(len(m.order)))
}

// drop forgets what an answer was sent for unasked. Other connections that were let
// in stay.
func (m *memory) drop(a *answer) {
	if a.bind != "" {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if slices.Contains(m.order, a.known) {
		m.remove(a.known)
	}
}

// release gives back the connection of an answer that was let in.
func (m *memory) release(a *answer, bind string) {
	if a == nil || !a.good || a.known == nil || bind == "" || !a.bound() {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if k := a.known; len(k.free) < knownBinds {
		k.free = append(k.free, bind)
	}
}

// forget forgets all.
func (m *memory) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.byOrigin, m.order = nil, nil
	m.count.Store(0)
}

// letIn is the exchange of a connection that was let in: it has nothing to say.
type letIn struct{}

func (letIn) Field(context.Context, *httpauth.Message) (string, error) { return "", nil }

func (letIn) Continue(context.Context, *protocols.Challenge) httpauth.Verdict { return httpauth.Failed }

func (letIn) Accepted(context.Context, http.Header) bool { return true }

func (letIn) Bound() bool { return true }

func (letIn) Opening() bool { return false }
