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

	"github.com/urlkit/urlkit/protocols"
)

const (
	// defaultUnknownTTL is how long an answer is kept of which the resolver does not
	// say how long it holds: as long as a program opens connections in a row.
	defaultUnknownTTL = 10 * time.Second
	// unknownNegativeTTL is the same for one that there is no such name.
	unknownNegativeTTL = time.Second
	// maxStale is how long an answer is remembered past its time, for those who take
	// it (RFC 8767 §4 recommends one to three days).
	maxStale = 24 * time.Hour
	// refreshTimeout bounds a lookup that nobody waits for.
	refreshTimeout = 10 * time.Second
	// defaultCacheEntries is how many names are remembered.
	defaultCacheEntries = 1024
)

// Cache is a Resolver that keeps the answers of another as long as they hold. Equal
// questions at one time are asked once. That a name does not exist is kept for half a
// minute at most, other failures are not. The zero value works. It is safe for
// concurrent use; its fields must not be changed after the first use.
//
// It is an HTTPSResolver, a ValidatingResolver and a ProtocolResolver as far as the
// other is one.
type Cache struct {
	// Resolver is asked; nil: net.DefaultResolver. Where it is an ExpiringResolver it
	// tells how long its answers hold, for a day at most.
	Resolver Resolver
	// UnknownTTL is how long the answers of a Resolver hold that does not tell (that of
	// the system); 0: 10 seconds, one second where there is no such name; negative:
	// they are not kept.
	UnknownTTL time.Duration
	// MaximumEntries bounds the names that are remembered; 0: 1024. The one that
	// expires first goes first.
	MaximumEntries int

	mu      sync.Mutex
	entries map[query]*cached
	flights map[query]*flight // but for those from before a flush: their answers are not kept
}

// query is what is asked: network is "https" for HTTPS records.
type query struct{ network, host string }

// cached is an answer.
type cached struct {
	result
	until time.Time
}

type result struct {
	addrs   []netip.Addr
	records []HTTPSRecord
	err     error
}

// flight is a lookup that runs. The last who waits for it cancels it.
type flight struct {
	done    chan struct{}
	cancel  context.CancelFunc
	waiting int
	result  result // once done is closed
}

// LookupNetIP gives the addresses that are known, or looks them up.
func (c *Cache) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	return c.lookup(ctx, network, host, false)
}

// lookup is LookupNetIP. stale: an answer that was good will do while it is looked up
// anew.
func (c *Cache) lookup(ctx context.Context, network, host string, stale bool) ([]netip.Addr, error) {
	r, err := c.find(ctx, query{network, strings.ToLower(strings.TrimSuffix(host, "."))}, stale)

	return slices.Clone(r.addrs), err
}

// LookupHTTPS gives the HTTPS records that are known, or looks them up; none where
// the Resolver is no HTTPSResolver.
func (c *Cache) LookupHTTPS(ctx context.Context, name string) ([]HTTPSRecord, error) {
	if _, ok := c.Resolver.(HTTPSResolver); !ok {
		return nil, nil
	}
	r, err := c.find(ctx, query{"https", strings.ToLower(strings.TrimSuffix(name, "."))}, false)

	return slices.Clone(r.records), err
}

// Validates tells whether the Resolver does.
func (c *Cache) Validates() bool { return validates(c.resolver()) }

// ResolutionProtocol is that of the Resolver.
func (c *Cache) ResolutionProtocol(host string) protocols.DomainResolutionProtocol {
	return resolutionOf(c.resolver(), host)
}

// Flush forgets all answers, and those of lookups that run. The Resolver's own Flush
// is called too, if it has one.
func (c *Cache) Flush() {
	c.mu.Lock()
	c.entries = nil
	for _, f := range c.flights {
		if f.waiting == 0 {
			f.cancel()
		}
	}
	c.flights = nil // whoever comes now wants an answer from now
	c.mu.Unlock()
	if f, ok := c.Resolver.(interface{ Flush() }); ok {
		f.Flush()
	}
}

// forget drops what is known of a host: none of its addresses answers.
func (c *Cache) forget(network, host string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.entries, query{network, strings.ToLower(strings.TrimSuffix(host, "."))})
}

func (c *Cache) resolver() Resolver {
	if c.Resolver == nil {
		return net.DefaultResolver
	}

	return c.Resolver
}

