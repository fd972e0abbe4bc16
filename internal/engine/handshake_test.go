package engine_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/urlkit/urlkit/ats"
	"github.com/urlkit/urlkit/internal/engine"
	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/protocols"
)

// selfSigned is a server's certificate that nobody else signed.
func selfSigned(t testing.TB, host string) tls.Certificate {
	t.Helper()
	key := newKey(t)
	template := newTemplate(host)
	template.Subject.CommonName = "self"
	c := sign(t, template, template, key.Public(), key)

	return tls.Certificate{Certificate: [][]byte{c.Raw}, PrivateKey: key, Leaf: c}
}

func TestHandshakeErrors(t *testing.T) {
	leak.Check(t)
	ca, stranger := newAuthority(t, "root"), newAuthority(t, "stranger")
	const host = "public.example"
	with := func(c tls.Certificate) *tls.Config { return &tls.Config{Certificates: []tls.Certificate{c}} }
	good := ca.leaf(t, nil, host)
	chain := stranger.leaf(t, nil, host)
	whole := chain
	whole.Certificate = append(append([][]byte{}, chain.Certificate...), stranger.cert.Raw)
	dated := func(from, until time.Duration) *tls.Config {
		return with(ca.leaf(t, func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Now().Add(from), time.Now().Add(until)
		}, host))
	}
	tests := []struct {
		name   string
		server *tls.Config // nil: it speaks no TLS
		code   protocols.Code
		as     any
	}{
		{"expired", dated(-48*time.Hour, -time.Hour), protocols.ServerCertificateHasBadDate, new(x509.CertificateInvalidError)},
		{"not yet valid", dated(time.Hour, 48*time.Hour), protocols.ServerCertificateNotYetValid, new(x509.CertificateInvalidError)},
		{"valid for too long", dated(-time.Hour, 1000*24*time.Hour), protocols.ServerCertificateUntrusted, new(*ats.TrustError)},
		{"another host", with(ca.leaf(t, nil, "other.example")), protocols.ServerCertificateUntrusted, new(x509.HostnameError)},
		{"an unknown root that is not sent", with(chain), protocols.ServerCertificateHasUnknownRoot, new(x509.UnknownAuthorityError)},
		{"an unknown root that is sent", with(whole), protocols.ServerCertificateUntrusted, new(x509.UnknownAuthorityError)},
		{"self-signed", with(selfSigned(t, host)), protocols.ServerCertificateUntrusted, new(x509.UnknownAuthorityError)},
		{
			"too old a version", &tls.Config{Certificates: []tls.Certificate{good}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11},
			protocols.SecureConnectionFailed, nil,
		},
		{"no common suite", &tls.Config{
			Certificates: []tls.Certificate{good}, MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA},
		}, protocols.SecureConnectionFailed, nil},
		{"no TLS at all", nil, protocols.SecureConnectionFailed, new(tls.RecordHeaderError)},
		{"a client certificate is required", &tls.Config{
			Certificates: []tls.Certificate{good}, ClientAuth: tls.RequireAnyClientCert,
		}, protocols.ClientCertificateRequired, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			peer := serve(t, func(conn net.Conn) {
				if tt.server == nil {
					_, _ = conn.Read(make([]byte, 1<<10))
					_, _ = conn.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))

					return
				}
				echoes(tls.Server(conn, tt.server))
			})
			checkHandshake(t, peer, engine.Config{TLS: &tls.Config{RootCAs: ca.pool()}}, tt.code, tt.as)
		})
	}
}

func checkHandshake(t *testing.T, peer *listener, config engine.Config, code protocols.Code, as any) {
	t.Helper()
	config.Dialer = &to{addr: peer.addr}
	e := open(t, config, scheme("custom", protocols.Encrypted, dialling(
		func(ctx context.Context, c protocols.Client, conn net.Conn) (string, error) {
			return say(tls.Client(conn, c.TLSConfig(ctx, "public.example")), "hello")
		})))
	_, _, err := fetch(e, request(t, "GET", "custom://public.example/"), nil)
	failure(t, err, code)
	if as != nil && !errors.As(err, as) {
		t.Errorf("%T is not found in %v", as, err)
	}
}

// A client certificate that the peer does not like is no fault of the peer's.
func TestClientCertificateIsRejected(t *testing.T) {
	leak.Check(t)
	ca, stranger := newAuthority(t, "root"), newAuthority(t, "stranger")
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		server := &tls.Config{
			Certificates: []tls.Certificate{ca.leaf(t, nil, "public.example")}, MaxVersion: version,
			ClientAuth: tls.RequireAnyClientCert, VerifyConnection: func(tls.ConnectionState) error { return errWhy },
		}
		peer := serve(t, func(conn net.Conn) { echoes(tls.Server(conn, server)) })
		checkHandshake(t, peer, engine.Config{TLS: &tls.Config{
			RootCAs: ca.pool(), Certificates: []tls.Certificate{stranger.leaf(t, nil, "client")},
		}}, protocols.ClientCertificateRejected, nil)
	}
}

// An arbitrary-loads key lifts the floor, and trust stays.
func TestFloorFollowsThePolicy(t *testing.T) {
	leak.Check(t)
	ca := newAuthority(t, "root")
	server := &tls.Config{
		Certificates: []tls.Certificate{ca.leaf(t, nil, "public.example")}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11,
	}
	peer := serve(t, func(conn net.Conn) { echoes(tls.Server(conn, server)) })
	policy := ats.Policy{ExceptionDomains: map[string]ats.Exception{"public.example": {MinimumTLSVersion: tls.VersionTLS10}}}
	e := open(t, engine.Config{Policy: policy, Dialer: &to{addr: peer.addr}, TLS: &tls.Config{RootCAs: ca.pool()}},
		scheme("custom", protocols.Encrypted, dialling(func(ctx context.Context, c protocols.Client, conn net.Conn) (string, error) {
			return say(tls.Client(conn, c.TLSConfig(ctx, "public.example")), "hello")
		})))
	heard, _, err := fetch(e, request(t, "GET", "custom://public.example/"), nil)
	if err != nil || heard != "hello" {
		t.Errorf("%q, %v", heard, err)
	}
	_, _, err = fetch(e, request(t, "GET", "custom://public.example/"), nil)
	if err != nil {
		t.Errorf("resumed: %v", err)
	}
}
