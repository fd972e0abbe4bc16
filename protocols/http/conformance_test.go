package http_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	nethttp "net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"

	"github.com/urlkit/urlkit/conformance"
	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/protocols/http"
)

func TestConformance(t *testing.T) {
	for name, secure := range map[string]bool{"http": false, "https": true} {
		t.Run(name, func(t *testing.T) {
			conformance.Run(t, conformance.Harness{
				Scheme:  schemeNamed(t, name, http.Config{OmitsHTTP2: true}),
				Fixture: func(context.Context) (*conformance.Fixture, error) { return newFixture(secure, false), nil },
				Request: upgradeRequest,
			})
		})
	}
	t.Run("h2", func(t *testing.T) {
		conformance.Run(t, conformance.Harness{
			Scheme:  schemeNamed(t, "https", http.Config{}),
			Fixture: func(context.Context) (*conformance.Fixture, error) { return newFixture(true, true), nil },
		})
	})
}

func schemeNamed(t *testing.T, name string, config http.Config) protocols.Scheme {
	t.Helper()
	for _, s := range http.Schemes(config) {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("there is no scheme %s", name)

	return protocols.Scheme{}
}

var (
	conformancePage   = bytes.Repeat([]byte("a page of some length. "), 60)
	conformanceMiddle = bytes.Repeat([]byte("0123456789abcdef"), 20<<10)
)

// upgradeRequest asks for the connection where there is one.
func upgradeRequest(method, url string, body *protocols.Body) (*protocols.Request, error) {
	req, err := protocols.NewRequest(method, url, body)
	if err == nil && req.URL.Path == "/connection" {
		req.Header.Set("Connection", "Upgrade")
		req.Header.Set("Upgrade", "silence")
	}

	return req, err
}

// newFixture is a server for what the suite asks. Its certificate is httptest's,
// which is for example.com.
func newFixture(secure, h2 bool) *conformance.Fixture {
	var inbox inbox
	server := httptest.NewUnstartedServer(conformanceHandler(&inbox))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // it is told of every broken connection
	server.EnableHTTP2 = h2
	origin, roots := "http://example.com", (*x509.CertPool)(nil)
	if secure {
		server.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
		server.StartTLS()
		origin, roots = "https://example.com", x509.NewCertPool()
		roots.AddCert(server.Certificate())
	} else {
		server.Start()
	}
	f := &conformance.Fixture{
		Content: []conformance.Content{
			{URL: origin + "/page", Bytes: conformancePage, MIMEType: "text/plain"},
			{URL: origin + "/middle", Bytes: conformanceMiddle},
			{URL: origin + "/chunked", Bytes: conformancePage, Framed: true},
			{URL: origin + "/early", Bytes: conformancePage},
			{URL: origin + "/empty", Bytes: []byte{}},
		},
		Large:         conformance.Content{URL: origin + "/large", Size: conformance.MinimumLarge},
		Missing:       origin + "/missing",
		MissingStatus: nethttp.StatusNotFound,
		Redirect:      origin + "/redirect",
		Target:        origin + "/page",
		Challenge:     conformance.Content{URL: origin + "/secret", Bytes: conformancePage},
		Credential:    &protocols.Credential{User: "ada", Password: "lovelace"},
		Upload:        conformance.Upload{URL: origin + "/upload", Received: inbox.last},
		Hosts:         map[string]string{"example.com": server.Listener.Addr().String()},
		RootCAs:       roots,
		Close: func() error {
			server.CloseClientConnections()
			server.Close()

			return nil
		},
	}
	if !h2 { // Upgrade is a field of HTTP/1.1
		f.Connection = origin + "/connection"
	}

	return f
}

// inbox keeps what was uploaded last.
type inbox struct {
	mu   sync.Mutex
	data []byte
}

func (i *inbox) put(data []byte) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.data = data
}

func (i *inbox) last() []byte {
	i.mu.Lock()
	defer i.mu.Unlock()

	return i.data
}

func conformanceHandler(in *inbox) nethttp.Handler {
	mux := nethttp.NewServeMux()
	mux.HandleFunc("/page", func(w nethttp.ResponseWriter, _ *nethttp.Request) { _, _ = w.Write(conformancePage) })
	mux.HandleFunc("/middle", func(w nethttp.ResponseWriter, _ *nethttp.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(len(conformanceMiddle)))
		_, _ = w.Write(conformanceMiddle)
	})
	mux.HandleFunc("/chunked", func(w nethttp.ResponseWriter, _ *nethttp.Request) {
		_ = nethttp.NewResponseController(w).Flush()
		_, _ = w.Write(conformancePage)
	})
	mux.HandleFunc("/early", func(w nethttp.ResponseWriter, _ *nethttp.Request) {
		w.WriteHeader(nethttp.StatusEarlyHints)
		_, _ = w.Write(conformancePage)
	})
	mux.HandleFunc("/empty", func(nethttp.ResponseWriter, *nethttp.Request) {})
	mux.HandleFunc("/large", func(w nethttp.ResponseWriter, _ *nethttp.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(conformance.MinimumLarge))
		for n := 0; n < conformance.MinimumLarge; n += 64 << 10 {
			if _, err := w.Write(conformanceMiddle[:64<<10]); err != nil {
				return
			}
		}
	})
	mux.Handle("/redirect", nethttp.RedirectHandler("/page", nethttp.StatusFound))
	mux.HandleFunc("/secret", func(w nethttp.ResponseWriter, r *nethttp.Request) {
		if user, password, _ := r.BasicAuth(); user != "ada" || password != "lovelace" {
			w.Header().Set("WWW-Authenticate", `Basic realm="machine"`)
			w.WriteHeader(nethttp.StatusUnauthorized)

			return
		}
		_, _ = w.Write(conformancePage)
	})
	mux.HandleFunc("/upload", func(_ nethttp.ResponseWriter, r *nethttp.Request) {
		data, _ := io.ReadAll(r.Body)
		in.put(data)
	})
	mux.HandleFunc("/connection", upgrade)

	return mux
}

// upgrade switches to a protocol in which nothing is said.
func upgrade(w nethttp.ResponseWriter, _ *nethttp.Request) {
	conn, rw, err := nethttp.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: silence\r\n\r\n")
	if rw.Flush() == nil {
		_, _ = io.Copy(io.Discard, rw)
	}
}
