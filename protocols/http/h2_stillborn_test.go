package http

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	nethttp "net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"golang.org/x/net/http2"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/protocols"
)

// A server that hangs up after the handshake, or says goodbye at once, ends the load
// with an error after which it may be sent again, and is not dialled without end.
func TestStillborn(t *testing.T) {
	for name, serve := range map[string]func(c *tls.Conn){
		"closed": func(*tls.Conn) {},
		"goodbye": func(c *tls.Conn) {
			f := http2.NewFramer(c, c)
			_ = f.WriteSettings()
			_ = f.WriteGoAway(0, http2.ErrCodeNo, nil)
			_, _ = io.Copy(io.Discard, c)
		},
		"not HTTP/2": func(c *tls.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
			_, _ = io.Copy(io.Discard, c)
		},
	} {
		t.Run(name, func(t *testing.T) {
			leak.Check(t)
			certificate := httptest.NewUnstartedServer(nil)
			certificate.StartTLS()
			t.Cleanup(certificate.Close)
			listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: certificate.TLS.Certificates, NextProtos: []string{"h2"}})
			if err != nil {
				t.Fatal(err)
			}
			var running sync.WaitGroup
			running.Go(func() {
				for {
					c, err := listener.Accept()
					if err != nil {
						return
					}
					running.Go(func() {
						defer c.Close()
						if c := c.(*tls.Conn); c.Handshake() == nil {
							serve(c)
						}
					})
				}
			})
			client := &testClient{roots: certificate.Client().Transport.(*nethttp.Transport).TLSClientConfig.RootCAs}
			l := loaderFor(t, client, Config{}, true)
			t.Cleanup(func() {
				_ = l.Close()
				listener.Close()
				running.Wait()
			})
			_, _, err = fetch(t.Context(), l, newRequest(t, "GET", "https://"+listener.Addr().String(), nil))
			var coded *protocols.Error
			if !errors.As(err, &coded) || errors.Is(err, net.ErrClosed) {
				t.Errorf("%v", err)
			}
			if name != "not HTTP/2" && !errors.Is(err, protocols.NetworkConnectionLost) {
				t.Errorf("%v", err)
			}
			if n := client.dials.Load(); n > attempts {
				t.Errorf("%d connections", n)
			}
		})
	}
}
