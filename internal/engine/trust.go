package engine

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/urlkit/urlkit/ats"
	"github.com/urlkit/urlkit/protocols"
)

// askTrust makes each handshake of config ask the app whether the peer is to be
// trusted, with what the evaluation found. Its answer may be stricter than the
// evaluation everywhere, and more lenient where policy allows that.
func (h *hop) askTrust(config *tls.Config, floor ats.Floor) {
	floor.Restrict(config)
	before, roots, host := config.VerifyConnection, config.RootCAs, config.ServerName
	config.InsecureSkipVerify = true // in favour of evaluate, of which the app is told
	config.VerifyConnection = func(state tls.ConnectionState) error {
		if before != nil {
			if err := before(state); err != nil {
				return err
			}
		}

		return h.trusted(host, floor, &state, evaluate(host, floor, &state, roots))
	}
}

// evaluate verifies the chain as crypto/tls does, and holds it to the floor.
func evaluate(host string, floor ats.Floor, state *tls.ConnectionState, roots *x509.CertPool) error {
	if len(state.PeerCertificates) == 0 {
		return floor.Evaluate(host, nil)
	}
	options := x509.VerifyOptions{Roots: roots, DNSName: host, Intermediates: x509.NewCertPool()}
	for _, c := range state.PeerCertificates[1:] {
		options.Intermediates.AddCert(c)
	}
	chains, err := state.PeerCertificates[0].Verify(options)
	if err != nil {
		return &tls.CertificateVerificationError{UnverifiedCertificates: state.PeerCertificates, Err: err}
	}
	state.VerifiedChains = chains

	return floor.Evaluate(host, chains)
}

// trusted asks the app. found is what the evaluation found; nil: nothing.
func (h *hop) trusted(host string, floor ats.Floor, state *tls.ConnectionState, found error) error {
	c := h.connectionChallenge(host, protocols.MethodServerTrust)
	c.TLS, c.Err = state, found
	disposition, credential := h.askConnection(c)
	switch disposition {
	case protocols.CancelAuthenticationChallenge:
		return errChallengeCancelled
	case protocols.RejectProtectionSpace: // there is no other method
		if found == nil {
			found = protocols.Errorf(protocols.ServerCertificateUntrusted, "the app does not trust the server's certificate")
		}

		return found
	case protocols.UseCredential:
		if found == nil || credential == nil || !samePeer(credential.Trust, state) {
			return found
		}
		if err := floor.Accept(host, state.PeerCertificates); err != nil {
			return fmt.Errorf("%w (%w)", found, err)
		}
		h.of.engine.vouched.add(state.PeerCertificates[0])

		return nil
	default:
		return found
	}
}

// samePeer tells whether a handshake is with the peer that the app has judged: trust in
// one is none in another.
func samePeer(judged, state *tls.ConnectionState) bool {
	return judged != nil && len(judged.PeerCertificates) > 0 && len(state.PeerCertificates) > 0 &&
		judged.PeerCertificates[0].Equal(state.PeerCertificates[0])
}

// askCertificate makes each handshake of config ask the app, if there is one to be
// asked, for a certificate, where the server wants one and the session has none that
// suits it.
func (h *hop) askCertificate(config *tls.Config) {
	own, host := config.Certificates, config.ServerName
	config.GetClientCertificate = func(info *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		for i := range own {
			if info.SupportsCertificate(&own[i]) == nil {
				return &own[i], nil
			}
		}
		if h.of.task.Challenge == nil {
			h.checks.bare.Store(true)

			return &tls.Certificate{}, nil // none; the server may insist
		}
		c := h.connectionChallenge(host, protocols.MethodClientCertificate)
		c.DistinguishedNames = slices.Clone(info.AcceptableCAs)
		disposition, credential := h.askConnection(c)
		switch {
		case disposition == protocols.CancelAuthenticationChallenge:
			return nil, errChallengeCancelled
		case disposition == protocols.UseCredential && credential != nil && credential.Certificate != nil:
			return credential.Certificate, nil
		default:
			h.checks.bare.Store(true)

			return &tls.Certificate{}, nil
		}
	}
}

