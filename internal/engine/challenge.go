package engine

import (
	"context"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/urlkit/urlkit/internal/httpauth"
	"github.com/urlkit/urlkit/protocols"
)

var errChallengeCancelled = protocols.Errorf(protocols.Cancelled, "the authentication challenge was cancelled")

// challenged asks for a credential where the response wants one, and tells
// whether the same hop is to be loaded again. Without an answer the response is
// the result.
func (l *load) challenged(h *hop, resp *protocols.Response) (bool, error) {
	if l.task.OneHop {
		return false, nil
	}
	sent := l.answers.Load().arrived()
	challenges, proxy, asks := h.challenges(resp)
	if !asks && h.bodiless {
		h.drain(resp) // it answers a request without its body

		return true, nil
	}
	if !asks {
		l.accepted(h, h, resp)

		return false, nil
	}
	asking := *resp
	asking.Body = protocols.NoBody // the app is shown the head; the body may become the result
	for _, c := range challenges {
		h.complete(c)
		c.FailureResponse = &asking
	}
	given := l.goOn(h, challenges, proxy, sent)
	if given == nil {
		var err error
		if given, err = l.enter(h, challenges); given == nil || err != nil {
			return false, err
		}
	}
	h.drain(resp)
	all := l.answered()
	*all.place(proxy) = given
	if given.bound() && all.bind == "" {
		all.bind = l.engine.known.newBind()
	}

	return true, nil
}

// challenges are those of a response, strongest first. proxy: they are the
// proxy's; asks: the response wants a credential, though perhaps by no challenge
// that is known. An origin that answers 407 asks for what is not its own.
func (h *hop) challenges(resp *protocols.Response) (list []*protocols.Challenge, proxy, asks bool) {
	for _, c := range resp.Challenges {
		if c != nil {
			list = append(list, c)
		}
	}
	negotiates := h.of.engine.config.Negotiator != nil
	switch {
	case len(list) > 0:
		return list, list[0].Space.ProxyType != "", true
	case resp.StatusCode == http.StatusUnauthorized:
		return httpauth.Challenges(httpauth.Place(&h.request), resp.Header["Www-Authenticate"], negotiates), false, true
	case resp.StatusCode == http.StatusProxyAuthRequired && h.request.Route.Forward != "":
		return httpauth.Challenges(h.proxy(), resp.Header["Proxy-Authenticate"], negotiates), true, true
	default:
		return nil, false, resp.StatusCode == http.StatusProxyAuthRequired
	}
}

// proxy is the protection space of the hop's proxy, without realm and method.
func (h *hop) proxy() protocols.ProtectionSpace {
	host, port, err := net.SplitHostPort(h.request.Route.Forward)
	if err != nil {
		host = h.request.Route.Forward
	}
	number, _ := strconv.Atoi(port)

	return protocols.ProtectionSpace{Host: strings.ToLower(host), Port: number, ProxyType: "http"}
}

// complete fills in what a protocol left out of a challenge.
func (h *hop) complete(c *protocols.Challenge) {
	if c.Space.Host == "" {
		c.Space.Host = strings.ToLower(h.request.URL.Hostname())
	}
	if c.Space.Port == 0 {
		c.Space.Port, _ = strconv.Atoi(portWithDefault(&h.request))
	}
	if c.Space.Protocol == "" && c.Space.ProxyType == "" {
		c.Space.Protocol = strings.ToLower(h.request.URL.Scheme)
	}
}

// goOn goes on with the answer that was on the hop: the next leg of its exchange, a
// new nonce, a connection that was lost. sent: it was a message for a connection.
// nil: it was refused, or there was none.
func (l *load) goOn(h *hop, challenges []*protocols.Challenge, proxy, sent bool) (again *answer) {
	all := l.answers.Load()
	if all == nil || *all.place(proxy) == nil {
		return nil
	}
	a := *all.place(proxy)
	*all.place(proxy) = nil
	bound := a.bound()
	if bound {
		defer func() {
			if again == nil {
				all.bind = "" // the next user gets a connection of his own
			}
		}()
	}
	for _, c := range challenges {
		if c.Space != a.space {
			continue
		}
		all.mark(a.space, false)
		if a.unasked {
			if next := l.disappointed(h, all, a, c); next != nil {
				return next
			}

			continue
		}
		if bound && !sent && l.restart(h, a, c) {
			return a // the connection that was let in is gone
		}
		switch a.proceed(h, c) {
		case httpauth.Again:
			return a
		case httpauth.Failed:
			all.skipped = append(all.skipped, a.space)
		case httpauth.Refused:
		}
	}

	return nil
}

// proceed takes a further challenge to the answer.
func (a *answer) proceed(h *hop, c *protocols.Challenge) httpauth.Verdict {
	if a.exchange == nil {
		return httpauth.Refused
	}
	conn := c.FailureResponse.Conn
	if a.bound() && a.conn != nil && conn != nil && a.conn != conn {
		return httpauth.Failed // the peer does not keep the connection
	}
	if a.legs++; a.legs > maxLegs {
		return httpauth.Failed
	}
	a.conn = conn

	return a.exchange.Continue(h, c)
}

