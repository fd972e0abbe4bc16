//go:build !urlkit_nohttp3

package urlsession_test

import (
	"bytes"
	"crypto/sha256"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/urlkit/urlkit/internal/http3server"
	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/urlsession"
)

// A download whose path over UDP dies in the middle is finished over TCP, if the app has
// allowed continuations. It needs no server but its own, and the time until QUIC takes
// the path for dead: ngtcp2 gives no ETag that could say the entity is the same.
func TestPeerContinuedOverTCP(t *testing.T) {
	if os.Getenv("URLKIT_PEERS") == "" {
		t.Skip("URLKIT_PEERS is not set: it takes 20 s, as tests against real servers may")
	}
	leak.Check(t)
	content := make([]byte, 32<<20)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(content)
	front := freeUDP(t)
	_, port, _ := net.SplitHostPort(front)
	server, err := http3server.Start(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"v1"`)
		w.Header().Set("Alt-Svc", `h3=":`+port+`"`)
		http.ServeContent(w, r, "body.bin", time.Time{}, bytes.NewReader(content))
	}))
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	defer relayed(t, front, server.Addr, len(content)/2)()
	s := session(t, func(c *urlsession.Configuration) {
		c.RootCAs, c.CachePolicy = server.RootCAs, urlsession.ReloadIgnoringLocalCache
		c.AlternativeServices = nil
		c.Retry = urlsession.RetryPolicy{Continuations: 1, FirstDelay: time.Millisecond}
	})
	load(t, s, request(t, http.MethodHead, server.URL, nil)) // tells
	if err := s.Flush(t.Context()); err != nil {
		t.Error(err)
	}
	var m urlsession.TaskMetrics
	body, err := s.Bytes(urlsession.WithMetrics(t.Context(), &m), get(t, server.URL))
	if err != nil {
		t.Fatal(err)
	}
	hash := sha256.New()
	n, err := io.Copy(hash, body)
	if cerr := body.Close(); err != nil || cerr != nil || [32]byte(hash.Sum(nil)) != sha256.Sum256(content) {
		t.Errorf("%d bytes of %d, %v, %v", n, len(content), err, cerr)
	}
	var wires []string
	for _, x := range m.Transactions {
		wires = append(wires, x.NetworkProtocolName)
	}
	if len(wires) != 2 || wires[0] != "h3" || wires[1] != "h2" {
		t.Errorf("by %v", wires)
	}
}

// freeUDP is an address whose UDP port was free a moment ago.
func freeUDP(t *testing.T) string {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()

	return conn.LocalAddr().String()
}
