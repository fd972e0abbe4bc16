package engine_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/urlkit/urlkit/internal/engine"
	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/protocols"
)

// crumbling writes in pieces of size bytes.
type crumbling struct {
	net.Conn
	size int
}

func (c crumbling) Write(p []byte) (int, error) {
	written := 0
	for len(p) > 0 {
		n, err := c.Conn.Write(p[:min(c.size, len(p))])
		written += n
		if err != nil {
			return written, err
		}
		p = p[n:]
	}

	return written, nil
}

// hoarding holds back a change of cipher specification, so that it goes out in one
// write with the record behind it.
type hoarding struct {
	net.Conn
	held []byte
}

func (c *hoarding) Write(p []byte) (int, error) {
	if len(c.held) == 0 && len(p) == 6 && p[0] == 20 {
		c.held = append(c.held, p...)

		return len(p), nil
	}
	_, err := c.Conn.Write(append(c.held, p...))
	c.held = nil

	return len(p), err
}

func TestProperTLSPasses(t *testing.T) {
	leak.Check(t)
	ca := newAuthority(t, "root")
	cert := ca.leaf(t, nil, "public.example", "127.0.0.1")
	text := strings.Repeat("0123456789", 4000) // several records
	wraps := map[string]func(net.Conn) net.Conn{
		"whole":           func(c net.Conn) net.Conn { return c },
		"1-byte writes":   func(c net.Conn) net.Conn { return crumbling{c, 1} },
		"7-byte writes":   func(c net.Conn) net.Conn { return crumbling{c, 7} },
		"records as one":  func(c net.Conn) net.Conn { return &hoarding{Conn: c} },
		"1000-byte split": func(c net.Conn) net.Conn { return crumbling{c, 1000} },
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		server := &tls.Config{Certificates: []tls.Certificate{cert}, MaxVersion: version}
		peer := serve(t, func(conn net.Conn) { echoes(tls.Server(conn, server)) })
		for _, host := range []string{"public.example", "127.0.0.1"} {
			var wrap func(net.Conn) net.Conn
			var states []tls.ConnectionState
			e := open(t, engine.Config{Dialer: &to{addr: peer.addr}, TLS: &tls.Config{RootCAs: ca.pool()}},
				scheme("custom", protocols.Encrypted, dialling(func(ctx context.Context, c protocols.Client, conn net.Conn) (string, error) {
					secure := tls.Client(wrap(conn), c.TLSConfig(ctx, host))
					heard, err := say(secure, text)
					states = append(states, secure.ConnectionState())

					return heard, err
				})))
			for name, w := range wraps {
				wrap = w
				heard, _, err := fetch(e, request(t, "GET", "custom://"+host+":1/"), nil)
				if err != nil || heard != text {
					t.Errorf("%s to %s, %s: %d bytes, %v", tls.VersionName(version), host, name, len(heard), err)
				}
			}
			if last := states[len(states)-1]; !last.DidResume || last.Version != version {
				t.Errorf("%s to %s: the last connection resumed: %v", tls.VersionName(version), host, last.DidResume)
			}
		}
	}
}

func TestUpgradesWithAPreamble(t *testing.T) {
	leak.Check(t)
	ca := newAuthority(t, "root")
	server := &tls.Config{Certificates: []tls.Certificate{ca.leaf(t, nil, "public.example")}}
	peer := serve(t, func(conn net.Conn) {
		if _, err := io.ReadFull(conn, make([]byte, 8)); err != nil {
			return
		}
		if _, err := conn.Write([]byte("go ahead")); err == nil {
			echoes(tls.Server(conn, server))
		}
	})
	dialer := &to{addr: peer.addr}
	e := open(t, engine.Config{Dialer: dialer, TLS: &tls.Config{RootCAs: ca.pool()}},
		scheme("custom", protocols.Upgrades, func(ctx context.Context, c protocols.Client, req *protocols.Request) (*protocols.Response, error) {
			conn, err := c.Dial(ctx, "tcp", req.HostPort())
			if err != nil {
				return nil, err
			}
			if _, err := say(conn, "STARTTLS"); err != nil {
				return nil, err
			}
			secure := tls.Client(conn, c.TLSConfig(ctx, "public.example"))
			heard, err := say(secure, "in the tunnel")
			if err != nil {
				return nil, err
			}
			info := protocols.InfoOf(secure)
			if info.TLS == nil || !info.TLS.HandshakeComplete || info.Remote.String() != peer.addr {
				t.Errorf("facts of the connection: %+v", info)
			}

			return &protocols.Response{ContentLength: int64(len(heard)), Body: &content{Reader: strings.NewReader(heard)}}, nil
		}))
	heard, _, err := fetch(e, request(t, "GET", "custom://public.example:1/"), nil)
	if err != nil || heard != "in the tunnel" {
		t.Errorf("%q, %v", heard, err)
	}
	if received := peer.received(dialer); !strings.HasPrefix(received, "STARTTLS\x16\x03") || strings.Contains(received, "tunnel") {
		t.Errorf("the peer received %.20q", received)
	}
}

// The configuration is the engine's also where the app's has a check of its own.
func TestAppVerificationRuns(t *testing.T) {
	leak.Check(t)
	ca := newAuthority(t, "root")
	server := &tls.Config{Certificates: []tls.Certificate{ca.leaf(t, nil, "public.example")}}
	peer := serve(t, func(conn net.Conn) { echoes(tls.Server(conn, server)) })
	base := &tls.Config{RootCAs: ca.pool(), VerifyConnection: func(tls.ConnectionState) error { return errWhy }}
	e := open(t, engine.Config{Dialer: &to{addr: peer.addr}, TLS: base},
		scheme("custom", protocols.Encrypted, dialling(func(ctx context.Context, c protocols.Client, conn net.Conn) (string, error) {
			return say(tls.Client(conn, c.TLSConfig(ctx, "[public.example]:443")), "x")
		})))
	_, _, err := fetch(e, request(t, "GET", "custom://public.example:1/"), nil)
	if err == nil || !contains(err.Error(), errWhy.Error()) {
		t.Errorf("error %v", err)
	}
	if base.ServerName != "" || base.ClientSessionCache != nil {
		t.Error("the app's configuration was changed")
	}
}
