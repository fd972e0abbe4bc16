// Package engine is the one pipeline that every request of a session takes:
// upgrade, lookup, gate, route, cookies, cache, load, learn, store, challenge,
// redirect, decode. [Engine.Load] reads top-down; each stage is a function in a file of
// its own. Package urlsession is the API over it; package conformance runs
// protocols in it.
//
// What needs a library of its own (content decoders, stores) reaches the engine
// as an interface or a function.
package engine

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/urlkit/urlkit/ats"
	"github.com/urlkit/urlkit/internal/httpcache"
	"github.com/urlkit/urlkit/path"
	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/proxy"
	"github.com/urlkit/urlkit/registry"
	"github.com/urlkit/urlkit/storage"
)

// The defaults of Config.
const (
	DefaultRequestTimeout  = 60 * time.Second
	DefaultResourceTimeout = 7 * 24 * time.Hour
	DefaultRedirectLimit   = 20
	DefaultExpansion       = 256
)

// ErrInvalidated is the cause of every load that an invalidated session ends or
// refuses.
var ErrInvalidated = errors.New("the session has been invalidated")

// Dialer makes the connections of a session. *proxy.Dialer is the one in use;
// the conformance suite puts faults between.
type Dialer interface {
	Dial(ctx context.Context, trace *protocols.Trace, p proxy.Parameters, network, addr string) (net.Conn, error)
	DialPacket(ctx context.Context, trace *protocols.Trace, p proxy.Parameters, addr string) (net.PacketConn, []net.Addr, error)
}

// Decoder undoes one content coding. Close gives its buffers back; it does not
// close r.
type Decoder func(r io.Reader) (io.ReadCloser, error)

// Config is what an engine is made of. For durations and limits 0 is the default
// and a negative value none.
type Config struct {
	Registry    registry.Registry
	Policy      ats.Policy
	Dialer      Dialer                  // nil: a proxy.Dialer
	Cookies     storage.CookieStore     // nil: none
	Credentials storage.CredentialStore // nil: none
	Negotiator  protocols.Negotiator    // nil: Negotiate is passed over
	NotKept     func()                  // told that Credentials cannot keep what was to be permanent; nil: nobody
	Decoders    map[string]Decoder      // by content coding, in lower case
	TLS         *tls.Config             // roots, client certificates, version bounds; nil: the system's

	RequestTimeout  time.Duration // between two movements of bytes; 60 s
	ResourceTimeout time.Duration // for the whole load; 7 days
	RedirectLimit   int           // redirects followed; 20
	Expansion       int           // decoded bytes per encoded one; 256
	OmitsCookies    bool          // attach no cookies

	CookieAcceptPolicy storage.CookieAcceptPolicy

	Retry Retry // beyond what is certainly safe; the zero value: nothing

	Cache       storage.CacheStore    // nil: none
	CachePolicy protocols.CachePolicy // of requests that leave the default
	Header      http.Header           // what the protocols add to HTTP requests that lack it: Vary may name it
	Now         func() time.Time      // the wall clock, by which responses age; nil: time.Now

	Path path.Monitor // nil: nothing is known of the path

	RefusesCellular, RefusesExpensiveNetwork, RefusesConstrainedNetwork bool // paths, as Path tells

	WaitsForConnectivity bool                         // where there is no path a load waits for one
	NetworkServiceType   protocols.NetworkServiceType // of requests that leave the default
	Multipath            bool                         // ask for Multipath TCP
	RequiresDNSSEC       bool                         // of all requests; each can ask for it too
}

// Engine runs the loads of one session. It is safe for concurrent use.
type Engine struct {
	config     Config
	rules      *ats.Rules
	instances  atomic.Pointer[registry.Instances] // of the loads that begin now; nil: closed
	tls        tlsConfigs
	clock      clock
	known      memory
	questions  questions
	handshakes handshakes
	vouched    vouched

	cacheRules httpcache.Rules
	flights    flights
	background background

	invalidations invalidations
}

// New makes an engine. A contradictory policy or a scheme that cannot be
// registered is refused here.
func New(config Config) (*Engine, error) {
	rules, err := config.Policy.Compile()
	if err != nil {
		return nil, err
	}
	if config.Dialer == nil {
		config.Dialer = &proxy.Dialer{}
	}
	config.RequestTimeout = orDefault(config.RequestTimeout, DefaultRequestTimeout)
	config.ResourceTimeout = orDefault(config.ResourceTimeout, DefaultResourceTimeout)
	config.RedirectLimit = orDefault(config.RedirectLimit, DefaultRedirectLimit)
	config.Expansion = orDefault(config.Expansion, DefaultExpansion)
	config.Retry = config.Retry.withDefaults()
	e := &Engine{config: config, rules: rules}
	if config.Now == nil {
		e.config.Now = time.Now
	}
	e.tls.base = config.TLS
	instances, err := e.open()
	if err != nil {
		return nil, err
	}
	e.instances.Store(instances)

	return e, nil
}

// checkPermanent tells the session where its store keeps nothing for good.
func (e *Engine) checkPermanent() {
	p, ok := e.config.Credentials.(storage.PermanentStore)
	if (!ok || !p.KeepsPermanent()) && e.config.NotKept != nil {
		e.config.NotKept()
	}
}

func (e *Engine) open() (*registry.Instances, error) {
	return e.config.Registry.Open(func(*protocols.Scheme) protocols.Client { return client{e} })
}

func orDefault[T int | time.Duration](v, fallback T) T {
	if v == 0 {
		return fallback
	}

	return v
}

// Flush drops the state of the network that outlives a load (Apple's flush):
// connections, TLS sessions and whatever else the protocols keep. Loads that begin
// from now on go to new instances of the protocols. Those that run go on over the
// ones that they began with, for all their hops, and the connections end with them.
// A Dialer forgets its names by a method Flush. Where a constructor fails nothing is
// dropped; an error of a Close leaves the rest dropped.
func (e *Engine) Flush() error {
	if err := e.clock.open(); err != nil {
		return err
	}
	fresh, err := e.open()
	if err != nil {
		return err
	}
	e.tls.forget() // before the first of the loads to come
	if d, ok := e.config.Dialer.(interface{ Flush() }); ok {
		d.Flush()
	}
	old := e.instances.Load()
	for old != nil && !e.instances.CompareAndSwap(old, fresh) {
		old = e.instances.Load()
	}
	e.known.forget() // after that no load of the old instances adds to it
	if old == nil {  // closed meanwhile
		return errors.Join(ErrInvalidated, fresh.Close())
	}

	return old.Close()
}
