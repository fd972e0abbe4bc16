package conformance_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"io/fs"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"testing/fstest"

	"github.com/urlkit/urlkit/conformance"
	"github.com/urlkit/urlkit/protocols"
)

// net/http's transport over the Client's connections, as a protocol.
func TestRoundTripper(t *testing.T) {
	for _, h := range []conformance.Harness{
		{
			Scheme:  protocols.Scheme{Name: "http", DefaultPort: 80, New: transport},
			Fixture: func(context.Context) (*conformance.Fixture, error) { return webFixture(false) },
		},
		{
			Scheme:  protocols.Scheme{Name: "https", DefaultPort: 443, Security: protocols.Encrypted, New: transport},
			Fixture: func(context.Context) (*conformance.Fixture, error) { return webFixture(true) },
		},
	} {
		t.Run(h.Scheme.Name, func(t *testing.T) { conformance.Run(t, h) })
	}
}

// transport keeps no connection: Client.Dial ends each with the load that made it.
func transport(c protocols.Client) protocols.URLProtocol {
	return protocols.FromRoundTripper(&http.Transport{
		DialContext: c.Dial, DisableCompression: true, DisableKeepAlives: true,
		DialTLSContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := c.Dial(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			secure := tls.Client(conn, c.TLSConfig(ctx, addr))
			if err := secure.HandshakeContext(ctx); err != nil {
				_ = conn.Close()

				return nil, err
			}

			return secure, nil
		},
	})
}

// web answers for webFixture, and puts uploads into received.
func web(received *bytes.Buffer) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/page", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(page) })
	mux.HandleFunc("/middle", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(middle) })
	mux.HandleFunc("/empty", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/large", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(conformance.MinimumLarge))
		for n := 0; n < conformance.MinimumLarge; n += 64 << 10 {
			if _, err := w.Write(middle[:64<<10]); err != nil {
				return
			}
		}
	})
	mux.Handle("/redirect", http.RedirectHandler("/page", http.StatusFound))
	mux.HandleFunc("/secret", func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "ada" || password != "lovelace" {
			w.Header().Set("WWW-Authenticate", `Basic realm="machine"`)
			w.WriteHeader(http.StatusUnauthorized)

			return
		}
		_, _ = w.Write(page)
	})
	mux.HandleFunc("/upload", func(_ http.ResponseWriter, r *http.Request) {
		received.Reset()
		_, _ = io.Copy(received, r.Body)
	})

	return mux
}

// webFixture is what HTTP can do.
func webFixture(secure bool) (*conformance.Fixture, error) {
	var received bytes.Buffer
	server := httptest.NewUnstartedServer(web(&received))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // it is told of every broken connection
	scheme := "http"
	if secure {
		scheme = "https"
		server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate().Certificate}}
		server.StartTLS()
	} else {
		server.Start()
	}
	origin := scheme + "://" + serverName

	return &conformance.Fixture{
		Content: []conformance.Content{
			{URL: origin + "/page", Bytes: page, MIMEType: "text/plain"},
			{URL: origin + "/middle", Bytes: middle},
			{URL: origin + "/empty", Bytes: []byte{}},
		},
		Large:         conformance.Content{URL: origin + "/large", Size: conformance.MinimumLarge},
		Missing:       origin + "/missing",
		MissingStatus: 404,
		Redirect:      origin + "/redirect",
		Target:        origin + "/page",
		Challenge:     conformance.Content{URL: origin + "/secret", Bytes: page},
		Credential:    &protocols.Credential{User: "ada", Password: "lovelace"},
		Upload:        conformance.Upload{URL: origin + "/upload", Received: received.Bytes},
		Hosts:         map[string]string{serverName: server.Listener.Addr().String()},
		RootCAs:       certificate().pool,
		Close: func() error {
			server.CloseClientConnections()
			server.Close()

			return nil
		},
	}, nil
}

func TestFileSystem(t *testing.T) {
	files := fstest.MapFS{
		"page.txt":  {Data: page, Mode: 0o444},
		"empty.txt": {Data: nil, Mode: 0o444},
		"middle":    {Data: middle, Mode: 0o444},
	}
	conformance.Run(t, conformance.Harness{
		Scheme: protocols.Scheme{Name: "app", Security: protocols.Local, New: func(protocols.Client) protocols.URLProtocol {
			return protocols.FromFS(fs.FS(files))
		}},
		Fixture: func(context.Context) (*conformance.Fixture, error) {
			return &conformance.Fixture{
				Content: []conformance.Content{
					{URL: "app:///page.txt", Bytes: page, MIMEType: "text/plain"},
					{URL: "app:///empty.txt", Bytes: []byte{}},
					{URL: "app:///middle", Bytes: middle},
				},
				Missing: "app:///missing.txt",
			}, nil
		},
	})
}
