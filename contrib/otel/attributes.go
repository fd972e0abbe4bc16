package otelurlkit

import (
	"net"
	"net/url"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/urlsession"
)

// isHTTP tells whether the conventions for HTTP are for a URL; a WebSocket's handshake
// is HTTP.
func isHTTP(u *url.URL) bool {
	if u == nil {
		return false
	}
	switch strings.ToLower(u.Scheme) {
	case "http", "https", "ws", "wss":
		return true
	default:
		return false
	}
}

// urlOf are the attributes of a URL. One without a host may hold data, and is cut.
func (o *Observer) urlOf(u *url.URL) []attribute.KeyValue {
	if u == nil {
		return nil
	}
	if u.Host == "" {
		return []attribute.KeyValue{semconv.URLFull(protocols.Redact(u))}
	}
	c := *u
	c.User, c.Fragment, c.RawFragment = nil, "", ""
	full := o.config.Redaction.URL(c.String())
	if u.User != nil {
		full = strings.Replace(full, "://", "://REDACTED:REDACTED@", 1) // as the conventions say
	}
	attributes := []attribute.KeyValue{semconv.URLFull(full), semconv.ServerAddress(u.Hostname())}
	if port := portOf(u); port != 0 {
		attributes = append(attributes, semconv.ServerPort(port))
	}

	return attributes
}

func portOf(u *url.URL) int {
	if port, err := strconv.Atoi(u.Port()); err == nil {
		return port
	}
	switch strings.ToLower(u.Scheme) {
	case "http", "ws":
		return 80
	case "https", "wss":
		return 443
	default:
		return 0
	}
}

// known is a method that the conventions know, as a span's name; "HTTP" is any other.
func known(method string) string {
	if attributes := methodOf(method); len(attributes) > 1 {
		return "HTTP"
	}

	return method
}

// methodOf are the attributes of a method. The conventions know few, so that servers
// are not made to count what clients invent.
func methodOf(method string) []attribute.KeyValue {
	switch method {
	case "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY":
		return []attribute.KeyValue{semconv.HTTPRequestMethodKey.String(method)}
	default:
		return []attribute.KeyValue{semconv.HTTPRequestMethodOther, semconv.HTTPRequestMethodOriginal(method)}
	}
}

// factsOf is what a span says of a transaction once it is done.
func factsOf(t *urlsession.TransactionMetrics) []attribute.KeyValue {
	facts := append(protocolOf(t), outcomeOf(t)...)
	if t.RemoteAddr != nil {
		if host, port, err := net.SplitHostPort(t.RemoteAddr.String()); err == nil {
			facts = append(facts, semconv.NetworkPeerAddress(host))
			if n, err := strconv.Atoi(port); err == nil {
				facts = append(facts, semconv.NetworkPeerPort(n))
			}
		}
	}
	if version, found := strings.CutPrefix(t.TLS(), "TLS "); found {
		facts = append(facts, semconv.TLSProtocolVersion(version))
	}
	if n := t.BodyBytesSent; n > 0 {
		facts = append(facts, semconv.HTTPRequestBodySize(int(n)))
	}
	if t.Response != nil && t.BodyBytesReceived > 0 {
		facts = append(facts, semconv.HTTPResponseBodySize(int(t.BodyBytesReceived)))
	}
	facts = append(facts, attribute.Bool("urlkit.reused_connection", t.ReusedConnection), attribute.String("urlkit.fetch_type", fetchType(t)))
	if t.Cache != "" {
		facts = append(facts, attribute.String("urlkit.cache", t.Cache))
	}
	if by := t.DomainResolutionProtocol.String(); by != "" {
		facts = append(facts, attribute.String("urlkit.domain_resolution_protocol", by))
	}
	if t.Cellular {
		facts = append(facts, semconv.NetworkConnectionTypeCell)
	}
	if t.ProxyConnection {
		facts = append(facts, attribute.Bool("urlkit.proxy_connection", true))
	}
	if why := t.Retry.String(); why != "" {
		facts = append(facts, attribute.String("urlkit.retry_reason", why))
	}

	return facts
}

// fetchType says where a response came from.
func fetchType(t *urlsession.TransactionMetrics) string {
	switch t.ResourceFetchType {
	case urlsession.FetchNetworkLoad:
		return "network"
	case urlsession.FetchLocalCache:
		return "cache"
	default:
		return "unknown"
	}
}

// protocolOf is the protocol that was spoken: an ALPN name as the conventions split it.
func protocolOf(t *urlsession.TransactionMetrics) []attribute.KeyValue {
	switch name := t.NetworkProtocolName; name {
	case "":
		return nil
	case "h2":
		return []attribute.KeyValue{semconv.NetworkProtocolName("http"), semconv.NetworkProtocolVersion("2")}
	case "h3":
		return []attribute.KeyValue{semconv.NetworkProtocolName("http"), semconv.NetworkProtocolVersion("3")}
	default:
		name, version, found := strings.Cut(name, "/")
		if !found {
			return []attribute.KeyValue{semconv.NetworkProtocolName(name)}
		}

		return []attribute.KeyValue{semconv.NetworkProtocolName(name), semconv.NetworkProtocolVersion(version)}
	}
}

// outcomeOf is the status, and what counts as an error.
func outcomeOf(t *urlsession.TransactionMetrics) []attribute.KeyValue {
	var outcome []attribute.KeyValue
	status := 0
	if t.Response != nil {
		status = t.Response.StatusCode
	}
	if status != 0 {
		outcome = append(outcome, semconv.HTTPResponseStatusCode(status))
	}
	switch {
	case t.Err != nil:
		outcome = append(outcome, errorType(t.Err))
	case status >= 400:
		outcome = append(outcome, semconv.ErrorTypeKey.String(strconv.Itoa(status)))
	}

	return outcome
}
