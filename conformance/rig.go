package conformance

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/urlkit/urlkit/ats"
	"github.com/urlkit/urlkit/internal/engine"
	"github.com/urlkit/urlkit/internal/fault"
	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/registry"
)

// stranger is a host that no fixture serves and no dialer resolves.
const stranger = "stranger.conformance.test"

// rig is what a row works with: the fixture, and sessions made as it needs them.
type rig struct {
	harness Harness
	options Options
	fixture *Fixture
	label   string // of the row's goroutines

	mu       sync.Mutex
	sessions []*session
}

func newRig(ctx context.Context, h Harness, o Options) (*rig, error) {
	if h.Fixture == nil || h.Scheme.New == nil {
		return nil, errors.New("the Harness needs a Fixture and a Scheme with New")
	}
	f, err := h.Fixture(ctx)
	if err != nil {
		return nil, fmt.Errorf("the fixture cannot be made: %w", err)
	}
	if f == nil {
		return nil, errors.New("the fixture is nil")
	}

	return &rig{harness: h, options: o, fixture: f}, nil
}

// close ends sessions and fixture. What does not end in time is left behind: that
// it should is the business of the rows about closing.
func (r *rig) close() error {
	r.cut()
	r.mu.Lock()
	sessions := r.sessions
	r.mu.Unlock()
	for _, s := range sessions {
		_ = r.within(s.close)
	}
	if r.fixture.Close == nil {
		return nil
	}
	var closing error
	if err := r.within(func() { closing = r.fixture.Close() }); err != nil {
		return fmt.Errorf("Fixture.Close: %w", err)
	}
	if closing != nil {
		return fmt.Errorf("Fixture.Close: %w", closing)
	}

	return nil
}

// cut breaks all connections, which frees whoever waits for one.
func (r *rig) cut() {
	r.mu.Lock()
	sessions := r.sessions
	r.mu.Unlock()
	for _, s := range sessions {
		s.dialer.cut()
	}
}

var errImpatient = errors.New("it did not end promptly")

// within runs f, and waits for it only so long.
func (r *rig) within(f func()) error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()

	return r.await(done)
}

// await waits for a channel to be closed, with the suite's patience.
func (r *rig) await(done <-chan struct{}) error {
	timer := time.NewTimer(r.options.patience())
	defer timer.Stop()
	select {
	case <-done:
		return nil
	case <-timer.C:
		return errImpatient
	}
}

// settles waits until a condition holds, with the suite's patience.
func (r *rig) settles(holds func() bool) bool {
	deadline := time.Now().Add(r.options.patience())
	for step := time.Millisecond; !holds(); step = min(2*step, 50*time.Millisecond) {
		if time.Now().After(deadline) {
			return false
		}
		<-time.After(step)
	}

	return true
}

// network tells whether connections are made for the protocol, by itself or by
// what it loads.
func (r *rig) network() bool {
	isLocal := func(s protocols.Scheme) bool { return s.Security == protocols.Local }

	return !isLocal(r.harness.Scheme) || slices.ContainsFunc(r.harness.Beneath, func(s protocols.Scheme) bool { return !isLocal(s) })
}

// request makes a request as the author wants it.
func (r *rig) request(method, url string, body *protocols.Body) (*protocols.Request, error) {
	if method == "" {
		method = http.MethodGet
	}
	newRequest := protocols.NewRequest
	if r.harness.Request != nil {
		newRequest = r.harness.Request
	}
	req, err := newRequest(method, url, body)
	if err != nil {
		return nil, fmt.Errorf("the fixture's URL: %w", err)
	}

	return req, nil
}

// ask makes the request for a content.
func (r *rig) ask(c *Content) (*protocols.Request, error) {
	var body *protocols.Body
	if c.Body != nil {
		body = protocols.BytesBody(c.Body)
	}

	return r.request(c.Method, c.URL, body)
}

// main is the content that most rows load.
func (r *rig) main() *Content { return &r.fixture.Content[0] }

// large is the largest content.
func (r *rig) large() *Content {
	largest := &r.fixture.Large
	for i := range r.fixture.Content {
		if c := &r.fixture.Content[i]; largest.URL == "" || c.size() > largest.size() {
			largest = c
		}
	}

	return largest
}

// astray is the request for main at a host that does not exist.
func (r *rig) astray() (*protocols.Request, error) {
	req, err := r.ask(r.main())
	if err != nil {
		return nil, err
	}
	req = req.Clone()
	port := req.URL.Port()
	req.URL.Host = stranger
	if port != "" {
		req.URL.Host = net.JoinHostPort(stranger, port)
	}

	return req, nil
}

// plan says what goes wrong on a session's i-th connection; nil: nothing does.
type plan func(i int) fault.Fault

// always is the plan of a fault on every connection.
func always(f fault.Fault) plan { return func(int) fault.Fault { return f } }

// session is a session of its own, with a pipeline and connections of its own.
type session struct {
	rig    *rig
	engine *engine.Engine
	dialer *dialer
	spy    *spy
}

func (r *rig) session(p plan) (*session, error) {
	s := &session{rig: r, dialer: newDialer(r.fixture.Hosts, p), spy: &spy{scheme: r.harness.Scheme}}
	e, err := engine.New(engine.Config{
		Registry: registry.New(append([]protocols.Scheme{s.spy.spied()}, r.harness.Beneath...)...),
		Policy:   r.policy(),
		Dialer:   s.dialer,
		TLS:      &tls.Config{RootCAs: r.fixture.RootCAs},
		// The rows have clocks of their own.
		RequestTimeout: -1, ResourceTimeout: -1,
	})
	if err != nil {
		return nil, fmt.Errorf("no session can be made: %w", err)
	}
	s.engine = e
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sessions = append(r.sessions, s)

	return s, nil
}

// policy allows clear text to the fixture's hosts where the scheme is one of
// clear text, and nothing that is not the default otherwise.
func (r *rig) policy() ats.Policy {
	p := ats.Policy{ExceptionDomains: map[string]ats.Exception{}}
	schemes := append([]protocols.Scheme{r.harness.Scheme}, r.harness.Beneath...)
	for _, s := range schemes {
		if s.Security != protocols.Cleartext {
			continue
		}
		p.ExceptionDomains[stranger] = ats.Exception{AllowsInsecureHTTPLoads: true}
		for name := range r.fixture.Hosts {
			if host, _, err := net.SplitHostPort(name); err == nil {
				name = host
			}
			p.ExceptionDomains[name] = ats.Exception{AllowsInsecureHTTPLoads: true}
		}
	}

	return p
}

func (s *session) close() {
	_ = s.engine.Close()
	s.dialer.cut()
}

// sameURL compares what two URLs mean to a reader.
func sameURL(a *url.URL, b string) bool {
	parsed, err := url.Parse(b)

	return a != nil && (a.String() == b || err == nil && a.String() == parsed.String())
}
