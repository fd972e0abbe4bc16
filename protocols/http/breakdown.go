package http

import (
	"context"
	"errors"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/urlkit/urlkit/protocols"
)

// longestCoolDown bounds how long HTTP/3 is not tried where it does not work.
const longestCoolDown = time.Hour

// resolutionDelay is how long a connection waits for the records that tell where
// HTTP/3 is (RFC 8305 §3 has the name and the time).
const resolutionDelay = 50 * time.Millisecond

// silentHosts is how many hosts that do not answer make it likely that it is the
// network which drops UDP.
const silentHosts = 2

// breakdown is what is known of a host that HTTP/3 did not work with, on its route
// and in the present network.
type breakdown struct {
	until time.Time     // it is not tried before
	next  time.Duration // how long it is not tried if that fails again
}

// breakDown notes that HTTP/3 did not work.
func (p *pool) breakDown(k key) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, known := p.breakdowns[k]; !known && len(p.breakdowns) >= maxOrigins {
		for other := range p.breakdowns { // any: to try once more costs the head start
			delete(p.breakdowns, other)

			break
		}
	}
	b := p.breakdowns[k]
	if b.next == 0 {
		b.next = p.config.HTTP3CoolDown
	}
	if now := time.Now(); !now.Before(b.until) { // connections that break together count once
		b.until, b.next = now.Add(b.next), min(2*b.next, max(longestCoolDown, p.config.HTTP3CoolDown))
	}
	if p.breakdowns == nil {
		p.breakdowns = make(map[key]breakdown)
	}
	p.breakdowns[k] = b
	if h := p.hosts[k]; h != nil {
		h.upgradeAt = b.until
	}
}

// works forgets that HTTP/3 did not work: it has served a request.
func (p *pool) works(k key) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.breakdowns, k)
	p.silent = nil
}

// unanswered notes that there was no answer over UDP while there was time for one.
func (p *pool) unanswered(k key) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.silent) < silentHosts && !slices.Contains(p.silent, k.host) {
		p.silent = append(p.silent, k.host)
	}
}

// dropsPackets tells whether the network seems to drop UDP: several hosts have not
// answered, and none has since HTTP/3 worked last or the path changed.
func (p *pool) dropsPackets() bool {
	p.mu.Lock()
	defer p.mu.Unlock()

	return len(p.silent) >= silentHosts
}

// headStart is how long an attempt goes on alone.
func (p *pool) headStart(a *attempt) time.Duration {
	switch {
	case p.dropsPackets():
		return 0
	case a.asks:
		return resolutionDelay
	default:
		return p.config.HTTP3HeadStart
	}
}

// blocked tells whether HTTP/3 is not to be tried now. The lock is held.
func (p *pool) blocked(k key) bool {
	b, known := p.breakdowns[k]

	return known && time.Now().Before(b.until)
}

// serviceFor gives the service to try; addr "": none is known. blocked: it did not
// work a short while ago.
func (p *pool) serviceFor(k key, assumed bool) (s service, blocked bool) {
	p.mu.Lock()
	blocked = p.blocked(k)
	p.mu.Unlock()
	if blocked {
		return service{}, true
	}
	host, port, err := net.SplitHostPort(withPort(k.host, "443"))
	if err != nil {
		return service{}, false
	}
	for _, known := range p.config.AlternativeServices.Services(originKey(k)) {
		if known.Protocol == alpnHTTP3 {
			return serviceOf(known, host), false
		}
	}
	if assumed {
		return service{addr: net.JoinHostPort(host, port)}, false
	}

	return service{}, false
}

// alpnHTTP3 is the ALPN protocol name of HTTP/3 (RFC 9114 §3.1).
const alpnHTTP3 = "h3"

// serviceOf is where an alternative service of a host is.
func serviceOf(known protocols.AlternativeService, host string) service {
	if known.Host != "" {
		host = known.Host
	}
	addr := net.JoinHostPort(host, strconv.Itoa(int(known.Port)))

	return service{addr: addr, altUsed: addr}
}

// originKey is the key of an origin's alternative services: those that were named on
// one route, or under one policy, say nothing for another.
func originKey(k key) string { return withPort(k.host, "443") + " " + k.route.ID }

// learn takes in the values of Alt-Svc in an answer over the connection.
func (p *pool) learn(c *conn, values []string) {
	h := c.host
	now := time.Now()
	p.mu.Lock()
	same := slices.Equal(values, h.altSvc) && now.Sub(h.altSvcAt) < altSvcRefresh
	if !same {
		h.altSvc, h.altSvcAt = values, now
	}
	p.mu.Unlock()
	if same {
		return
	}
	services, err := parseAltSvc(values, now)
	if err != nil {
		return // a field that cannot be read says nothing
	}
	p.config.AlternativeServices.StoreServices(originKey(h.key), services)
	p.mu.Lock()
	defer p.mu.Unlock()
	if h.upgradeAt.IsZero() {
		h.upgradeAt = now
		if b, known := p.breakdowns[h.key]; known {
			h.upgradeAt = b.until
		}
	}
}

var errMisdirected = errors.New("the HTTP/3 service does not serve the origin (status 421)")

// misdirected forgets a service that does not want the origin's requests (RFC 9110
// §15.5.20), and leaves HTTP/3 alone: the DNS may name the same one again.
func (x *exchange) misdirected() {
	k := x.conn.host.key
	x.pool.config.AlternativeServices.StoreServices(originKey(k), nil)
	x.pool.breakDown(k)
	x.pool.retire(x.conn, false)
}

// askRecords asks the DNS where the origin serves HTTP/3 (RFC 9460); "": nowhere.
// What it says is kept as what the origin itself says is.
func (p *pool) askRecords(ctx context.Context, k key) string {
	host, port, err := net.SplitHostPort(withPort(k.host, "443"))
	if err != nil {
		return ""
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return ""
	}
	services, err := p.config.HTTPSRecords(ctx, host, uint16(number))
	if err != nil {
		return "" // to be asked again by the next connection
	}
	for _, known := range services {
		if known.Protocol == alpnHTTP3 {
			p.config.AlternativeServices.StoreServices(originKey(k), services)

			return serviceOf(known, host).addr
		}
	}

	return ""
}

// watchPath begins to watch the network, where the Client can, with the first attempt
// at HTTP/3. The lock is held.
func (p *pool) watchPath() {
	watcher, ok := p.client.(protocols.PathWatcher)
	if !ok || p.unwatch != nil || p.closed {
		return
	}
	var ctx context.Context
	ctx, p.unwatch = context.WithCancel(context.Background())
	go watcher.WatchPath(ctx, p.pathChanged)
}

// pathChanged is called when the network has changed: what did not work before may work
// now, what was said of alternative services holds where it persists, and connections
// over HTTP/3 move to a socket of the new path.
func (p *pool) pathChanged() {
	p.config.AlternativeServices.PathChanged()
	p.mu.Lock()
	clear(p.breakdowns)
	p.silent = nil
	var moving []*conn
	for _, h := range p.hosts {
		h.altSvc = nil
		if h.shared != nil && h.shared.quic {
			moving = append(moving, h.shared)
		}
	}
	p.mu.Unlock()
	for _, c := range moving {
		go p.migrate(c)
	}
}
