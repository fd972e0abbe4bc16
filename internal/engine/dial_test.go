package engine_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"testing"

	"github.com/urlkit/urlkit/internal/engine"
	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/protocols"
)

func TestDialIsJudged(t *testing.T) {
	leak.Check(t)
	peer := serve(t, echoes)
	tests := []struct {
		name     string
		security protocols.Security
		url      string
		addr     string // "" is the request's own
		packet   bool
		code     protocols.Code // 0: it is allowed
	}{
		{"local scheme", protocols.Local, "custom:x", "127.0.0.1:1", false, protocols.AppTransportSecurityRequiresSecureConnection},
		{"local scheme, datagrams", protocols.Local, "custom:x", "127.0.0.1:1", true, protocols.AppTransportSecurityRequiresSecureConnection},
		{"clear text to a public host", protocols.Cleartext, "custom://public.example/", "", false, protocols.AppTransportSecurityRequiresSecureConnection},
		{"clear text to a local host", protocols.Cleartext, "custom://LOCALHOST/", "", false, 0},
		{"clear text to another, public host", protocols.Cleartext, "custom://localhost/", "public.example:1", false, protocols.AppTransportSecurityRequiresSecureConnection},
		{"clear text to another, public address", protocols.Cleartext, "custom://localhost/", "[2001:db8::1]:1", false, protocols.AppTransportSecurityRequiresSecureConnection},
		{"clear text to another, local host", protocols.Cleartext, "custom://localhost/", "[::1]:1", false, 0},
		{"encrypted to another host", protocols.Encrypted, "custom://public.example/", "other.example:1", false, 0},
		{"no port", protocols.Cleartext, "custom://localhost/", "localhost", false, protocols.BadURL},
		{"datagrams in clear text, locally", protocols.Cleartext, "custom://localhost/", "", true, 0},
		{"datagrams in clear text, elsewhere", protocols.Cleartext, "custom://localhost/", "public.example:1", true, protocols.AppTransportSecurityRequiresSecureConnection},
		{"datagrams of an encrypted scheme", protocols.Encrypted, "custom://localhost/", "", true, 0},
		{"datagrams of one that upgrades", protocols.Upgrades, "custom://localhost/", "", true, protocols.AppTransportSecurityRequiresSecureConnection},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := &to{addr: peer.addr}
			custom := scheme("custom", tt.security, dialsOnce(tt.addr, tt.packet))
			custom.DefaultPort = 7
			_, _, err := fetch(open(t, engine.Config{Dialer: d}, custom), request(t, "GET", tt.url), nil)
			if tt.code == 0 {
				if err != nil || d.dialled() != 1 {
					t.Errorf("%v, dialled %q", err, d.asked)
				}

				return
			}
			if failure(t, err, tt.code); d.dialled() != 0 {
				t.Errorf("dialled %q all the same", d.asked)
			}
		})
	}
}

// dialsOnce dials addr, or where that is "" what the request names.
func dialsOnce(addr string, packet bool) loading {
	return func(ctx context.Context, c protocols.Client, req *protocols.Request) (*protocols.Response, error) {
		target := addr
		if target == "" {
			target = req.HostPort()
		}
		var conn io.Closer
		var err error
		if packet {
			conn, _, err = c.DialPacket(ctx, target)
		} else {
			conn, err = c.Dial(ctx, "tcp", target)
		}
		if err != nil {
			return nil, err
		}

		return reply(0, ""), conn.Close()
	}
}

// A claimer's Security counts only where it says Local: then it does not dial.
func TestClaimerCannotLoosenSecurity(t *testing.T) {
	leak.Check(t)
	peer := serve(t, echoes)
	tests := []struct {
		url      string
		security protocols.Security
		text     string
	}{
		{"https://public.example/", protocols.Cleartext, "bytes in clear text"},
		{"http://public.example/", protocols.Encrypted, "use https"},
		{"unknown://public.example/", protocols.Encrypted, "bytes in clear text"},
		{"https://public.example/", protocols.Local, "declares itself local"},
		{"http://public.example/", protocols.Local, "declares itself local"},
	}
	dials := 0
	for _, tt := range tests {
		dialer := &to{addr: peer.addr}
		e := open(t, engine.Config{Dialer: dialer},
			claimer(tt.security, dialling(func(_ context.Context, _ protocols.Client, conn net.Conn) (string, error) { return say(conn, "secret") })),
			scheme("https", protocols.Encrypted, stalls), scheme("http", protocols.Cleartext, stalls))
		_, _, err := fetch(e, request(t, "GET", tt.url), nil)
		got := failure(t, err, protocols.AppTransportSecurityRequiresSecureConnection)
		if !contains(got.Error(), tt.text) || (dialer.dialled() > 0) != (tt.text == "bytes in clear text") {
			t.Errorf("%s by a claimer that says %s: %v, dialled %q", tt.url, tt.security, got, dialer.asked)
		}
		dials += dialer.dialled()
		if received := peer.received(&to{asked: make([]string, dials)}); received != "" {
			t.Errorf("%s by a claimer that says %s: received %q", tt.url, tt.security, received)
		}
	}
}

