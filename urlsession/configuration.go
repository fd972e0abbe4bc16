package urlsession

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/textproto"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/urlkit/urlkit/ats"
	"github.com/urlkit/urlkit/path"
	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/proxy"
	"github.com/urlkit/urlkit/storage"
)

// Configuration says how a session loads (Apple's URLSessionConfiguration). It
// is a value: New copies it, and later changes have no effect on a session. The
// zero value is DefaultConfiguration. For durations and limits 0 is the default
// and a negative value none.
type Configuration struct {
	// Protocols are asked before the built-in ones, the first first.
	Protocols []protocols.Scheme
	// ATS is the App Transport Security policy. The zero value is the secure
	// default: no clear text but to local hosts, TLS 1.2 with forward secrecy.
	ATS ats.Policy

	// RequestTimeout is the longest time with no byte moving (Apple's
	// timeoutIntervalForRequest); 60 seconds. A request's own wins.
	RequestTimeout time.Duration
	// ResourceTimeout is the time for a whole load (Apple's
	// timeoutIntervalForResource); 7 days.
	ResourceTimeout time.Duration
	// ConnectTimeout is the time for making a connection; 30 seconds.
	ConnectTimeout time.Duration

	// AdditionalHeaders are added to HTTP requests that lack them (Apple's
	// httpAdditionalHeaders). Authorization, Connection, Host, Proxy-Authenticate,
	// Proxy-Authorization and WWW-Authenticate are refused by New.
	AdditionalHeaders http.Header
	// ConnectionIdleTimeout is how long an HTTP connection without a request is kept; 90
	// seconds.
	ConnectionIdleTimeout time.Duration
	// MaximumConnectionAge is how long an HTTP connection takes new requests, so that
	// changes of names, and of the servers behind a name, are noticed; what runs goes on.
	// 1 hour.
	MaximumConnectionAge time.Duration
	// RedirectLimit is how many redirects are followed; 20.
	RedirectLimit int
	// Retry says which loads are repeated; the zero value: those that are certainly
	// safe.
	Retry RetryPolicy
	// MaximumDataLength bounds what Data collects in memory, in bytes; 1 GiB.
	// More is DataLengthExceedsMaximum. Bytes has no such bound.
	MaximumDataLength int64
	// MaximumExpansion is how many bytes one byte of a compressed body may decode
	// to, once it has decoded to 16 MiB; 256. More is CannotDecodeRawData, in a download
	// DownloadDecodingFailedMidStream.
	MaximumExpansion int

	// Cookies is the store of cookies; nil: the process-wide one, or a private one
	// of an ephemeral session. cookie.None keeps none.
	Cookies storage.CookieStore
	// OmitsCookies attaches no stored cookies (the opposite of Apple's
	// httpShouldSetCookies). Received ones are stored all the same.
	OmitsCookies bool
	// CookieAcceptPolicy says whose cookies are stored.
	CookieAcceptPolicy storage.CookieAcceptPolicy

	// Credentials is the store of credentials; nil: the process-wide one, or a
	// private one of an ephemeral session, both in memory. Package
	// storage/credential/keyring has one that keeps permanent ones beyond the process;
	// credential.None keeps none.
	Credentials storage.CredentialStore
	// Negotiator authenticates by Negotiate (SPNEGO), with what it knows itself, or
	// the credential of a challenge. It is used for whatever host asks. nil:
	// Negotiate is passed over. The module contrib/negotiate has one for Kerberos.
	Negotiator Negotiator

	// Cache is the store of responses (Apple's urlCache); nil: the process-wide one, or
	// a private one in memory of an ephemeral session. cache.None keeps none. Uploads
	// and downloads go past it.
	Cache storage.CacheStore
	// CachePolicy is that of requests that leave theirs at UseProtocolCachePolicy
	// (Apple's requestCachePolicy).
	CachePolicy CachePolicy

	// RootCAs are the certificate authorities that are trusted; nil: the system's.
	RootCAs *x509.CertPool
	// Certificates are presented to servers that ask for one.
	Certificates []tls.Certificate
	// MinimumTLSVersion and MaximumTLSVersion bound what is negotiated, within
	// what ATS allows (tls.VersionTLS12 and so on); 0: TLS 1.2 and 1.3.
	MinimumTLSVersion, MaximumTLSVersion uint16

	// MaximumConnectionsPerHost bounds the connections to one host (Apple's
	// httpMaximumConnectionsPerHost); 6.
	MaximumConnectionsPerHost int
	// OmitsHTTP2 keeps https to HTTP/1.1 where it runs over TCP.
	OmitsHTTP2 bool
	// OmitsHTTP3 keeps https to TCP. Else HTTP/3 is used where a host is known to speak
	// it: by Alt-Svc, by HTTPS records where the Resolver finds them, or because a
	// request assumes it. A build with the tag urlkit_nohttp3 is without it.
	OmitsHTTP3 bool
	// EnablesEarlyData lets HTTP/3 send GET and HEAD without a body to known servers
	// before the handshake is complete (0-RTT; Apple's enablesEarlyData). Somebody on
	// the way can send them again (RFC 8470 §2).
	EnablesEarlyData bool
	// AlternativeServices keeps what origins say of where they serve HTTP/3; nil: the
	// process-wide memory, or a private one of an ephemeral session. altsvc.Open keeps
	// them in a file.
	AlternativeServices protocols.AlternativeServiceStore

	// Resolver looks names up; nil: the system's. The session keeps its answers by a
	// proxy.Cache of its own, unless it is a *proxy.Cache, which sessions can share. A
	// DoHResolver asks over HTTPS.
	Resolver proxy.Resolver
	// RequiresDNSSEC fails loads whose host's name was not looked up by a Resolver
	// that validates (Apple's requiresDNSSECValidation).
	RequiresDNSSEC bool

	// PathMonitor observes the way to the network; nil: path.System. Loads that wait for
	// connectivity wait for its changes.
	PathMonitor path.Monitor
	// RefusesCellular, RefusesExpensiveNetwork and RefusesConstrainedNetwork forbid
	// kinds of paths, as a request can, where the PathMonitor tells them (the opposites
	// of Apple's allows...Access). A cellular one is DataNotAllowed, the others are
	// NotConnectedToInternet; Error.NetworkUnavailableReason says which. Loopback is
	// always allowed. RefusesUltraConstrainedNetwork is kept without effect: no monitor
	// tells of such.
	RefusesCellular, RefusesExpensiveNetwork,
	RefusesConstrainedNetwork, RefusesUltraConstrainedNetwork bool
	// WaitsForConnectivity makes a load wait where there is no way to its host, as
	// long as the ResourceTimeout, rather than fail with NotConnectedToInternet
	// (Apple's waitsForConnectivity). A connection that breaks later fails all the
	// same.
	WaitsForConnectivity bool
	// NetworkServiceType is the kind of traffic where a request does not say
	// (Apple's networkServiceType). It sets the packets' DSCP where the system can.
	NetworkServiceType NetworkServiceType
	// MultipathServiceType, but for MultipathNone, makes connections by multipath
	// TCP where the system and the peer have it (Apple's multipathServiceType).
	MultipathServiceType MultipathServiceType

	// Queue moves what delegates are told, and completion handlers, elsewhere: to
	// the goroutine of a user interface, say. It is given a function that makes one
	// or more calls, and must run it, once, now or later. The next may be given as soon
	// as its last call has been made, by any goroutine. Data is copied then. nil: calls
	// are made on the goroutines of the tasks, one at a time. Questions are never moved.
	// Close must not be called from where the Queue runs calls, which it would wait for.
	Queue func(calls func())
	// Observers watch all loads, in this order: to record, trace or count them. None may
	// be nil.
	Observers []Observer
	// Logger gets the session's warnings, and at debug level what each load does; nil:
	// slog.Default, which is silent at that level unless told otherwise. No record holds
	// a header field's value, a body, or a URL's user info and query.
	Logger *slog.Logger

	// UsesClassicLoadingMode, UsesPipelining and UsesExtendedBackgroundIdleMode are
	// kept without effect: there is one loader, pipelining is deprecated, and a
	// program is not sent to the background.
	UsesClassicLoadingMode, UsesPipelining, UsesExtendedBackgroundIdleMode bool

	ephemeral bool
}

