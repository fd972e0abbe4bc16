package engine

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"

	"github.com/urlkit/urlkit/protocols"
)

// client is the session's side of a load: what a protocol is given in
// Scheme.New. It finds the hop in the context.
type client struct{ engine *Engine }

var errForeignContext = errors.New("the context is not the one given to Load, nor derived from it")

// hopOf finds the hop that a method is called for; nil: it is none of this
// session's.
func (c client) hopOf(ctx context.Context) *hop {
	h, _ := ctx.Value(hopKey{}).(*hop)
	if h == nil || h.of.engine != c.engine {
		return nil
	}

	return h
}

// Load loads one hop for a protocol that composes or intercepts. The same
// stages run as in the pipeline but for those that only the outermost may do.
func (c client) Load(ctx context.Context, req *protocols.Request) (*protocols.Response, error) {
	outer := c.hopOf(ctx)
	if outer == nil {
		return nil, errForeignContext
	}
	h := new(hop)
	h.init(outer.of, ctx, outer, req)
	if err := h.lookup(); err != nil {
		return nil, h.refuse("lookup", err)
	}
	if err := h.gate(); err != nil {
		return nil, h.refuse("policy", err)
	}
	h.route()
	h.attachCookies()
	if resp, err := h.cache(); err != nil {
		return nil, h.refuse("cache", err)
	} else if resp != nil {
		h.collectLater(resp)

		return resp, nil
	}
	h.of.inner.Add(1)
	resp, err := h.load()
	h.of.touch()
	if err != nil {
		if unsent := (protocols.Error{Code: Classify(err), Err: err}); unsent.Retryable() || h.replayable(err) {
			h.of.inner.Add(-1)
		}
	}
	if err != nil {
		resp, err = h.staleIfError(err)
	} else {
		h.learnCookies(resp)
		resp, err = h.answered(resp)
	}
	if err != nil {
		return nil, err
	}
	h.store(resp)
	h.collectLater(resp)

	return resp, nil
}

// Dial connects by the hop's route.
func (c client) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	h, err := c.dialling(ctx, addr)
	if err != nil {
		return nil, err
	}
	conn, err := c.engine.config.Dialer.Dial(ctx, h.trace(ctx), h.parameters, network, addr)
	if err != nil {
		return nil, at("connect", err)
	}
	if h.match.Security == protocols.Cleartext { // else TLS is part of connecting
		h.trace(ctx).Mark(protocols.ConnectEnd)
	}
	h.checks.dialled.Store(true)

	return watch(ctx, h, conn), nil
}

// DialPacket is Dial for datagrams. Those of a scheme that declares encryption
// have to be QUIC's.
func (c client) DialPacket(ctx context.Context, addr string) (net.PacketConn, net.Addr, error) {
	h, err := c.dialling(ctx, addr)
	if err != nil {
		return nil, nil, err
	}
	if h.match.Security == protocols.Upgrades {
		return nil, nil, protocols.Errorf(protocols.AppTransportSecurityRequiresSecureConnection,
			"datagrams of the scheme %q, which upgrades, cannot be checked for encryption", h.match.Scheme.Name)
	}
	conn, peers, err := c.engine.config.Dialer.DialPacket(ctx, h.trace(ctx), h.parameters, addr)
	if err != nil {
		return nil, nil, at("connect", err)
	}

	return watchPackets(ctx, h, conn, peers), peers[0], nil
}

// dialling judges a connection before it is made.
func (c client) dialling(ctx context.Context, addr string) (*hop, error) {
	h := c.hopOf(ctx)
	if h == nil {
		return nil, errForeignContext
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, protocols.Errorf(protocols.BadURL, "dialling: %w", err)
	}
	if h.match.Security == protocols.Local {
		return nil, protocols.Errorf(protocols.AppTransportSecurityRequiresSecureConnection,
			"the scheme %q declares itself local and dials %s: declare Cleartext, Encrypted or Upgrades", h.match.Scheme.Name, addr)
	}
	if h.match.Security == protocols.Cleartext && !strings.EqualFold(host, h.request.URL.Hostname()) {
		if err := refused(c.engine.rules.Gate(h.judged(host))); err != nil {
			return nil, at("policy", err)
		}
	}

	return h, nil
}

// TLSConfig is the configuration for one connection attempt to host.
func (c client) TLSConfig(ctx context.Context, host string) *tls.Config {
	if inner, _, err := net.SplitHostPort(host); err == nil {
		host = inner
	}
	host = strings.Trim(host, "[]")
	h := c.hopOf(ctx)
	if h == nil {
		return &tls.Config{ServerName: host, VerifyConnection: func(tls.ConnectionState) error { return errForeignContext }}
	}

	return h.tlsConfig(ctx, host)
}

// Authenticate asks for a credential inside a live connection.
func (c client) Authenticate(ctx context.Context, challenge *protocols.Challenge) (*protocols.Credential, error) {
	h := c.hopOf(ctx)
	if h == nil {
		return nil, errForeignContext
	}

	return h.authenticate(ctx, challenge)
}

// Inform reports an interim response.
func (c client) Inform(ctx context.Context, r *protocols.Response) {
	if h := c.hopOf(ctx); h != nil {
		h.of.touch()
		if inform := h.of.task.Inform; inform != nil {
			h.of.ask(func() { inform(ctx, r) })
		}
	}
}

// WatchPath tells of another path (protocols.PathWatcher).
func (c client) WatchPath(ctx context.Context, changed func()) {
	monitor := c.engine.config.Path
	if monitor == nil {
		return
	}
	for known := monitor.Current(); ; {
		next, err := monitor.Next(ctx, known)
		if err != nil {
			return
		}
		known = next
		changed()
	}
}
