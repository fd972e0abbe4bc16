package http_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	nethttp "net/http"
	"net/http/httptest"
	"testing"

	"github.com/urlkit/urlkit/internal/engine"
	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/protocols/http"
	"github.com/urlkit/urlkit/registry"
)

// Early hints reach a session's task that asks for nothing else.
func TestEarlyHintsReachTheTask(t *testing.T) {
	for _, kind := range []string{"http", "tls", "h2"} {
		t.Run(kind, func(t *testing.T) {
			leak.Check(t)
			server := httptest.NewUnstartedServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, _ *nethttp.Request) {
				w.Header().Set("Link", "</style.css>; rel=preload")
				w.WriteHeader(nethttp.StatusEarlyHints)
				fmt.Fprint(w, "the page")
			}))
			roots := x509.NewCertPool()
			if server.EnableHTTP2 = kind == "h2"; kind == "http" {
				server.Start()
			} else {
				server.StartTLS()
				roots.AddCert(server.Certificate())
			}
			defer server.Close()
			e, err := engine.New(engine.Config{Registry: registry.New(http.Schemes(http.Config{})...), TLS: &tls.Config{RootCAs: roots}})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = e.Close() }()
			req, err := protocols.NewRequest("GET", server.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			var informed []string
			resp, err := e.Load(t.Context(), req, &engine.Task{Inform: func(_ context.Context, r *protocols.Response) {
				informed = append(informed, fmt.Sprint(r.StatusCode, r.Header["Link"]))
			}})
			if err != nil {
				t.Fatal(err)
			}
			data, err := engine.ReadAll(resp, -1)
			if err != nil || string(data) != "the page" || resp.StatusCode != 200 {
				t.Errorf("%d %q, %v", resp.StatusCode, data, err)
			}
			if fmt.Sprint(informed) != "[103 [</style.css>; rel=preload]]" {
				t.Errorf("informed of %v", informed)
			}
		})
	}
}