// MultipathServiceType says how several paths are used at once (Apple's
// URLSessionConfiguration.MultipathServiceType). The zero value uses one. The kinds
// differ in nothing but their numbers: the system decides which paths it uses.
type MultipathServiceType uint8

const (
	// MultipathNone uses one path.
	MultipathNone MultipathServiceType = iota
	// MultipathHandover moves to another path where one fails.
	MultipathHandover
	// MultipathInteractive uses the path with the least delay.
	MultipathInteractive
	// MultipathAggregate uses all paths together.
	MultipathAggregate
)

// Raw is Apple's number for the type.
func (t MultipathServiceType) Raw() int { return int(t) }

// DefaultConfiguration keeps cookies, credentials, responses and alternative services
// in the process-wide stores (Apple's URLSessionConfiguration.default). These are in
// memory; what outlives the process is the app's choice.
func DefaultConfiguration() Configuration { return Configuration{} }

// EphemeralConfiguration keeps everything in memory, in private stores that go
// with the session (Apple's URLSessionConfiguration.ephemeral). A store that is set is
// used as it is.
func EphemeralConfiguration() Configuration { return Configuration{ephemeral: true} }

// Clone gives an independent copy: no slice, map or policy is shared. Stores and
// certificate pools are, as they are meant to be.
func (c Configuration) Clone() Configuration {
	c.Protocols = slices.Clone(c.Protocols)
	c.ATS = c.ATS.Clone()
	c.AdditionalHeaders = c.AdditionalHeaders.Clone()
	c.Certificates = slices.Clone(c.Certificates)
	c.Retry = c.Retry.clone()
	c.Observers = slices.Clone(c.Observers)

	return c
}