// find gives an answer from the cache, or that of a lookup.
func (c *Cache) find(ctx context.Context, q query, stale bool) (result, error) {
	if err := ctx.Err(); err != nil {
		return result{}, err
	}
	c.mu.Lock()
	if e := c.entries[q]; e != nil {
		left := time.Until(e.until)
		fresh := left > 0
		if fresh || stale && e.err == nil && -left < maxStale {
			if !fresh {
				c.fly(q, refreshTimeout)
			}
			c.mu.Unlock()

			return e.result, e.err
		}
	}
	f := c.fly(q, 0)
	f.waiting++
	c.mu.Unlock()
	select {
	case <-f.done:
		return f.result, f.result.err
	case <-ctx.Done():
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.waiting--; f.waiting == 0 {
		f.cancel()
		if c.flights[q] == f {
			delete(c.flights, q) // whoever comes now wants a lookup that is not cancelled
		}
	}

	return result{}, ctx.Err()
}

// fly starts a lookup, unless there is one. timeout bounds it; 0: those who wait do.
// The lock is held.
func (c *Cache) fly(q query, timeout time.Duration) *flight {
	if f := c.flights[q]; f != nil {
		return f
	}
	ctx, cancel := context.WithCancel(context.Background())
	if timeout > 0 {
		ctx, cancel = context.WithTimeout(context.Background(), timeout)
	}
	f := &flight{done: make(chan struct{}), cancel: cancel}
	if c.flights == nil {
		c.flights = make(map[query]*flight)
	}
	c.flights[q] = f
	go func() {
		defer cancel()
		r, ttl := c.ask(ctx, q)
		c.mu.Lock()
		defer c.mu.Unlock()
		f.result = r
		close(f.done)
		if c.flights[q] != f { // flushed meanwhile, or nobody waits any more
			return
		}
		delete(c.flights, q)
		if ttl > 0 {
			c.keep(q, r, ttl)
		}
	}()

	return f
}

// ask asks the Resolver, and tells how long to keep what it says.
func (c *Cache) ask(ctx context.Context, q query) (r result, ttl time.Duration) {
	defer func() {
		if v := recover(); v != nil { // a program outlives a bad resolver
			r, ttl = result{err: fmt.Errorf("the resolver panicked: %v", v)}, 0
		}
	}()
	resolver := c.resolver()
	if q.network == "https" {
		https, _ := resolver.(HTTPSResolver)
		r.records, r.err = https.LookupHTTPS(ctx, q.host)
		ttl = maxNegativeTTL
		for i, record := range r.records {
			if i == 0 || record.TTL < ttl {
				ttl = record.TTL
			}
		}
		if r.err != nil {
			ttl = 0
		}

		return r, min(ttl, maxAnswerTTL)
	}
	if e, ok := resolver.(ExpiringResolver); ok {
		r.addrs, ttl, r.err = e.LookupExpiring(ctx, q.network, q.host)
	} else {
		r.addrs, r.err = resolver.LookupNetIP(ctx, q.network, q.host)
		ttl = c.UnknownTTL
		if ttl == 0 {
			ttl = defaultUnknownTTL
		}
		if r.err != nil {
			ttl = min(ttl, unknownNegativeTTL)
		}
	}
	if r.err == nil {
		return r, min(ttl, maxAnswerTTL)
	}
	var dns *net.DNSError
	if !errors.As(r.err, &dns) || !dns.IsNotFound {
		ttl = 0
	}

	return r, min(ttl, maxNegativeTTL)
}

// keep remembers an answer. The lock is held.
func (c *Cache) keep(q query, r result, ttl time.Duration) {
	most := c.MaximumEntries
	if most <= 0 {
		most = defaultCacheEntries
	}
	if c.entries == nil {
		c.entries = make(map[query]*cached)
	}
	now := time.Now()
	if _, known := c.entries[q]; !known && len(c.entries) >= most {
		c.makeRoom(now)
	}
	r.addrs = r.addrs[:min(len(r.addrs), maxRecords)]
	c.entries[q] = &cached{r, now.Add(ttl)}
}

// makeRoom drops what is of no use any more, and at least the entry that expires
// first. The lock is held.
func (c *Cache) makeRoom(now time.Time) {
	var first query
	var until time.Time
	for q, e := range c.entries {
		if now.Sub(e.until) > maxStale {
			delete(c.entries, q)
		} else if until.IsZero() || e.until.Before(until) {
			first, until = q, e.until
		}
	}
	delete(c.entries, first)
}
