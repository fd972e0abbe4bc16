//go:build !urlkit_nohttp3

package http

import (
	"bytes"
	"crypto/tls"
	"io"
	"log"
	nethttp "net/http"
	"strings"
	"testing"

	"github.com/quic-go/quic-go"

	"github.com/urlkit/urlkit/protocols"
)

func TestHTTP3(t *testing.T) {
	var logged bytes.Buffer
	log.SetOutput(&logged)
	defer log.SetOutput(io.Discard)
	l, client, server := start3(t, "", Config{}, func(w nethttp.ResponseWriter, r *nethttp.Request) {
		w.Header().Set("Trailer", "X-End")
		body, _ := io.ReadAll(r.Body)
		_, _ = io.WriteString(w, r.Method+" "+r.Proto+" "+r.Host+" "+string(body))
		w.Header().Set("X-End", "yes")
	})
	host := strings.TrimPrefix(server.URL, "https://")
	req := request3(t, "POST", server.URL+"/", &protocols.Body{Bytes: []byte("hello"), Length: 5})
	req.AssumesHTTP3Capable, req.Trace = true, &protocols.Trace{}
	for i := range 3 {
		resp, body, err := fetch(t.Context(), l, req)
		if err != nil {
			t.Fatal(err)
		}
		if want := "POST HTTP/3.0 " + host + " hello"; body != want || resp.Proto != "h3" || resp.Reused != (i > 0) {
			t.Errorf("%q by %s, reused: %v", body, resp.Proto, resp.Reused)
		}
		if resp.Trailer.Get("X-End") != "yes" {
			t.Errorf("trailer %v", resp.Trailer)
		}
		c := resp.Conn
		if c == nil || c.TLS == nil || !c.TLS.HandshakeComplete || c.Remote.String() != host || c.Local == nil {
			t.Errorf("facts: %+v", c)
		}
	}
	for _, e := range []protocols.Event{
		protocols.SecureConnectionStart, protocols.SecureConnectionEnd, protocols.ConnectEnd, protocols.RequestStart, protocols.RequestEnd,
		protocols.ResponseStart, protocols.ResponseEnd,
	} {
		if req.Trace.Time(e).IsZero() {
			t.Errorf("event %d was not marked", e)
		}
	}
	if n := client.packets.Load(); n != 1 {
		t.Errorf("%d sockets", n)
	}
	if logged.Len() > 0 {
		t.Errorf("the app's log got %q", logged.String())
	}
	for _, h := range l.pool.hosts {
		state := h.shared.wire.(*codec3).quic.ConnectionState()
		if state.GSO != gso(t, host) {
			t.Error("the socket is not used as well as the system allows")
		}
	}
}

// gso tells whether quic-go lets the system cut packets, where it is given a socket as
// it is.
func gso(t *testing.T, addr string) bool {
	t.Helper()
	conn, peer, err := new(testClient).DialPacket(t.Context(), addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	transport := &quic.Transport{Conn: conn}
	defer transport.Close()
	c, err := transport.Dial(t.Context(), peer, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h3"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseWithError(0, "")

	return c.ConnectionState().GSO
}