// connectionsPerHost is MaximumConnectionsPerHost with its default.
func (c *Configuration) connectionsPerHost() int {
	if c.MaximumConnectionsPerHost == 0 {
		return 6
	}

	return c.MaximumConnectionsPerHost
}

// reserved are the fields that a session sets itself.
var reserved = []string{
	"Authorization", "Connection", "Host", "Proxy-Authenticate", "Proxy-Authorization", "Www-Authenticate",
}

func (c *Configuration) validate() error {
	var errs []error
	for name := range maps.Keys(c.AdditionalHeaders) {
		if name = textproto.CanonicalMIMEHeaderKey(name); slices.Contains(reserved, name) {
			errs = append(errs, fmt.Errorf(
				"AdditionalHeaders: %s is reserved: set it on a request, or answer a challenge", name))
		}
	}
	probe := protocols.Request{URL: emptyURL, Header: c.AdditionalHeaders}
	if err := probe.Validate(); err != nil {
		errs = append(errs, fmt.Errorf("AdditionalHeaders: %w", err))
	}
	if c.MinimumTLSVersion != 0 && c.MaximumTLSVersion != 0 && c.MinimumTLSVersion > c.MaximumTLSVersion {
		errs = append(errs, fmt.Errorf("MinimumTLSVersion %s is above MaximumTLSVersion %s",
			tls.VersionName(c.MinimumTLSVersion), tls.VersionName(c.MaximumTLSVersion)))
	}
	if c.MaximumTLSVersion != 0 && c.MaximumTLSVersion < tls.VersionTLS12 {
		errs = append(errs, fmt.Errorf("MaximumTLSVersion %s is below the floor of every policy", tls.VersionName(c.MaximumTLSVersion)))
	}
	for i, o := range c.Observers {
		if o == nil {
			errs = append(errs, fmt.Errorf("no observer at Observers[%d]", i))
		}
	}
	errs = append(errs, c.Retry.validate())

	return errors.Join(errs...)
}

// tls is the base of the session's TLS configurations; policy tightens it.
func (c *Configuration) tls() *tls.Config {
	return &tls.Config{
		RootCAs: c.RootCAs, Certificates: c.Certificates,
		MinVersion: c.MinimumTLSVersion, MaxVersion: c.MaximumTLSVersion,
	}
}

// header is what HTTP requests get where they lack it: the app's fields, then
// the session's own.
func (c *Configuration) header() http.Header {
	h := http.Header{
		"Accept":          {"*/*"},
		"Accept-Encoding": {"gzip, deflate, br, zstd"},
		"User-Agent":      {"urlkit/" + Version},
	}
	if language := acceptLanguage(os.Getenv); language != "" {
		h["Accept-Language"] = []string{language}
	}
	for name, values := range c.AdditionalHeaders {
		h[textproto.CanonicalMIMEHeaderKey(name)] = slices.Clone(values)
	}

	return h
}

// acceptLanguage makes a field value of the locale ("de_AT.UTF-8" gives
// "de-AT,de;q=0.9"); "" where none is set.
func acceptLanguage(getenv func(string) string) string {
	locale := ""
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		if locale = getenv(name); locale != "" {
			break
		}
	}
	locale, _, _ = strings.Cut(locale, ".")
	locale, _, _ = strings.Cut(locale, "@")
	language, region, _ := strings.Cut(locale, "_")
	if !isLetters(language, 2, 3) {
		return "" // "C", "POSIX", or nothing
	}
	language = strings.ToLower(language)
	if !isLetters(region, 2, 2) {
		return language
	}

	return language + "-" + strings.ToUpper(region) + "," + language + ";q=0.9"
}

func isLetters(s string, least, most int) bool {
	for i := range len(s) {
		if c := s[i] | 0x20; c < 'a' || c > 'z' {
			return false
		}
	}

	return least <= len(s) && len(s) <= most
}
