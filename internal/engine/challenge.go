package engine

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/urlkit/urlkit/internal/httpauth"
	"github.com/urlkit/urlkit/protocols"
)

// maxAnswers bounds the credentials that one load sends, should an app answer for
// ever, or a peer name a new realm each time.
const maxAnswers = 64

// answer is a credential that a load has sent to a protection space. Should that
// space ask again, it was refused.
type answer struct {
	space      protocols.ProtectionSpace
	count      int
	credential *protocols.Credential
}

// field is the header field that carries the answer.
func (a *answer) field() string {
	if a.space.ProxyType != "" {
		return "Proxy-Authorization"
	}

	return "Authorization"
}

// answers are those of one load, the last given last. nil: none was given. A
// protocol may ask on any goroutine.
type answers struct {
	mu      sync.Mutex
	list    []answer
	total   int
	current *answer // the pipeline's own last one: it goes on the next hop; nil: none
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

// onHop is the pipeline's last answer, which goes on the next hop; nil: none.
func (a *answers) onHop() *answer {
	if a == nil {
		return nil
	}

	return a.current
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
func (a *answers) add(space protocols.ProtectionSpace, credential *protocols.Credential) answer {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.total++
	given := answer{space: space, count: 1, credential: credential}
	for i := range a.list {
		if a.list[i].space == space {
			given.count += a.list[i].count
			a.list = slices.Delete(a.list, i, i+1)

			break
		}
	}
	a.list = append(a.list, given)

	return given
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

// forget is called when a redirect leads to another origin.
func (a *answers) forget() {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.list, a.current = nil, nil
}

// challenged asks for a credential where the response wants one, and tells
// whether the same hop is to be loaded again. Without an answer the response is
// the result.
func (l *load) challenged(h *hop, resp *protocols.Response) (bool, error) {
	if l.task.OneHop {
		return false, nil
	}
	challenges := resp.Challenges
	if len(challenges) == 0 && resp.StatusCode == http.StatusUnauthorized {
		challenges = httpauth.Challenges(&h.request, resp)
	}
	if len(challenges) == 0 {
		l.accepted(h, resp)

		return false, nil
	}
	asking := *resp
	asking.Body = protocols.NoBody // the app is shown the head; the body may become the result
	for _, c := range challenges {
		if c == nil {
			continue
		}
		credential, disposition := l.answer(h, c, &asking)
		switch disposition {
		case protocols.CancelAuthenticationChallenge:
			return false, protocols.Errorf(protocols.Cancelled, "the authentication challenge was cancelled")
		case protocols.RejectProtectionSpace:
			continue
		case protocols.UseCredential:
			if credential == nil {
				return false, nil
			}
			h.drain(resp)
			all := l.answered()
			given := all.add(c.Space, credential)
			all.current = &given

			return true, nil
		default:
			return false, nil
		}
	}

	return false, nil
}

// answer finds a credential: one from the URL or the store that was not refused
// yet, else the app's.
func (l *load) answer(h *hop, c *protocols.Challenge, resp *protocols.Response) (*protocols.Credential, protocols.Disposition) {
	if c.Space.Host == "" {
		c.Space.Host = strings.ToLower(h.request.URL.Hostname())
	}
	if c.Space.Port == 0 {
		c.Space.Port, _ = strconv.Atoi(portWithDefault(&h.request))
	}
	if c.Space.Protocol == "" {
		c.Space.Protocol = strings.ToLower(h.request.URL.Scheme)
	}
	c.FailureResponse = resp
	refused, more := l.answers.Load().to(c.Space)
	c.PreviousFailureCount, c.ProposedCredential = refused.count, refused.credential
	if !more {
		return nil, protocols.PerformDefaultHandling
	}
	if refused.count == 0 {
		if c.ProposedCredential = l.stored(h, c.Space); c.ProposedCredential != nil {
			l.logChallenge(c, protocols.UseCredential, c.ProposedCredential)

			return c.ProposedCredential, protocols.UseCredential
		}
	}
	if l.task.Challenge == nil {
		l.logChallenge(c, protocols.PerformDefaultHandling, nil)

		return nil, protocols.PerformDefaultHandling
	}
	var disposition protocols.Disposition
	var credential *protocols.Credential
	l.ask(func() { disposition, credential = l.task.Challenge(h, c) })
	l.logChallenge(c, disposition, credential)

	return credential, disposition
}

// stored is the candidate that is used without asking: the URL's user info, else
// the store's.
func (l *load) stored(h *hop, space protocols.ProtectionSpace) *protocols.Credential {
	if u := h.request.URL; u.User != nil && forPassword(space) && strings.EqualFold(space.Host, u.Hostname()) {
		if password, ok := u.User.Password(); ok {
			return &protocols.Credential{User: u.User.Username(), Password: password}
		}
	}
	store := l.engine.config.Credentials
	if store == nil {
		return nil
	}
	var credential *protocols.Credential
	l.ask(func() { credential, _ = store.Default(h, space) }) // a keyring may ask its user

	return credential
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

// authorize puts the credential that was answered last on the hop.
func (l *load) authorize(h *hop) {
	a := l.answers.Load().onHop()
	if a == nil {
		return
	}
	h.request.Credential = a.credential
	if value := httpauth.Authorization(a.space, a.credential); value != "" {
		h.setField(a.field(), value)
	}
}

// accepted stores the credential that was just good. A store that fails (a locked
// keyring) costs a question the next time, not this response.
func (l *load) accepted(h *hop, resp *protocols.Response) {
	store, a := l.engine.config.Credentials, l.answers.Load().last()
	if store == nil || a.credential == nil || a.credential.Persistence == protocols.PersistenceNone ||
		resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusProxyAuthRequired {
		return
	}
	l.ask(func() { _ = store.Set(h, a.credential, a.space) })
}

// authenticate answers a question that a protocol asks inside a live connection.
func (h *hop) authenticate(ctx context.Context, c *protocols.Challenge) (*protocols.Credential, error) {
	l := h.of
	credential, disposition := l.answer(h, c, c.FailureResponse)
	switch disposition {
	case protocols.CancelAuthenticationChallenge:
		return nil, protocols.Errorf(protocols.Cancelled, "the authentication challenge was cancelled")
	case protocols.UseCredential:
		if credential != nil {
			l.answered().add(c.Space, credential)
		}

		return credential, ctx.Err()
	case protocols.RejectProtectionSpace:
		return nil, protocols.Errorf(protocols.UserAuthenticationRequired, "the protection space was rejected")
	default:
		return nil, ctx.Err()
	}
}

func portWithDefault(req *protocols.Request) string {
	if port := req.URL.Port(); port != "" {
		return port
	}

	return strconv.Itoa(req.DefaultPort)
}
