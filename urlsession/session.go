package urlsession

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/urlkit/urlkit/internal/engine"
	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/protocols/standard"
	"github.com/urlkit/urlkit/proxy"
	"github.com/urlkit/urlkit/registry"
	"github.com/urlkit/urlkit/storage/cache"
	"github.com/urlkit/urlkit/storage/cookie"
	"github.com/urlkit/urlkit/storage/credential"
)

// Version is the version in the User-Agent field.
const Version = "0.1"

// ErrSessionInvalidated is beneath the error (Cancelled) of every load that a
// closed session ends or refuses.
var ErrSessionInvalidated = engine.ErrInvalidated

var emptyURL = &url.URL{}

// Session loads URLs (Apple's URLSession). It is made by New, safe for use by
// several goroutines, and must not be copied.
type Session struct {
	_ noCopy

	*core

	tasks tasks
}

// core is what the loads of a session refer to. A connection may keep the load that
// made it, and so the core, but not the Session: that goes when nobody has it any
// more, neither the app nor a task that is not complete.
type core struct {
	configuration Configuration
	engine        *engine.Engine
	plain         engine.Task // of a load that nobody asks, tells or measures
	maximum       int64       // bytes that Data collects
	shared        bool
	lifetime      *lifetime

	delegate atomic.Pointer[Delegate] // nil: none, or released
	label    atomic.Pointer[string]
	pump     pump
	calls    atomic.Bool   // tasks have run, which call back
	loads    atomic.Uint64 // that were logged
	warned   sync.Once     // that no credential is kept for good
	turns    turns
}

// noCopy makes go vet refuse a copy.
type noCopy struct{ sync.Mutex }

// New makes a session. A contradictory policy, a malformed exception domain, a
// scheme that cannot be registered or a reserved header field is refused here.
// delegate may be nil. Close the session when it is no longer needed.
func New(configuration Configuration, delegate *Delegate) (*Session, error) {
	c := configuration.Clone()
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("urlsession: %w", err)
	}
	s := &Session{core: &core{configuration: c, maximum: c.MaximumDataLength}}
	s.turns.limit = c.connectionsPerHost()
	s.pump.queue = c.Queue
	s.pump.free.L = &s.pump.mu
	s.tasks.done = make(chan struct{})
	if s.maximum == 0 {
		s.maximum = 1 << 30
	}
	resolver := c.cachedResolver()
	builtIn := s.builtIn(resolver)
	config := engine.Config{
		Registry:           registry.New(standard.Schemes(builtIn)...).With(c.Protocols...),
		Policy:             c.ATS,
		Dialer:             &proxy.Dialer{Resolver: resolver, ConnectTimeout: c.ConnectTimeout},
		Cookies:            c.Cookies,
		CookieAcceptPolicy: c.CookieAcceptPolicy,
		OmitsCookies:       c.OmitsCookies,
		Credentials:        c.Credentials,
		Negotiator:         c.Negotiator,
		NotKept:            s.notKept,
		Cache:              c.Cache,
		CachePolicy:        c.CachePolicy,
		Header:             builtIn.HTTP.Header,
		Decoders:           decoders,
		TLS:                c.tls(),
		RequestTimeout:     c.RequestTimeout,
		ResourceTimeout:    c.ResourceTimeout,
		RedirectLimit:      c.RedirectLimit,
		Expansion:          c.MaximumExpansion,
		Retry:              c.Retry.engine(),

		Path:                      c.monitor(),
		RefusesCellular:           c.RefusesCellular,
		RefusesExpensiveNetwork:   c.RefusesExpensiveNetwork,
		RefusesConstrainedNetwork: c.RefusesConstrainedNetwork,

		WaitsForConnectivity: c.WaitsForConnectivity,
		NetworkServiceType:   c.NetworkServiceType,
		Multipath:            c.MultipathServiceType != MultipathNone,
		RequiresDNSSEC:       c.RequiresDNSSEC,
	}
	s.stores(&config)
	var err error
	if s.engine, err = engine.New(config); err != nil {
		return nil, fmt.Errorf("urlsession: %w", err)
	}
	s.delegate.Store(delegate)
	s.hook(delegate)
	s.lifetime = watchLifetime(s)
	bindResolver(c.Resolver, s.core)

	return s, nil
}

// hook lets the loads that are no tasks ask the session's delegate.
func (s *core) hook(delegate *Delegate) {
	if delegate == nil {
		return
	}
	if delegate.DidReceiveChallenge != nil {
		s.plain.Challenge = s.challenge
	}
	if delegate.WillCacheResponse != nil {
		s.plain.Cache = s.willCache
	}
}

// challenge asks the session's delegate, as long as there is one, for a load that is
// no task.
func (s *core) challenge(ctx context.Context, c *Challenge) (Disposition, *Credential) {
	d := s.delegated()
	if d == nil {
		return PerformDefaultHandling, nil
	}

	return d.DidReceiveChallenge(ctx, nil, c)
}

// notKept warns that the store keeps no credential beyond the process.
func (s *core) notKept() {
	s.warned.Do(func() {
		logger := s.configuration.Logger
		if logger == nil {
			logger = slog.Default()
		}
		logger.Warn("urlsession: a credential was to be kept permanently, and the session's store keeps it while the process lives")
	})
}

