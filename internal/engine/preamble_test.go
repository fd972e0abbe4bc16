package engine_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"testing"

	"github.com/urlkit/urlkit/internal/engine"
	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/protocols"
)

// Nothing that Dial gives leads around the check of what is written; its facts
// are found all the same, through TLS too.
func TestConnectionHasNoWayAround(t *testing.T) {
	leak.Check(t)
	ca := newAuthority(t, "root")
	server := &tls.Config{Certificates: []tls.Certificate{ca.leaf(t, nil, "public.example")}}
	peer := serve(t, func(conn net.Conn) { echoes(tls.Server(conn, server)) })
	for _, security := range []protocols.Security{protocols.Encrypted, protocols.Upgrades} {
		e := open(t, engine.Config{Dialer: &to{addr: peer.addr}, TLS: &tls.Config{RootCAs: ca.pool()}}, scheme("custom", security, dialling(
			func(ctx context.Context, c protocols.Client, conn net.Conn) (string, error) {
				if _, ok := conn.(interface{ Unwrap() net.Conn }); ok {
					t.Errorf("%v: the connection has Unwrap", security)
				}
				if _, ok := conn.(interface{ NetConn() net.Conn }); ok {
					t.Errorf("%v: the connection has NetConn", security)
				}
				secure := tls.Client(conn, c.TLSConfig(ctx, "public.example"))
				for _, c := range []net.Conn{conn, secure} {
					if info := protocols.InfoOf(c); info == nil || info.Remote.String() != peer.addr || info.Local.String() != conn.LocalAddr().String() {
						t.Errorf("%v: InfoOf(%T) gives %+v", security, c, info)
					}
				}

				return say(secure, "hello")
			})))
		if heard, _, err := fetch(e, request(t, "GET", "custom://public.example:1/"), nil); err != nil || heard != "hello" {
			t.Errorf("%v: %q, %v", security, heard, err)
		}
	}
}

// late is a body that dials at its first Read.
type late struct {
	dial func() (net.Conn, error)
	conn net.Conn
}

func (l *late) Read(p []byte) (int, error) {
	if l.conn == nil {
		var err error
		if l.conn, err = l.dial(); err != nil {
			return 0, err
		}
	}

	return l.conn.Read(p)
}

func (l *late) Close() error {
	if l.conn != nil {
		return l.conn.Close()
	}

	return nil
}

// A scheme that upgrades has its preamble while Load runs: a connection that its
// body makes is inside TLS, or is refused.
func TestNoPreambleInTheBody(t *testing.T) {
	leak.Check(t)
	ca := newAuthority(t, "root")
	server := &tls.Config{Certificates: []tls.Certificate{ca.leaf(t, nil, "public.example")}}
	inTLS := func(conn net.Conn) {
		s := tls.Server(conn, server)
		_, _ = s.Write([]byte("welcome"))
		_ = s.Close()
	}
	inClear := func(conn net.Conn) { _, _ = conn.Write([]byte("welcome")) }
	tests := map[string]struct {
		peer func(net.Conn)
		talk func(ctx context.Context, c protocols.Client, conn net.Conn) (net.Conn, error)
		text string // of the refusal; "": it is none
	}{
		"TLS": {inTLS, func(ctx context.Context, c protocols.Client, conn net.Conn) (net.Conn, error) {
			return tls.Client(conn, c.TLSConfig(ctx, "public.example")), nil
		}, ""},
		"writes clear text": {echoes, func(_ context.Context, _ protocols.Client, conn net.Conn) (net.Conn, error) {
			_, err := say(conn, "secret")

			return conn, err
		}, "writes bytes in clear text after Load has returned"},
		"reads clear text": {inClear, func(_ context.Context, _ protocols.Client, conn net.Conn) (net.Conn, error) { return conn, nil }, "reads bytes in clear text"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			peer := serve(t, tt.peer)
			dialer := &to{addr: peer.addr}
			load := func(ctx context.Context, c protocols.Client, req *protocols.Request) (*protocols.Response, error) {
				return &protocols.Response{ContentLength: -1, Body: &late{dial: func() (net.Conn, error) {
					conn, err := c.Dial(ctx, "tcp", req.HostPort())
					if err != nil {
						return nil, err
					}
					talking, err := tt.talk(ctx, c, conn)
					if err != nil {
						_ = conn.Close()
					}

					return talking, err
				}}}, nil
			}
			e := open(t, engine.Config{Dialer: dialer, TLS: &tls.Config{RootCAs: ca.pool()}}, scheme("custom", protocols.Upgrades, load))
			checkLate(t, e, tt.text)
			if tt.text != "" && peer.received(dialer) != "" {
				t.Errorf("the peer received %q", peer.received(dialer))
			}
		})
	}
}

func checkLate(t *testing.T, e *engine.Engine, refusal string) {
	t.Helper()
	resp, err := e.Load(t.Context(), request(t, "GET", "custom://public.example:1/"), nil)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if refusal == "" {
		if err != nil || string(data) != "welcome" {
			t.Errorf("%q, %v", data, err)
		}

		return
	}
	got := failure(t, err, protocols.AppTransportSecurityRequiresSecureConnection)
	if !contains(got.Error(), refusal) || len(data) != 0 {
		t.Errorf("%q, %v", data, got)
	}
}
