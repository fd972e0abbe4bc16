package engine_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/urlkit/urlkit/internal/engine"
	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/protocols"
)

// dialling is a protocol that talks over one connection and makes what it hears
// its body.
func dialling(talk func(ctx context.Context, c protocols.Client, conn net.Conn) (string, error)) loading {
	return func(ctx context.Context, c protocols.Client, req *protocols.Request) (*protocols.Response, error) {
		conn, err := c.Dial(ctx, "tcp", req.HostPort())
		if err != nil {
			return nil, err
		}
		defer func() { _ = conn.Close() }()
		heard, err := talk(ctx, c, conn)
		if err != nil {
			return nil, err
		}

		return reply(0, heard), nil
	}
}

func say(conn net.Conn, text string) (string, error) {
	if _, err := conn.Write([]byte(text)); err != nil {
		return "", err
	}
	buf := make([]byte, len(text))
	_, err := io.ReadFull(conn, buf)

	return string(buf), err
}

type refusedTest struct {
	name     string
	security protocols.Security
	talk     func(ctx context.Context, c protocols.Client, conn net.Conn) (string, error)
	text     string
	received string
}

// What a false declaration does, and that nothing of it reaches the peer.
func TestClearTextIsRefused(t *testing.T) {
	leak.Check(t)
	tests := []refusedTest{
		{"clear text", protocols.Encrypted, func(_ context.Context, _ protocols.Client, conn net.Conn) (string, error) {
			return say(conn, "GET / HTTP/1.0\r\n\r\n")
		}, "bytes in clear text", ""},
		{"clear text that begins like a record", protocols.Encrypted, func(_ context.Context, _ protocols.Client, conn net.Conn) (string, error) {
			return say(conn, "\x16secret")
		}, "no TLS record", ""},
		{"a record too long", protocols.Encrypted, func(_ context.Context, _ protocols.Client, conn net.Conn) (string, error) {
			return say(conn, "\x16\x03\x01\xff\xffsecret")
		}, "no TLS record", ""},
		{"clear text after a record", protocols.Encrypted, func(_ context.Context, _ protocols.Client, conn net.Conn) (string, error) {
			return say(conn, "\x16\x03\x01\x00\x01xsecret")
		}, "no TLS record", ""},
		{"application data without a handshake", protocols.Encrypted, func(_ context.Context, _ protocols.Client, conn net.Conn) (string, error) {
			if _, err := conn.Write([]byte("\x16\x03\x01\x00\x01x")); err != nil {
				return "", err
			}

			return say(conn, "\x17\x03\x03\x00\x06secret")
		}, "that Client.TLSConfig did not make", "\x16\x03\x01\x00\x01x"},
		{"in spite of the refusal", protocols.Encrypted, func(_ context.Context, _ protocols.Client, conn net.Conn) (string, error) {
			_, _ = conn.Write([]byte("one"))

			return say(conn, "\x16\x03\x01\x00\x01x")
		}, "after a refusal", ""},
		{"a preamble too long", protocols.Upgrades, func(_ context.Context, _ protocols.Client, conn net.Conn) (string, error) {
			for range 64 {
				if _, err := say(conn, strings.Repeat("x", 1<<10)); err != nil {
					return "", err
				}
			}

			return say(conn, "secret")
		}, "more than 64 KiB", strings.Repeat("x", 64<<10)},
		{"no TLS by the end of Load", protocols.Upgrades, func(_ context.Context, _ protocols.Client, conn net.Conn) (string, error) {
			return say(conn, "hello")
		}, "without TLS from Client.TLSConfig", "hello"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			checkRefused(t, tt)
		})
	}
}

func checkRefused(t *testing.T, tt refusedTest) {
	t.Helper()
	peer := serve(t, echoes)
	dialer := &to{addr: peer.addr}
	e := open(t, engine.Config{Dialer: dialer}, scheme("custom", tt.security, dialling(tt.talk)))
	_, _, err := fetch(e, request(t, "GET", "custom://public.example:1/"), nil)
	got := failure(t, err, protocols.AppTransportSecurityRequiresSecureConnection)
	if !contains(got.Error(), tt.text) {
		t.Errorf("error %q does not say %q", got, tt.text)
	}
	if got := peer.received(dialer); got != tt.received {
		t.Errorf("the peer received %d bytes %.20q", len(got), got)
	}
}

