package main

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"time"

	"github.com/spf13/pflag"

	"github.com/urlkit/urlkit/ats"
	"github.com/urlkit/urlkit/urlsession"
)

// sessionOptions say how the session connects.
type sessionOptions struct {
	cacert, cert, key string
	maxTime           time.Duration
	connectTimeout    time.Duration
	retry             int
	doh               string
	http1, http2      bool
	noHTTP3, http3    bool
	policy            policyOptions
}

// policyOptions are the exceptions from App Transport Security.
type policyOptions struct{ insecure []string }

func (o *policyOptions) register(flags *pflag.FlagSet) {
	flags.StringArrayVar(&o.insecure, "allow-insecure-http", nil,
		"let http: to `HOST` pass: a name, an address or a CIDR block; local hosts need none; may be given more than once")
}

func (o *policyOptions) policy() ats.Policy {
	p := ats.Policy{ExceptionDomains: make(map[string]ats.Exception, len(o.insecure))}
	for _, host := range o.insecure {
		p.ExceptionDomains[host] = ats.Exception{AllowsInsecureHTTPLoads: true}
	}

	return p
}

func (o *sessionOptions) registerTLS(flags *pflag.FlagSet) {
	flags.StringVar(&o.cacert, "cacert", "", "trust the authorities in `FILE` (PEM) instead of the system's")
	flags.StringVar(&o.cert, "cert", "", "the client certificate in `FILE` (PEM), with its key unless --key names it")
	flags.StringVar(&o.key, "key", "", "the client certificate's key in `FILE` (PEM, not encrypted)")
}

func (o *sessionOptions) registerNetwork(flags *pflag.FlagSet) {
	flags.Var(seconds{&o.maxTime}, "max-time", "the time for each URL, in `SECONDS`")
	flags.Var(seconds{&o.connectTimeout}, "connect-timeout", "the time for making a connection, in `SECONDS`; without it 30")
	flags.IntVar(&o.retry, "retry", 0,
		"try `NUMBER` more times where the network fails or a server is busy (408, 425, 429, 502, 503, 504), and continue bodies that break off")
	flags.StringVar(&o.doh, "doh-url", "", "look names up by DNS over HTTPS at `URL`")
	flags.BoolVar(&o.http1, "http1.1", false, "keep to HTTP/1.1")
	flags.BoolVar(&o.http2, "http2", false, "take HTTP/2 where the server has it, and no HTTP/3")
	flags.BoolVar(&o.http3, "http3", false, "try HTTP/3 at once, and not only where a server is known to speak it")
	flags.BoolVar(&o.noHTTP3, "no-http3", false, "keep to HTTP/1.1 and HTTP/2, over TCP")
}

// configuration is that of a session that keeps nothing beyond this command.
func (o *sessionOptions) configuration() (urlsession.Configuration, error) {
	c := urlsession.EphemeralConfiguration()
	c.ATS = o.policy.policy()
	c.ResourceTimeout = o.maxTime
	c.ConnectTimeout = o.connectTimeout
	c.OmitsHTTP2 = o.http1
	if o.http1 && o.http2 || o.http3 && (o.http1 || o.http2) {
		return c, failed(exitUsage, "choose one of --http1.1, --http2 and --http3")
	}
	if o.http3 && o.noHTTP3 {
		return c, failed(exitUsage, "choose one of --http3 and --no-http3")
	}
	c.OmitsHTTP3 = o.http1 || o.http2 || o.noHTTP3
	if o.retry < 0 {
		return c, failed(exitUsage, "--retry wants a number of times")
	}
	c.Retry = urlsession.RetryPolicy{Attempts: o.retry + 1, Continuations: o.retry}
	var err error
	if o.doh != "" {
		if c.Resolver, err = urlsession.NewDoHResolver(nil, o.doh); err != nil {
			return c, failed(exitUsage, "--doh-url: %w", err)
		}
	}
	if o.cacert != "" {
		if c.RootCAs, err = readAuthorities(o.cacert); err != nil {
			return c, err
		}
	}
	if o.cert != "" || o.key != "" {
		if c.Certificates, err = readCertificate(o.cert, o.key); err != nil {
			return c, err
		}
	}

	return c, nil
}

func readAuthorities(name string) (*x509.CertPool, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, failed(exitCA, "--cacert: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		return nil, failed(exitCA, "--cacert: %s holds no certificate in PEM form", name)
	}

	return pool, nil
}

func readCertificate(cert, key string) ([]tls.Certificate, error) {
	if cert == "" {
		return nil, failed(exitUsage, "--key is the key of a --cert")
	}
	if key == "" {
		key = cert
	}
	certificate, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, failed(exitCertificate, "--cert: %w", err)
	}

	return []tls.Certificate{certificate}, nil
}
