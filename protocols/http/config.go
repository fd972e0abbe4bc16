package http

import (
	"context"
	"math"
	nethttp "net/http"
	"slices"
	"time"

	"github.com/urlkit/urlkit/protocols"
)

// The defaults of Config.
const (
	defaultConnectionsPerHost = 6
	defaultIdleTimeout        = 90 * time.Second
	defaultConnectionAge      = time.Hour
	defaultIdleConnections    = 100
	defaultContinueTimeout    = time.Second
	defaultHeaderBytes        = 256 << 10
	defaultHeadStart          = 300 * time.Millisecond
	defaultCoolDown           = time.Minute
)

// Config are the settings of the two schemes. The zero value works: for numbers
// and durations 0 is the default, and a negative value means no limit.
type Config struct {
	// MaximumConnectionsPerHost bounds the HTTP/1.1 connections to one host by one
	// route; default 6 (Apple's httpMaximumConnectionsPerHost). An HTTP/2 host gets
	// one connection.
	MaximumConnectionsPerHost int
	// IdleTimeout is how long a connection without a request is kept; default 90 s.
	IdleTimeout time.Duration
	// MaximumConnectionAge is how long a connection takes new requests, so that changes
	// of names and of servers behind a name are noticed; what runs goes on. Default 1 h.
	MaximumConnectionAge time.Duration
	// MaximumIdleConnections bounds the connections without a request that one
	// scheme keeps, to all hosts together; default 100.
	MaximumIdleConnections int
	// ExpectContinueTimeout is how long a request with "Expect: 100-continue" waits
	// for an answer before its body is sent all the same (RFC 9110 §10.1.1);
	// default 1 s.
	ExpectContinueTimeout time.Duration
	// MaximumHeaderBytes bounds a response's head, interim responses included;
	// default 256 KiB. A longer one is protocols.CannotParseResponse.
	MaximumHeaderBytes int64
	// Header are fields that a request gets where it has none of that name. Without
	// a User-Agent in either place none is sent.
	Header nethttp.Header
	// OmitsHTTP2 keeps https to HTTP/1.1 where it runs over TCP.
	OmitsHTTP2 bool

	// OmitsHTTP3 keeps https to TCP. A build with the tag urlkit_nohttp3 does too.
	OmitsHTTP3 bool
	// HTTP3HeadStart is how long HTTP/3 is tried alone before TCP is tried beside it;
	// default 300 ms.
	HTTP3HeadStart time.Duration
	// HTTP3CoolDown is how long HTTP/3 is not tried where it did not work; default 1
	// minute. Each failure after the next one doubles it, to 1 hour.
	HTTP3CoolDown time.Duration
	// EnablesEarlyData lets GET and HEAD without a body be sent before the handshake
	// with a server that is known is complete (0-RTT, RFC 8470): somebody on the way
	// can send them to it again.
	EnablesEarlyData bool
	// AlternativeServices keeps what origins say of where they serve HTTP/3; nil:
	// memory of the scheme's instance.
	AlternativeServices protocols.AlternativeServiceStore
	// HTTPSRecords asks the DNS where a host serves HTTP/3 (RFC 9460), for connections
	// to hosts of which nothing is known; nil: it is not asked. It returns promptly
	// when ctx ends, and is safe for concurrent use.
	HTTPSRecords func(ctx context.Context, host string, port uint16) ([]protocols.AlternativeService, error)
}

// Schemes gives "http" and "https" for a registry. Every session gets instances,
// and with them connections, of its own; each instance is an io.Closer.
func Schemes(config Config) []protocols.Scheme {
	config.fill()

	return []protocols.Scheme{
		{
			Name: "http", DefaultPort: 80, Security: protocols.Cleartext, Redirectable: true, Forward: true,
			New: func(c protocols.Client) protocols.URLProtocol { return newLoader(c, config, false) },
		},
		{
			Name: "https", DefaultPort: 443, Security: protocols.Encrypted, Redirectable: true,
			New: func(c protocols.Client) protocols.URLProtocol { return newLoader(c, config, true) },
		},
	}
}

// fill puts defaults for zeros and the largest value for "no limit", and copies
// the fields.
func (c *Config) fill() {
	header := make(nethttp.Header, len(c.Header))
	for name, values := range c.Header {
		header[nethttp.CanonicalHeaderKey(name)] = slices.Clone(values)
	}
	if _, ok := header["User-Agent"]; !ok {
		header["User-Agent"] = nil // else the codec sends its own
	}
	c.Header = header
	setting(&c.MaximumConnectionsPerHost, defaultConnectionsPerHost, math.MaxInt)
	setting(&c.IdleTimeout, defaultIdleTimeout, math.MaxInt64)
	setting(&c.MaximumConnectionAge, defaultConnectionAge, math.MaxInt64)
	setting(&c.MaximumIdleConnections, defaultIdleConnections, math.MaxInt)
	setting(&c.ExpectContinueTimeout, defaultContinueTimeout, math.MaxInt64)
	setting(&c.MaximumHeaderBytes, defaultHeaderBytes, math.MaxInt32)
	setting(&c.HTTP3HeadStart, defaultHeadStart, attemptPatience)
	setting(&c.HTTP3CoolDown, defaultCoolDown, math.MaxInt64/2)
}

func setting[T int | int64 | time.Duration](value *T, standard, none T) {
	switch {
	case *value == 0:
		*value = standard
	case *value < 0:
		*value = none
	}
}
