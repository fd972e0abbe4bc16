package engine

import (
	"context"
	"crypto/tls"
	"sync"

	"github.com/urlkit/urlkit/ats"
	"github.com/urlkit/urlkit/protocols"
)

// sessionsPerPolicy is how many TLS sessions are kept for resumption under one
// TLS policy.
const sessionsPerPolicy = 256

// tlsConfigs makes the configurations of a session. TLS sessions are kept apart
// by policy: one resumed under a stricter policy would skip its floor.
type tlsConfigs struct {
	base *tls.Config // nil: the defaults

	mu     sync.RWMutex
	caches map[ats.Floor]*tlsPolicy
}

// tlsPolicy is what is kept for one floor.
type tlsPolicy struct {
	key      string
	sessions tls.ClientSessionCache
}

func (t *tlsConfigs) of(floor ats.Floor) *tlsPolicy {
	t.mu.RLock()
	p := t.caches[floor]
	t.mu.RUnlock()
	if p != nil {
		return p
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.caches == nil {
		t.caches = make(map[ats.Floor]*tlsPolicy)
	}
	if p = t.caches[floor]; p == nil {
		p = &tlsPolicy{floor.Key(), tls.NewLRUClientSessionCache(sessionsPerPolicy)}
		t.caches[floor] = p
	}

	return p
}

// forget drops the TLS sessions that could be resumed.
func (t *tlsConfigs) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.caches = nil
}

// policy is the identity of a floor, without allocating it anew.
func (t *tlsConfigs) policy(floor ats.Floor) string { return t.of(floor).key }

// tlsConfig is the configuration for one handshake of the hop.
func (h *hop) tlsConfig(ctx context.Context, host string) *tls.Config {
	t := &h.of.engine.tls
	config := &tls.Config{}
	if t.base != nil {
		config = t.base.Clone()
	}
	config.ServerName = host
	floor := h.of.engine.rules.Floor(h.judged(host))
	if config.RootCAs != nil {
		floor.Anchors = ats.AppAnchors
	}
	if h.of.task.Challenge != nil {
		h.askTrust(config, floor)
	} else {
		floor.Apply(config)
	}
	h.askCertificate(config)
	config.ClientSessionCache = t.of(floor).sessions
	verify := config.VerifyConnection
	trace := h.trace(ctx)
	trace.Mark(protocols.SecureConnectionStart)
	config.VerifyConnection = func(state tls.ConnectionState) error {
		if verify != nil {
			if err := verify(state); err != nil {
				return err
			}
		}
		trace.Mark(protocols.SecureConnectionEnd)
		trace.Mark(protocols.ConnectEnd)
		h.checks.verified()

		return nil
	}

	return config
}

// trace is where a connection that is made under ctx is recorded; nil: nowhere.
func (h *hop) trace(ctx context.Context) *protocols.Trace {
	if protocols.Untraced(ctx) {
		return nil
	}

	return h.request.Trace
}
