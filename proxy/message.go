package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// MessageResolver resolves names by messages of the DNS (RFC 1035 §4) that Exchange
// carries to a recursive resolver. It is a Resolver, an ExpiringResolver, an
// HTTPSResolver and a ValidatingResolver, and safe for concurrent use.
//
// The names below "localhost" are loopback's, and asked of nobody (RFC 6761 §6.3). No
// search list is applied.
type MessageResolver struct {
	// Exchange sends a question and returns the answer, and how old that is already.
	// It returns promptly when ctx ends.
	Exchange func(ctx context.Context, question []byte) (answer []byte, age time.Duration, err error)
	// RequiresDNSSEC fails lookups whose answer the server does not call validated (by
	// the AD bit, RFC 4035 §3.2.3). The way to the server must be one to trust then.
	RequiresDNSSEC bool
}

// ExpiringResolver is a Resolver that tells how long its answers hold.
type ExpiringResolver interface {
	Resolver
	// LookupExpiring is LookupNetIP. ttl is how long the addresses hold; 0: not at all.
	// With a *net.DNSError that says IsNotFound it is how long there will be none.
	LookupExpiring(ctx context.Context, network, host string) (addrs []netip.Addr, ttl time.Duration, err error)
}

// Validates is RequiresDNSSEC.
func (r *MessageResolver) Validates() bool { return r.RequiresDNSSEC }

// LookupNetIP finds the addresses of a host, those of IPv6 first.
func (r *MessageResolver) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	addrs, _, err := r.LookupExpiring(ctx, network, host)

	return addrs, err
}

// LookupExpiring is LookupNetIP with the time that the answers hold.
func (r *MessageResolver) LookupExpiring(ctx context.Context, network, host string) ([]netip.Addr, time.Duration, error) {
	if isLocalhost(host) {
		return loopback(network), maxAnswerTTL, nil
	}
	name, err := newName(host)
	if err != nil {
		return nil, 0, err
	}
	kinds := []dnsmessage.Type{dnsmessage.TypeAAAA, dnsmessage.TypeA}
	switch network {
	case "ip4":
		kinds = kinds[1:]
	case "ip6":
		kinds = kinds[:1]
	}
	answers, errs := make([]answer, len(kinds)), make([]error, len(kinds))
	var all sync.WaitGroup
	for i, kind := range kinds {
		all.Go(func() { answers[i], errs[i] = r.ask(ctx, name, kind) })
	}
	all.Wait()
	var addrs []netip.Addr
	ttl, negative := maxAnswerTTL, maxNegativeTTL
	for _, a := range answers {
		addrs = append(addrs, a.addrs...)
		if a.empty() {
			negative = min(negative, a.ttl)
		} else {
			ttl = min(ttl, a.ttl)
		}
	}
	failed := errors.Join(errs...)
	if len(errs) == 2 && errs[0] != nil && errs[1] != nil && errs[0].Error() == errs[1].Error() { // said once
		failed = errs[0]
	}
	switch {
	case len(addrs) == 0 && failed != nil:
		return nil, 0, failed
	case len(addrs) == 0:
		return nil, negative, notFound(host)
	case failed != nil: // one family will do, this time
		return addrs, 0, nil
	default:
		return addrs, ttl, nil
	}
}

// LookupHTTPS finds the HTTPS records under a name, and follows aliases.
func (r *MessageResolver) LookupHTTPS(ctx context.Context, name string) ([]HTTPSRecord, error) {
	if isLocalhost(name) {
		return nil, nil
	}
	owner, at := name, ""
	for range maxAliases {
		asked, err := newName(owner)
		if err != nil {
			return nil, err
		}
		a, err := r.ask(ctx, asked, dnsmessage.TypeHTTPS)
		if err != nil {
			return nil, err
		}
		if a.alias == "" {
			for i := range a.records {
				if a.records[i].Target == "" {
					a.records[i].Target = at // that of the last alias, which serves the origin
				}
			}
			slices.SortStableFunc(a.records, func(a, b HTTPSRecord) int { return int(a.Priority) - int(b.Priority) })

			return a.records, nil
		}
		owner = strings.TrimSuffix(a.alias, ".")
		if at = owner; at == "" { // the service does not exist (RFC 9460 §2.5.1)
			return nil, nil
		}
	}

	return nil, &net.DNSError{Err: "a chain of aliases is too long", Name: name}
}

// ask asks one question. A name that does not exist is an empty answer.
func (r *MessageResolver) ask(ctx context.Context, name dnsmessage.Name, kind dnsmessage.Type) (answer, error) {
	text := strings.TrimSuffix(name.String(), ".")
	q, err := question(name, kind)
	if err != nil {
		return answer{}, err
	}
	message, age, err := r.Exchange(ctx, q)
	if err != nil {
		return answer{}, err
	}
	a, err := parseAnswer(message, name, kind)
	switch {
	case err != nil:
		return answer{}, &net.DNSError{UnwrapErr: err, Err: err.Error(), Name: text}
	case a.code != dnsmessage.RCodeSuccess && a.code != dnsmessage.RCodeNameError:
		return answer{}, &net.DNSError{Err: fmt.Sprintf("the server answered %v", a.code), Name: text, IsTemporary: a.code == dnsmessage.RCodeServerFailure}
	case r.RequiresDNSSEC && !a.validated:
		return answer{}, &net.DNSError{Err: "the answer is not validated by DNSSEC", Name: text}
	}
	a.ttl = max(a.ttl-age, 0)

	return a, nil
}

func notFound(host string) error {
	return &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

// newName is a name as messages write it.
func newName(host string) (dnsmessage.Name, error) {
	name, err := dnsmessage.NewName(strings.TrimSuffix(host, ".") + ".")
	if err != nil {
		return name, &net.DNSError{UnwrapErr: err, Err: err.Error(), Name: cut(host), IsNotFound: true}
	}

	return name, nil
}

func isLocalhost(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))

	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

func loopback(network string) (addrs []netip.Addr) {
	if network != "ip4" {
		addrs = append(addrs, netip.IPv6Loopback())
	}
	if network != "ip6" {
		addrs = append(addrs, netip.AddrFrom4([4]byte{127, 0, 0, 1}))
	}

	return addrs
}