// disappointed is called where what was sent unasked was refused: the session
// forgets it. The answer goes on where that says nothing about the credential.
func (l *load) disappointed(h *hop, all *answers, a *answer, c *protocols.Challenge) *answer {
	if !strings.EqualFold(c.Parameters["stale"], "true") { // else it is replaced when the next one is let in
		l.engine.known.drop(a)
	}
	if c.Space.Method == protocols.MethodHTTPBasic || c.Space.Method == protocols.MethodHTTPBearer {
		a.unasked, a.known, a.good = false, nil, false
		a.recalled = true // the store may have another one now
		all.add(*a)

		return nil
	}
	// The nonce may be one that the server does not know any more, the connection
	// another one. The new nonce is this load's alone until it is let in: of a shared
	// one others could use up what it is good for.
	if given := l.attempt(h, c, a.credential); given != nil {
		given.fromURL, given.removals = a.fromURL, a.removals

		return all.add(*given)
	}

	return nil
}

// restart begins an exchange anew with the same credential, on a new connection.
func (l *load) restart(h *hop, a *answer, c *protocols.Challenge) bool {
	all := l.answered()
	all.bind, all.open, a.conn = "", false, nil
	if a.legs++; a.legs > maxLegs {
		return false
	}
	given := l.attempt(h, c, a.credential)
	if given == nil {
		return false
	}
	a.exchange, a.unasked, a.good = given.exchange, false, false
	all.bind = l.engine.known.newBind()

	return true
}

// enter finds a credential for the first of the challenges that has one, and gives
// the answer to it; nil: the response is the result. After default handling only
// those are tried that nobody has to be asked for.
func (l *load) enter(h *hop, challenges []*protocols.Challenge) (*answer, error) {
	var rejected []protocols.ProtectionSpace
	asks := true
	for _, c := range challenges {
		if slices.Contains(rejected, c.Space) || l.skips(c.Space) {
			continue
		}
		given, disposition := l.answer(h, c, asks)
		switch disposition {
		case protocols.CancelAuthenticationChallenge:
			return nil, errChallengeCancelled
		case protocols.RejectProtectionSpace:
			rejected = append(rejected, c.Space)
		case protocols.UseCredential:
			if given == nil {
				return nil, nil
			}

			return l.answered().add(*given), nil
		default:
			asks = false
		}
	}

	return nil, nil
}

// skips tells whether an exchange with the space has failed in this load.
func (l *load) skips(space protocols.ProtectionSpace) bool {
	all := l.answers.Load()

	return all != nil && slices.Contains(all.skipped, space)
}

// answer finds a credential: one from the URL, the store or the Negotiator that was
// not refused yet, else, where asks, the app's. It is of use for the method.
func (l *load) answer(h *hop, c *protocols.Challenge, asks bool) (*answer, protocols.Disposition) {
	refused, more := l.answers.Load().to(c.Space)
	c.PreviousFailureCount, c.ProposedCredential = refused.count, refused.credential
	if c.ProposedCredential != nil && *c.ProposedCredential == (protocols.Credential{}) {
		c.ProposedCredential = nil // whom the Negotiator knows
	}
	if !more {
		return nil, protocols.PerformDefaultHandling
	}
	if refused.count == 0 || refused.recalled {
		given := l.candidate(h, c)
		if given != nil && (refused.count == 0 || !sameSecret(given.credential, refused.credential)) {
			l.logChallenge(c, protocols.UseCredential, given.credential)

			return given, protocols.UseCredential
		}
	}
	if l.task.Challenge == nil || !asks {
		if asks {
			l.logChallenge(c, protocols.PerformDefaultHandling, nil)
		}

		return nil, protocols.PerformDefaultHandling
	}
	disposition, credential, shared := l.question(h, c)
	l.logChallenge(c, disposition, credential)
	if disposition != protocols.UseCredential || credential == nil {
		return nil, disposition
	}
	given := l.attempt(h, c, credential)
	if given == nil {
		return nil, protocols.RejectProtectionSpace // the method has no use for it; perhaps the next one
	}
	given.asked = !shared

	return given, disposition
}

// question asks the app. While one load asks for a space, the others that want to
// know the same wait, and are given the answer if it may be kept at all.
func (l *load) question(h *hop, c *protocols.Challenge) (disposition protocols.Disposition, credential *protocols.Credential, shared bool) {
	l.ask(func() {
		key := questionKey{c.Space, h.request.CookiePartition}
		var q *question
		if !l.task.Nested { // who asks may wait for this very load
			if q = l.engine.questions.begin(h, key); q == nil {
				disposition = protocols.CancelAuthenticationChallenge // the load has ended

				return
			}
			defer l.engine.questions.end(key, q)
			if credential = q.shared(c.ProposedCredential); credential != nil {
				disposition, shared = protocols.UseCredential, true

				return
			}
		}
		disposition, credential = l.task.Challenge(h, c)
		if q != nil && disposition == protocols.UseCredential {
			q.answered(credential)
		}
	})

	return disposition, credential, shared
}

// authenticate answers a question that a protocol asks inside a live connection.
func (h *hop) authenticate(ctx context.Context, c *protocols.Challenge) (*protocols.Credential, error) {
	l := h.of
	h.complete(c)
	given, disposition := l.answer(h, c, true)
	switch disposition {
	case protocols.CancelAuthenticationChallenge:
		return nil, errChallengeCancelled
	case protocols.UseCredential:
		if given == nil {
			return nil, ctx.Err()
		}

		given.inside = true

		return l.answered().add(*given).credential, ctx.Err()
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
