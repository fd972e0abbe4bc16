package engine_test

import (
	"context"
	"crypto/tls"
	"net"
	"testing"

	"github.com/urlkit/urlkit/internal/engine"
	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/protocols"
)

var (
	handshake = []byte{0xc0, 0, 0, 0, 1, 8, 1, 2, 3, 4, 5, 6, 7, 8}
	version2  = []byte{0xd0, 0x6b, 0x33, 0x43, 0xcf, 0}
	unknown   = []byte{0xc0, 0xba, 0xba, 0xba, 0xba, 0}
	data      = []byte{0x40, 1, 2, 3, 4, 5}
	text      = []byte("GET / HTTP/1.1\r\n")
	noFixed   = []byte{0x80, 0, 0, 0, 1, 0}
	short     = []byte{0xc0}
)

var datagrams = []struct {
	name    string
	packet  []byte
	before  bool // it may go out before the handshake
	refused bool // and never
}{
	{"a handshake", handshake, true, false},
	{"a handshake of version 2", version2, true, false},
	{"an unknown version", unknown, false, true},
	{"data", data, false, false},
	{"text whose first byte looks like data", text, false, false},
	{"no fixed bit", noFixed, false, true},
	{"too short", short, false, true},
}

// Under a scheme that is encrypted only QUIC may be sent, and data only once a TLS
// session of the Client's making was verified, whichever of the two ways out a
// packet takes.
func TestDatagramsOfAnEncryptedScheme(t *testing.T) {
	leak.Check(t)
	leak.CheckFiles(t)
	ca := newAuthority(t, "root")
	server := &tls.Config{Certificates: []tls.Certificate{ca.leaf(t, nil, "public.example")}}
	for _, direct := range []bool{false, true} {
		e := open(t, engine.Config{Dialer: &to{addr: "127.0.0.1:9"}, TLS: &tls.Config{RootCAs: ca.pool()}},
			scheme("custom", protocols.Encrypted, func(ctx context.Context, c protocols.Client, req *protocols.Request) (*protocols.Response, error) {
				conn, peer, err := c.DialPacket(ctx, req.HostPort())
				if err != nil {
					return nil, err
				}
				defer conn.Close()
				send := func(p []byte) error {
					_, err := conn.WriteTo(p, peer)

					return err
				}
				if direct {
					send = sendsMessages(t, conn, peer)
				}
				for _, secured := range []bool{false, true} {
					if secured {
						ours, theirs := net.Pipe()
						go echoes(tls.Server(theirs, server))
						if _, err := say(tls.Client(ours, c.TLSConfig(ctx, "public.example")), "x"); err != nil {
							t.Error(err)
						}
						_ = ours.Close()
					}
					for _, step := range datagrams {
						err := send(step.packet)
						if want := step.refused || !step.before && !secured; (err != nil) != want {
							t.Errorf("%s, after the handshake: %v: %v", step.name, secured, err)
						}
					}
				}

				return reply(0, ""), nil
			}))
		if _, _, err := fetch(e, request(t, "GET", "custom://public.example:9/"), nil); err != nil {
			t.Fatal(err)
		}
	}
}

// sendsMessages is the way out that QUIC takes where it can.
func sendsMessages(t *testing.T, conn net.PacketConn, peer net.Addr) func([]byte) error {
	t.Helper()
	messages, ok := conn.(interface {
		WriteMsgUDP(b, oob []byte, addr *net.UDPAddr) (n, oobn int, err error)
		net.Conn
	})
	if !ok {
		t.Fatal("the socket does not offer what QUIC makes use of")
	}
	if _, err := messages.Write([]byte("x")); err == nil {
		t.Error("a socket without a peer was written to")
	}
	if _, err := messages.Read(make([]byte, 1)); err == nil {
		t.Error("a socket without a peer was read from")
	}

	return func(p []byte) error {
		_, _, err := messages.WriteMsgUDP(p, nil, peer.(*net.UDPAddr))

		return err
	}
}