// A peer that speaks first in clear text is not heard by an Encrypted scheme.
func TestClearTextIsNotRead(t *testing.T) {
	leak.Check(t)
	peer := serve(t, func(conn net.Conn) {
		_, _ = conn.Write([]byte("welcome"))
		_, _ = io.Copy(io.Discard, conn)
	})
	e := open(t, engine.Config{Dialer: &to{addr: peer.addr}}, scheme("custom", protocols.Encrypted, dialling(
		func(_ context.Context, _ protocols.Client, conn net.Conn) (string, error) {
			buf := make([]byte, 7)
			_, err := io.ReadFull(conn, buf)

			return string(buf), err
		})))
	_, _, err := fetch(e, request(t, "GET", "custom://public.example:1/"), nil)
	if got := failure(t, err, protocols.AppTransportSecurityRequiresSecureConnection); !contains(got.Error(), "reads bytes in clear text") {
		t.Error(got)
	}
}

// A TLS session of the protocol's own making is refused before application data,
// also beside one that is right.
func TestOwnTLSConfigIsRefused(t *testing.T) {
	leak.Check(t)
	ca := newAuthority(t, "root")
	const secret = "the secret request"
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, beside := range []bool{false, true} {
			var heard []string
			var failed []error
			peer := serve(t, func(conn net.Conn) {
				s := tls.Server(conn, &tls.Config{
					Certificates: []tls.Certificate{ca.leaf(t, nil, "public.example")}, MaxVersion: version, MinVersion: tls.VersionTLS12,
				})
				echoes(s)
			})
			load := func(ctx context.Context, c protocols.Client, req *protocols.Request) (*protocols.Response, error) {
				for _, right := range []bool{beside, false} {
					conn, err := c.Dial(ctx, "tcp", req.HostPort())
					if err != nil {
						return nil, err
					}
					config := &tls.Config{InsecureSkipVerify: true} // the mistake under test
					if right {
						config = c.TLSConfig(ctx, "public.example")
					}
					text, err := say(tls.Client(conn, config), secret)
					heard, failed = append(heard, text), append(failed, err)
				}

				if failed[1] != nil {
					return nil, failed[1]
				}

				return reply(0, "x"), nil
			}
			e := open(t, engine.Config{Dialer: &to{addr: peer.addr}, TLS: &tls.Config{RootCAs: ca.pool()}}, scheme("custom", protocols.Encrypted, load))
			_, _, err := fetch(e, request(t, "GET", "custom://public.example:1/"), nil)
			got := failure(t, err, protocols.AppTransportSecurityRequiresSecureConnection)
			if !contains(got.Error(), "Client.TLSConfig did not make") || heard[1] != "" {
				t.Errorf("%s: %v, heard %q", tls.VersionName(version), got, heard)
			}
			if beside && (failed[0] != nil || heard[0] != secret) {
				t.Errorf("%s: the right one gave %q, %v", tls.VersionName(version), heard[0], failed[0])
			}
		}
	}
}

// Of two connections of a scheme that upgrades, both have to.
func TestUpgradesOneOfTwo(t *testing.T) {
	leak.Check(t)
	ca := newAuthority(t, "root")
	server := &tls.Config{Certificates: []tls.Certificate{ca.leaf(t, nil, "public.example")}}
	peer := serve(t, func(conn net.Conn) {
		first := make([]byte, 5)
		if _, err := io.ReadFull(conn, first); err != nil {
			return
		}
		if _, err := conn.Write(first); err != nil || string(first) == "data:" {
			return
		}
		echoes(tls.Server(conn, server))
	})
	load := func(ctx context.Context, c protocols.Client, req *protocols.Request) (*protocols.Response, error) {
		control, err := c.Dial(ctx, "tcp", req.HostPort())
		if err != nil {
			return nil, err
		}
		if _, err := say(control, "hello"); err != nil {
			return nil, err
		}
		if _, err := say(tls.Client(control, c.TLSConfig(ctx, "public.example")), "login"); err != nil {
			return nil, err
		}
		data, err := c.Dial(ctx, "tcp", req.HostPort())
		if err != nil {
			return nil, err
		}
		_, err = say(data, "data:")

		return &protocols.Response{ContentLength: -1, Body: data}, err
	}
	e := open(t, engine.Config{Dialer: &to{addr: peer.addr}, TLS: &tls.Config{RootCAs: ca.pool()}}, scheme("custom", protocols.Upgrades, load))
	_, _, err := fetch(e, request(t, "GET", "custom://public.example:1/"), nil)
	if err = errors.Unwrap(failure(t, err, protocols.AppTransportSecurityRequiresSecureConnection)); !contains(err.Error(), "without TLS") {
		t.Error(err)
	}
}