// stores fills in the stores that the kind of session has.
func (s *core) stores(config *engine.Config) {
	if config.Cookies == nil {
		config.Cookies = cookie.Shared()
		if s.configuration.ephemeral {
			config.Cookies = cookie.NewStore()
		}
		s.configuration.Cookies = config.Cookies
	}
	if config.Credentials == nil {
		config.Credentials = credential.Shared()
		if s.configuration.ephemeral {
			config.Credentials = credential.NewStore()
		}
		s.configuration.Credentials = config.Credentials
	}
	if config.Cache == nil {
		config.Cache = cache.Shared()
		if s.configuration.ephemeral {
			config.Cache = cache.New(cache.Config{MemoryCapacity: cache.DefaultMemoryCapacity})
		}
		s.configuration.Cache = config.Cache
	}
	if config.Cache == cache.None {
		config.Cache = nil // nothing is asked of it
	}
}

// Configuration is a copy of what the session was made from, with the stores that
// it uses.
func (s *Session) Configuration() Configuration { return s.configuration.Clone() }

// Delegate is the session's delegate; nil: it has none, or has become invalid.
func (s *Session) Delegate() *Delegate { return s.delegated() }

func (s *core) delegated() *Delegate { return s.delegate.Load() }

// Description is a label of the app's own (Apple's sessionDescription).
func (s *Session) Description() string {
	if label := s.label.Load(); label != nil {
		return *label
	}

	return ""
}

// SetDescription sets the label, which names the session in what it logs.
func (s *Session) SetDescription(description string) {
	s.label.Store(&description)
	s.lifetime.description.Store(&description)
}

// refused is the error of a load in a session that was invalidated.
func (s *core) refused(req *Request) error {
	if !s.lifetime.invalidated.Load() {
		return nil
	}
	engine.Drop(req.Body)
	t := task{request: Request{Method: req.Method, URL: req.URL}}

	return t.cancelled(ErrSessionInvalidated)
}

// Data loads a request and returns its whole body, decoded. The slice is the
// caller's, and not nil on success. The response is also returned with an error
// if its head had arrived. When ctx ends the load fails with Cancelled or
// TimedOut.
func (s *Session) Data(ctx context.Context, req *Request) ([]byte, *Response, error) {
	if s.asks(ctx) {
		return s.data(ctx, &DataTask{}, req)
	}
	if err := s.refused(req); err != nil {
		return nil, nil, err
	}
	var l struct { // one allocation
		room     engine.Room
		response Response
	}
	r, err := s.engine.LoadIn(&l.room, ctx, req, s.plainTask(ctx, req))
	if err != nil {
		return nil, nil, err
	}
	if err := unexpected(r); err != nil {
		return nil, newResponse(r), err
	}
	data, err := engine.ReadAll(r, s.maximum)
	l.response.fill(r)

	return data, &l.response, err
}

// Bytes loads a request and returns at the response head; the body streams. The
// caller closes the stream, which ends the load.
func (s *Session) Bytes(ctx context.Context, req *Request) (*ByteStream, error) {
	if s.asks(ctx) {
		return s.bytes(ctx, req)
	}
	if err := s.refused(req); err != nil {
		return nil, err
	}
	r, err := s.engine.Load(ctx, req, s.plainTask(ctx, req))
	if err != nil {
		return nil, err
	}
	if err := unexpected(r); err != nil {
		return nil, err
	}

	return &ByteStream{body: r.Body, response: newResponse(r), load: r}, nil
}

// unexpected ends a response that is a connection where bytes were asked for.
func unexpected(r *protocols.Response) error {
	if r.Upgraded == nil && r.Messages == nil {
		return nil
	}
	var errs []error
	if r.Upgraded != nil {
		errs = append(errs, r.Upgraded.Close())
	}
	if r.Messages != nil {
		errs = append(errs, r.Messages.Close(1001, ""))
	}

	return &Error{
		Code: BadServerResponse, Op: "load", URL: protocols.Redact(r.URL),
		Err: errors.Join(append(errs, errors.New("the response is a connection, not a body"))...),
	}
}

// Explain says what loading the request would do, stage by stage, without
// sending anything: which protocol takes it, what App Transport Security
// decides, which way it goes, which cookies it carries, whether the cache has an
// answer, how redirects would be followed. The error is the one that Data would give before sending.
func (s *Session) Explain(ctx context.Context, req *Request) (*Explanation, error) {
	if err := s.refused(&Request{Method: req.Method, URL: req.URL}); err != nil { // without the body, which is the app's
		return nil, err
	}
	steps, err := s.engine.Explain(ctx, req)

	return &Explanation{Request: req.String(), Steps: steps}, err
}

// Explanation is what each stage of a load would do.
type Explanation struct {
	// Request is the method and the URL, without secrets.
	Request string
	// Steps are the stages in their order.
	Steps []Step
}

// Step is the verdict of one stage.
type Step = engine.Step

// String gives the stages, one a line.
func (e *Explanation) String() string {
	var b strings.Builder
	b.WriteString(e.Request)
	for _, step := range e.Steps {
		fmt.Fprintf(&b, "\n  %-9s %s", step.Stage, step.Verdict)
	}

	return b.String()
}
