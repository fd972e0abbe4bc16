package urlsession

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/urlkit/urlkit/internal/engine"
	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/proxy"
)

// DoHResolver resolves names by DNS over HTTPS (RFC 8484), with the requests of a
// session. It is made by NewDoHResolver: give it to a Configuration as its Resolver. It
// is safe for concurrent use; its fields must not be changed after the first use.
//
// The server's own name cannot be looked up by itself. Either its URL names an
// address, which its certificate must name too, or Bootstrap has its addresses, or
// the system's resolver is asked: for this one name, in the clear.
type DoHResolver struct {
	// Bootstrap are addresses of the server; nil: the system's resolver is asked.
	Bootstrap []netip.Addr
	// RequiresDNSSEC fails lookups whose answer the server does not call validated,
	// so that loads with RequiresDNSSEC can use the resolver.
	RequiresDNSSEC bool

	url     *url.URL
	session atomic.Pointer[core] // nil: not known yet
}

// maxDNSMessage is the longest message of the DNS (RFC 8484 §6).
const maxDNSMessage = 65535

// NewDoHResolver makes a resolver that asks the server at an https URL, which is
// "https://dns.example/dns-query", say; a final "{?dns}" is dropped. session makes the
// requests: it must not be closed before the sessions that use the resolver. nil: the
// first session that is made with the resolver does so itself; once that is
// invalidated, names are looked up for its running loads only. Whatever the session's configuration says, a
// question neither waits for connectivity nor is repeated (the load that the name is
// for is), its answer is in no cache of responses, and a redirect to another host or
// scheme is not followed.
func NewDoHResolver(session *Session, serverURL string) (*DoHResolver, error) {
	req, err := protocols.NewRequest(http.MethodGet, strings.TrimSuffix(serverURL, "{?dns}"), nil)
	if err != nil {
		return nil, fmt.Errorf("urlsession: %w", err)
	}
	if !strings.EqualFold(req.URL.Scheme, "https") || req.URL.Hostname() == "" || strings.ContainsAny(serverURL, "{}") && !strings.HasSuffix(serverURL, "{?dns}") {
		return nil, &Error{Code: BadURL, Op: "parse", URL: protocols.Redact(req.URL), Err: errors.New("a server of DNS over HTTPS has an https URL")}
	}
	r := &DoHResolver{url: req.URL}
	if session != nil {
		r.session.Store(session.core)
	}

	return r, nil
}

// LookupNetIP finds the addresses of a host; network is "ip", "ip4" or "ip6".
func (r *DoHResolver) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	addrs, _, err := r.LookupExpiring(ctx, network, host)

	return addrs, err
}

// LookupExpiring is LookupNetIP with the time that the answers hold
// (proxy.ExpiringResolver).
func (r *DoHResolver) LookupExpiring(ctx context.Context, network, host string) ([]netip.Addr, time.Duration, error) {
	if r.isServer(host) {
		return r.ownAddresses(ctx, network)
	}

	return r.messages().LookupExpiring(ctx, network, host)
}

// LookupHTTPS finds HTTPS records (proxy.HTTPSResolver).
func (r *DoHResolver) LookupHTTPS(ctx context.Context, name string) ([]proxy.HTTPSRecord, error) {
	host := name
	if _, below, ok := strings.Cut(name, "._https."); ok {
		host = below
	}
	if r.isServer(host) {
		return nil, nil // it would ask itself how to reach itself
	}

	return r.messages().LookupHTTPS(ctx, name)
}

func (r *DoHResolver) isServer(host string) bool {
	return strings.EqualFold(strings.TrimSuffix(host, "."), strings.TrimSuffix(r.url.Hostname(), "."))
}

// Validates is RequiresDNSSEC (proxy.ValidatingResolver).
func (r *DoHResolver) Validates() bool { return r.RequiresDNSSEC }

// ResolutionProtocol is ResolutionHTTPS, but for the server's own name
// (proxy.ProtocolResolver).
func (r *DoHResolver) ResolutionProtocol(host string) DomainResolutionProtocol {
	if r.isServer(host) {
		return ResolutionUnknown
	}

	return ResolutionHTTPS
}

func (r *DoHResolver) messages() *proxy.MessageResolver {
	return &proxy.MessageResolver{Exchange: r.exchange, RequiresDNSSEC: r.RequiresDNSSEC}
}

// ownAddresses are those of the server. Nothing tells how long the system's hold: no
// longer than the connection that is about to be made, which is kept.
func (r *DoHResolver) ownAddresses(ctx context.Context, network string) ([]netip.Addr, time.Duration, error) {
	if r.Bootstrap == nil {
		addrs, err := net.DefaultResolver.LookupNetIP(ctx, network, r.url.Hostname())

		return addrs, 0, err
	}
	var addrs []netip.Addr
	for _, addr := range r.Bootstrap {
		if addr = addr.Unmap(); network == "ip" || (network == "ip4") == addr.Is4() {
			addrs = append(addrs, addr)
		}
	}
	if addrs == nil {
		return nil, 0, &net.DNSError{Err: "Bootstrap has no address of the family", Name: r.url.Hostname(), IsNotFound: true}
	}

	return addrs, 0, nil
}

var errUnbound = errors.New("urlsession: the DoHResolver belongs to no session yet")

// exchange makes one request: by GET, which can be repeated, for a message whose ID is
// 0 (RFC 8484 §4.1).
func (r *DoHResolver) exchange(ctx context.Context, question []byte) (answer []byte, age time.Duration, err error) {
	s := r.session.Load()
	if s == nil {
		return nil, 0, errUnbound
	}
	u := *r.url
	if u.RawQuery != "" {
		u.RawQuery += "&"
	}
	u.RawQuery += "dns=" + base64.RawURLEncoding.EncodeToString(question)
	req := &Request{
		Method: http.MethodGet, URL: &u, Header: http.Header{"Accept": {"application/dns-message"}},
		OmitsCookies: true, CachePolicy: protocols.ReloadIgnoringLocalCache,
	}
	resp, err := s.engine.Load(ctx, req, &engine.Task{Nested: true, Brief: true, Uncached: true, Redirect: r.redirect})
	if err != nil {
		return nil, 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 || resp.MIMEType != "application/dns-message" {
		return nil, 0, fmt.Errorf("the server %s of DNS over HTTPS answers %d with a body of type %.100q", r.url.Host, resp.StatusCode, resp.MIMEType)
	}
	answer, err = io.ReadAll(io.LimitReader(resp.Body, maxDNSMessage+1))
	if err == nil && len(answer) > maxDNSMessage {
		err = fmt.Errorf("the server %s of DNS over HTTPS sends more than a message", r.url.Host)
	}
	if seconds, _ := strconv.ParseUint(resp.Header.Get("Age"), 10, 31); seconds > 0 {
		age = time.Duration(seconds) * time.Second // RFC 8484 §5.1
	}

	return answer, age, err
}

// redirect follows what stays at the server. Another host would have to be looked up
// by the resolver itself, which would be sent there again.
func (r *DoHResolver) redirect(_ context.Context, _ *protocols.Response, next *Request) (*Request, error) {
	if next.URL.Scheme != r.url.Scheme || !r.isServer(next.URL.Hostname()) {
		return nil, nil
	}

	return next, nil
}

// bindResolver gives a DoHResolver that has no session the first one that is made with
// it.
func bindResolver(r proxy.Resolver, s *core) {
	if cache, ok := r.(*proxy.Cache); ok {
		r = cache.Resolver
	}
	if doh, ok := r.(*DoHResolver); ok {
		doh.session.CompareAndSwap(nil, s)
	}
}