// uncertified gives the failure of a load whose server had asked for a certificate
// and got none its code. Up to TLS 1.2 there is no alert that says so; under TLS 1.3
// the alert comes after the handshake, and the end of the connection may be noticed
// first. It is not tried again: the answer would be the same.
func (h *hop) uncertified(err error) error {
	if err == nil || !h.checks.bare.Load() || h.Err() != nil {
		return err
	}
	text := err.Error()
	refused := strings.Contains(text, "remote error: tls: handshake failure") || strings.Contains(text, "remote error: tls: bad certificate")
	if code := Classify(err); refused || code == protocols.NetworkConnectionLost || code == protocols.Unknown {
		return protocols.Errorf(protocols.ClientCertificateRequired, "the server asked for a certificate and was given none: %v", err)
	}

	return err
}

// connectionChallenge is a question of a handshake.
func (h *hop) connectionChallenge(host string, method protocols.AuthenticationMethod) *protocols.Challenge {
	port, _ := strconv.Atoi(portWithDefault(&h.request))

	return &protocols.Challenge{Space: protocols.ProtectionSpace{
		Host: strings.ToLower(host), Port: port, Protocol: h.request.URL.Scheme, Method: method,
	}}
}

// askConnection asks the app for the load that made the connection. Others that wait
// for it make one of their own where that load has ended.
func (h *hop) askConnection(c *protocols.Challenge) (disposition protocols.Disposition, credential *protocols.Credential) {
	h.of.ask(func() {
		if h.of.task.Nested { // who asks may wait for this very load
			disposition, credential = h.of.task.Challenge(h, c)
		} else {
			disposition, credential = h.of.engine.handshakes.ask(h, c)
		}
	})
	h.of.logChallenge(c, disposition, credential)

	return disposition, credential
}

// handshakes are the questions of handshakes that are open: where several connections
// are made to one peer at once (HTTP/3 and TCP for one load, or those of several
// loads) the app is asked once.
type handshakes struct {
	mu   sync.Mutex
	open map[handshakeKey]*handshake
}

type handshakeKey struct {
	route protocols.Route
	space protocols.ProtectionSpace
	leaf  string // the peer's certificate; "": it is not the question
	found string // what the evaluation found
}

// handshake is one such question. Its answer is there once done is closed.
type handshake struct {
	done        chan struct{}
	answered    bool // else the load that asked has ended meanwhile
	disposition protocols.Disposition
	credential  *protocols.Credential
}

// ask asks for a hop, or waits for the answer to the same question of another.
func (q *handshakes) ask(h *hop, c *protocols.Challenge) (protocols.Disposition, *protocols.Credential) {
	key := handshakeKey{route: h.request.Route, space: c.Space}
	if c.TLS != nil && len(c.TLS.PeerCertificates) > 0 {
		key.leaf = string(c.TLS.PeerCertificates[0].Raw)
	}
	if c.Err != nil {
		key.found = c.Err.Error()
	}
	for {
		q.mu.Lock()
		one := q.open[key]
		if one == nil {
			break
		}
		q.mu.Unlock()
		select {
		case <-one.done:
		case <-h.Done():
			return protocols.CancelAuthenticationChallenge, nil
		}
		if one.answered {
			return one.disposition, one.credential
		}
	}
	one := &handshake{done: make(chan struct{})}
	if q.open == nil {
		q.open = make(map[handshakeKey]*handshake)
	}
	q.open[key] = one
	q.mu.Unlock()
	defer func() {
		q.mu.Lock()
		delete(q.open, key)
		q.mu.Unlock()
		close(one.done)
	}()
	one.disposition, one.credential = h.of.task.Challenge(h, c)
	one.answered = h.Err() == nil

	return one.disposition, one.credential
}
