package urlsession

import (
	"context"
	"crypto/tls"
	"slices"
	"time"

	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/protocols/standard"
	"github.com/urlkit/urlkit/proxy"
	"github.com/urlkit/urlkit/storage/altsvc"
)

// builtIn are the settings of the built-in protocols. It fills in the store of
// alternative services that the kind of session has.
func (s *core) builtIn(resolver proxy.Resolver) (builtIn standard.Config) {
	c := &s.configuration
	h := &builtIn.HTTP
	h.MaximumConnectionsPerHost = c.MaximumConnectionsPerHost
	h.IdleTimeout, h.MaximumConnectionAge = c.ConnectionIdleTimeout, c.MaximumConnectionAge
	h.OmitsHTTP2 = c.OmitsHTTP2
	h.Header = c.header()
	if c.AlternativeServices == nil {
		c.AlternativeServices = altsvc.Shared()
		if c.ephemeral {
			c.AlternativeServices = altsvc.NewStore()
		}
	}
	h.OmitsHTTP3 = c.OmitsHTTP3 || c.MaximumTLSVersion != 0 && c.MaximumTLSVersion < tls.VersionTLS13
	h.EnablesEarlyData = c.EnablesEarlyData
	h.AlternativeServices = c.AlternativeServices
	if finder, ok := resolver.(proxy.HTTPSResolver); ok && findsHTTPS(c.Resolver) {
		h.HTTPSRecords = func(ctx context.Context, host string, port uint16) ([]protocols.AlternativeService, error) {
			records, err := finder.LookupHTTPS(ctx, proxy.HTTPSName(host, port))

			return services(records, port), err
		}
	}

	return builtIn
}

// findsHTTPS tells whether a resolver finds HTTPS records. A cache does where the one
// beneath it does.
func findsHTTPS(r proxy.Resolver) bool {
	if cache, ok := r.(*proxy.Cache); ok {
		r = cache.Resolver
	}
	_, ok := r.(proxy.HTTPSResolver)

	return ok
}

// services are those among HTTPS records that speak HTTP/3 (RFC 9460 §7.1).
func services(records []proxy.HTTPSRecord, port uint16) []protocols.AlternativeService {
	var list []protocols.AlternativeService
	for _, r := range records {
		if !slices.Contains(r.ALPN, "h3") {
			continue
		}
		service := protocols.AlternativeService{Protocol: "h3", Host: r.Target, Port: port, Expires: time.Now().Add(r.TTL).Round(0)}
		if r.Port != 0 {
			service.Port = r.Port
		}
		list = append(list, service)
	}

	return list
}
