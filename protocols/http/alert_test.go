package http

import (
	"crypto/tls"
	"io"
	"log"
	"net"
	nethttp "net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/protocols"
)

// Under TLS 1.3 a server asks for a certificate after its handshake is over: its
// refusal is told, whether the request could still be written or not.
func TestCertificateRequiredIsTold(t *testing.T) {
	leak.Check(t)
	server := httptest.NewUnstartedServer(nethttp.NotFoundHandler())
	server.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	client := &testClient{roots: server.Client().Transport.(*nethttp.Transport).TLSClientConfig.RootCAs}
	u, err := url.Parse(server.URL + "/")
	if err != nil {
		t.Fatal(err)
	}
	for range 30 {
		l := loaderFor(t, client, Config{OmitsHTTP2: true}, true)
		_, err := l.Load(t.Context(), &protocols.Request{Method: "GET", URL: u})
		if err == nil || !strings.Contains(err.Error(), "certificate required") {
			t.Fatal(err)
		}
	}
}

// A write that fails after the peer's alert has come says what the alert did.
func TestAlertBesideAFailedWrite(t *testing.T) {
	leak.Check(t)
	ours, theirs := net.Pipe()
	defer theirs.Close()
	c := newCodec1(alerted{ours}, &socket{Conn: ours, secure: true}, &Config{MaximumHeaderBytes: 1 << 10})
	req, err := nethttp.NewRequest("GET", "https://x/", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.RoundTrip(req); err == nil || !strings.Contains(err.Error(), "tls: certificate required") {
		t.Error(err)
	}
}

// alerted is a TLS connection whose peer has refused it.
type alerted struct{ net.Conn }

func (alerted) Write([]byte) (int, error) { return 0, net.ErrClosed }
func (alerted) Read([]byte) (int, error) {
	return 0, &net.OpError{Op: "remote error", Err: alertText("tls: certificate required")}
}

type alertText string

func (a alertText) Error() string { return string(a) }