// The Client's methods want the context of a load of this session.
func TestForeignContext(t *testing.T) {
	leak.Check(t)
	ca := newAuthority(t, "root")
	server := &tls.Config{Certificates: []tls.Certificate{ca.leaf(t, nil, "public.example")}}
	peer := serve(t, func(conn net.Conn) { echoes(tls.Server(conn, server)) })
	config := engine.Config{Dialer: &to{addr: peer.addr}, TLS: &tls.Config{RootCAs: ca.pool()}}
	var client protocols.Client
	e := open(t, config, scheme("custom", protocols.Encrypted, func(_ context.Context, c protocols.Client, _ *protocols.Request) (*protocols.Response, error) {
		client = c

		return reply(0, ""), nil
	}))
	if _, _, err := fetch(e, request(t, "GET", "custom://public.example/"), nil); err != nil {
		t.Fatal(err)
	}
	try := func(ctx context.Context, conn net.Conn) {
		t.Helper()
		_, loading := client.Load(ctx, request(t, "GET", "custom://public.example/"))
		_, dialling := client.Dial(ctx, "tcp", "public.example:1")
		_, _, packets := client.DialPacket(ctx, "public.example:1")
		_, asking := client.Authenticate(ctx, &protocols.Challenge{})
		client.Inform(ctx, reply(103, ""))
		for what, err := range map[string]error{"Load": loading, "Dial": dialling, "DialPacket": packets, "Authenticate": asking} {
			if err == nil || !contains(err.Error(), "not the one given to Load") {
				t.Errorf("%s: %v", what, err)
			}
		}
		tlsConfig := client.TLSConfig(ctx, "public.example")
		tlsConfig.RootCAs = ca.pool()
		if err := tls.Client(conn, tlsConfig).Handshake(); err == nil || !contains(err.Error(), "not the one given to Load") {
			t.Errorf("handshake: %v", err)
		}
	}
	other := open(t, config, scheme("custom", protocols.Encrypted, func(ctx context.Context, c protocols.Client, req *protocols.Request) (*protocols.Response, error) {
		for _, foreign := range []context.Context{ctx, context.Background()} {
			conn, err := c.Dial(ctx, "tcp", req.HostPort())
			if err != nil {
				return nil, err
			}
			try(foreign, conn)
			_ = conn.Close()
		}

		return reply(0, ""), nil
	}))
	if _, _, err := fetch(other, request(t, "GET", "custom://public.example:1/"), nil); err != nil {
		t.Fatal(err)
	}
}

// What Dial gave is closed when its context ends: that of the load, or one of the
// protocol's own. A pool's context outlives the load.
func TestConnectionsEndWithTheirContext(t *testing.T) {
	leak.Check(t)
	ended := make(chan error, 4)
	peer := serve(t, func(conn net.Conn) {
		_, err := io.Copy(io.Discard, conn)
		ended <- err
	})
	var kept net.Conn
	var stop context.CancelFunc
	e := open(t, engine.Config{Dialer: &to{addr: peer.addr}}, scheme("custom", protocols.Cleartext,
		func(ctx context.Context, c protocols.Client, req *protocols.Request) (*protocols.Response, error) {
			if _, err := c.Dial(ctx, "tcp", req.HostPort()); err != nil { // forgotten
				return nil, err
			}
			var pool context.Context
			pool, stop = context.WithCancel(context.WithoutCancel(ctx))
			var err error
			if kept, err = c.Dial(pool, "tcp", req.HostPort()); err != nil {
				return nil, err
			}

			return reply(0, "done"), nil
		}))
	if _, _, err := fetch(e, request(t, "GET", "custom://localhost:1/"), nil); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("the forgotten connection: %v", err)
	}
	if _, err := kept.Write([]byte("alive")); err != nil {
		t.Errorf("the kept connection ended with its load: %v", err)
	}
	stop()
	<-ended
	if _, err := kept.Write([]byte("dead")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("writing to a connection whose context ended: %v", err)
	}
	if err := kept.Close(); err != nil {
		t.Errorf("closing it again: %v", err)
	}
}

// A datagram socket ends with its load too.
func TestPacketConnectionsEndWithTheirLoad(t *testing.T) {
	leak.Check(t)
	leak.CheckFiles(t)
	var conn net.PacketConn
	e := open(t, engine.Config{Dialer: &to{addr: "127.0.0.1:9"}}, scheme("custom", protocols.Cleartext,
		func(ctx context.Context, c protocols.Client, req *protocols.Request) (*protocols.Response, error) {
			var peer net.Addr
			var err error
			if conn, peer, err = c.DialPacket(ctx, req.HostPort()); err != nil {
				return nil, err
			}
			if peer.String() != "127.0.0.1:9" {
				t.Errorf("the peer is %v", peer)
			}

			return reply(0, "done"), nil
		}))
	if _, _, err := fetch(e, request(t, "GET", "custom://localhost:9/"), nil); err != nil {
		t.Fatal(err)
	}
	if _, _, err := conn.ReadFrom(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("reading after the load: %v", err)
	}
}
