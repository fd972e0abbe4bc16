package registry

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/urlkit/urlkit/protocols"
)

// Instance is one scheme's protocol in one session.
type Instance struct {
	// Scheme is what was registered.
	Scheme *protocols.Scheme
	// Protocol is what its constructor made.
	Protocol protocols.URLProtocol

	claimer protocols.Claimer // nil: takes every request of its scheme
}

// Loading is the chain of the protocols that are loading for one task, the
// innermost first. Lookup passes them over, so that an interceptor's inner load
// goes to the next one and nothing recurses. nil: none is loading.
type Loading struct {
	// Instance is the one that is loading.
	Instance *Instance
	// Outer is the one whose inner load this is; nil: none.
	Outer *Loading
}

// Contains tells whether i is in the chain.
func (l *Loading) Contains(i *Instance) bool {
	for ; l != nil; l = l.Outer {
		if l.Instance == i {
			return true
		}
	}

	return false
}

// Match is the result of a lookup: who loads, and under what declarations.
type Match struct {
	*Instance
	// Security is that of the URL scheme's name. A protocol that was registered
	// without a name changes it only by saying Local.
	Security protocols.Security
	// DefaultPort and Redirectable are those of the URL scheme's name.
	DefaultPort  int
	Redirectable bool
}

// Instances are the protocols of one session. Lookup takes no lock and allocates
// nothing; it is safe for concurrent use.
type Instances struct {
	all   []*Instance
	named map[string]*route
	other *route // for URL schemes that nobody registered
	names []string
}

// route is what may load one URL scheme, in the order of asking.
type route struct {
	candidates []*Instance
	declared   *protocols.Scheme // the first with the name; nil: none
}

func newRoute(all []*Instance, name string) *route {
	r := &route{}
	for _, i := range all {
		if i.Scheme.Name != "" && i.Scheme.Name != name {
			continue
		}
		r.candidates = append(r.candidates, i)
		if r.declared == nil && i.Scheme.Name != "" {
			r.declared = i.Scheme
		}
	}

	return r
}

// Lookup finds who loads req: the first in order that takes it and is not in the
// chain. Nobody is protocols.UnsupportedURL, with the registered schemes in its
// text.
func (in *Instances) Lookup(req *protocols.Request, loading *Loading) (Match, error) {
	r := in.named[strings.ToLower(req.URL.Scheme)]
	if r == nil {
		r = in.other
	}
	for _, i := range r.candidates {
		if loading.Contains(i) || i.claimer != nil && !i.claimer.Claims(req) {
			continue
		}

		return r.match(i), nil
	}

	return Match{}, in.unsupported(req, r)
}

func (r *route) match(i *Instance) Match {
	m := Match{Instance: i}
	s := i.Scheme
	if s.Name == "" && r.declared != nil {
		s = r.declared
	}
	m.Security, m.DefaultPort, m.Redirectable = s.Security, s.DefaultPort, s.Redirectable
	if i.Scheme.Security == protocols.Local {
		m.Security = protocols.Local
	}

	return m
}

func (in *Instances) unsupported(req *protocols.Request, r *route) error {
	registered := "none are"
	if len(in.names) > 0 {
		registered = strings.Join(in.names, ", ") + " are"
	}
	why := "no protocol takes"
	if r.declared != nil {
		why = "no further protocol takes"
	}

	return protocols.Errorf(protocols.UnsupportedURL, "%s the scheme %q; %s registered", why, req.URL.Scheme, registered)
}

// Names lists the registered URL schemes, sorted.
func (in *Instances) Names() []string { return in.names }

// Close closes every protocol that is an io.Closer, the first asked first.
func (in *Instances) Close() error {
	var errs []error
	for _, i := range in.all {
		if c, ok := protocols.As[io.Closer](i.Protocol); ok {
			if err := c.Close(); err != nil {
				errs = append(errs, fmt.Errorf("closing scheme %q: %w", i.Scheme.Name, err))
			}
		}
	}

	return errors.Join(errs...)
}
