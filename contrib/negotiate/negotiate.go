// Package negotiate authenticates a session of urlkit's by Kerberos: it is the
// Negotiator for the HTTP method Negotiate (RFC 4559), over SPNEGO (RFC 4178). It
// stands in a module of its own, so that nobody else downloads a Kerberos library.
//
//	configuration.Negotiator = &negotiate.Kerberos{}
package negotiate

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/jcmturner/gokrb5/v8/client"
	"github.com/jcmturner/gokrb5/v8/config"
	"github.com/jcmturner/gokrb5/v8/credentials"
	"github.com/jcmturner/gokrb5/v8/spnego"

	"github.com/urlkit/urlkit/protocols"
)

// Kerberos is a protocols.Negotiator. Its zero value takes what the environment
// names, as kinit leaves it. It must not be changed once it is in use. It asks the
// key distribution centre by connections of its own, which no proxy or policy of
// the session's concerns.
type Kerberos struct {
	// Config is the path of krb5.conf; "": KRB5_CONFIG, else /etc/krb5.conf.
	Config string
	// Cache is the path of the ticket cache, a file; "": KRB5CCNAME, else
	// /tmp/krb5cc_UID.
	Cache string
	// ServiceName gives the principal of a host's HTTP service; nil: HTTP/host.
	ServiceName func(host string) string
}

var _ protocols.Negotiator = (*Kerberos)(nil)

// Negotiate gets a ticket for the HTTP service of the space's host: with the
// tickets in the cache, or where c is not nil as its user, which may name a realm
// (user@REALM), with its password. When ctx ends it returns at once.
func (k *Kerberos) Negotiate(ctx context.Context, space protocols.ProtectionSpace, c *protocols.Credential) (protocols.SecurityContext, error) {
	name := "HTTP/" + space.Host
	if k.ServiceName != nil {
		name = k.ServiceName(space.Host)
	}
	type outcome struct {
		token []byte
		err   error
	}
	done := make(chan outcome, 1)
	go func() { // the library knows no context; its own time-outs end it
		token, err := k.token(name, c)
		done <- outcome{token, err}
	}()
	select {
	case o := <-done:
		if o.err != nil {
			return nil, fmt.Errorf("negotiate: %w", o.err)
		}

		return &security{first: o.token}, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// token makes the first token of a context.
func (k *Kerberos) token(service string, c *protocols.Credential) (token []byte, err error) {
	defer recovered(&err)
	cl, err := k.client(c)
	if err != nil {
		return nil, err
	}
	defer cl.Destroy()
	if err := cl.AffirmLogin(); err != nil {
		return nil, err
	}
	first, err := spnego.SPNEGOClient(cl, service).InitSecContext()
	if err != nil {
		return nil, err
	}

	return first.Marshal()
}

func (k *Kerberos) client(c *protocols.Credential) (*client.Client, error) {
	path := k.Config
	if path == "" {
		path = os.Getenv("KRB5_CONFIG")
	}
	if path == "" {
		path = "/etc/krb5.conf"
	}
	conf, err := config.Load(path)
	if err != nil {
		return nil, err
	}
	if c != nil {
		user, realm, found := strings.Cut(c.User, "@")
		if !found {
			realm = conf.LibDefaults.DefaultRealm
		}

		return client.NewWithPassword(user, realm, c.Password, conf, client.DisablePAFXFAST(true)), nil
	}
	cache, err := credentials.LoadCCache(k.cache())
	if err != nil {
		return nil, err
	}

	return client.NewFromCCache(cache, conf, client.DisablePAFXFAST(true))
}

func (k *Kerberos) cache() string {
	path := k.Cache
	if path == "" {
		path = os.Getenv("KRB5CCNAME")
	}
	if path == "" {
		path = "/tmp/krb5cc_" + strconv.Itoa(os.Getuid())
	}

	return strings.TrimPrefix(path, "FILE:")
}

// security is one authentication: a single token to the server, and its answer.
type security struct{ first []byte }

var errMore = errors.New("negotiate: the server wants more than a ticket")

// Next gives the token, and looks at what the server says of it. What it says at the
// end is not verified: mutual authentication is TLS's affair.
func (s *security) Next(_ context.Context, token []byte) (next []byte, err error) {
	defer recovered(&err)
	if next, s.first = s.first, nil; next != nil || len(token) == 0 {
		return next, nil
	}
	var answer spnego.SPNEGOToken
	if err := answer.Unmarshal(token); err != nil {
		return nil, fmt.Errorf("negotiate: %w", err)
	}
	if !answer.Resp || answer.NegTokenResp.State() != spnego.NegStateAcceptCompleted {
		return nil, errMore
	}

	return nil, nil
}

// recovered makes an error of a panic of the library's: what it reads comes from
// the network.
func recovered(err *error) {
	if v := recover(); v != nil {
		*err = fmt.Errorf("negotiate: the message cannot be read: %v", v)
	}
}
