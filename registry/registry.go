// Package registry finds the URLProtocol that loads a request.
//
// A [Registry] is an immutable list of schemes: sessions share one without
// locks, and none can change what another sees. [Registry.Open] makes the
// protocols' instances for one session, and [Instances.Lookup] picks among them.
//
// There is no global registration. Apple's registerClass exists for loaders that
// have no configuration; here every session has one, and a list that any package
// could change from an init function would make a program's behaviour depend on
// its imports.
package registry

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/urlkit/urlkit/protocols"
)

// Registry is an immutable list of schemes, in the order in which they are
// asked. The zero value is empty. It is safe for concurrent use.
type Registry struct {
	schemes []protocols.Scheme
}

// New makes a registry in which the first scheme is asked first.
func New(schemes ...protocols.Scheme) Registry {
	return Registry{}.With(schemes...)
}

// With returns a registry in which these schemes are asked before, and so
// shadow, those of r; among themselves the first is asked first.
func (r Registry) With(schemes ...protocols.Scheme) Registry {
	all := make([]protocols.Scheme, 0, len(schemes)+len(r.schemes))
	for _, s := range schemes {
		s.Name = strings.ToLower(s.Name)
		all = append(all, s)
	}

	return Registry{schemes: append(all, r.schemes...)}
}

// Names lists the registered URL schemes, sorted, each once.
func (r Registry) Names() []string {
	var names []string
	for i := range r.schemes {
		if name := r.schemes[i].Name; name != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)

	return slices.Compact(names)
}

// Open makes an instance of every scheme's protocol, for one session. client
// gives the session's side of each. It fails for a scheme without a constructor,
// with a name that is no URL scheme (RFC 3986 §3.1), and for one without a name
// whose protocol is no [protocols.Claimer].
func (r Registry) Open(client func(*protocols.Scheme) protocols.Client) (*Instances, error) {
	in := &Instances{named: make(map[string]*route), names: r.Names()}
	var errs []error
	for i := range r.schemes {
		s := &r.schemes[i]
		instance, err := open(s, client)
		if err != nil {
			errs = append(errs, err)

			continue
		}
		in.all = append(in.all, instance)
	}
	if len(errs) > 0 {
		return nil, errors.Join(append(errs, in.Close())...)
	}
	for _, name := range in.names {
		in.named[name] = newRoute(in.all, name)
	}
	in.other = newRoute(in.all, "")

	return in, nil
}

func open(s *protocols.Scheme, client func(*protocols.Scheme) protocols.Client) (*Instance, error) {
	if s.New == nil {
		return nil, fmt.Errorf("registry: scheme %q has no constructor (Scheme.New)", s.Name)
	}
	if s.Name != "" && !validName(s.Name) {
		return nil, fmt.Errorf("registry: %q is not a URL scheme: a letter, then letters, digits, '+', '-' or '.'", s.Name)
	}
	p := s.New(client(s))
	if p == nil {
		return nil, fmt.Errorf("registry: the constructor of scheme %q returned nil", s.Name)
	}
	claimer, claims := protocols.As[protocols.Claimer](p)
	if s.Name == "" && !claims {
		return nil, fmt.Errorf("registry: a scheme without a name needs a protocol with a Claims method; %T has none", p)
	}

	return &Instance{Scheme: s, Protocol: p, claimer: claimer}, nil
}

func validName(name string) bool {
	for i := range len(name) {
		c := name[i]
		letter := 'a' <= c && c <= 'z'
		if !letter && (i == 0 || !('0' <= c && c <= '9') && c != '+' && c != '-' && c != '.') {
			return false
		}
	}

	return true
}
