package http

import (
	"bytes"
	"crypto/x509"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/urlkit/urlkit/internal/leak"
	daemon "github.com/urlkit/urlkit/internal/peer"
	"github.com/urlkit/urlkit/protocols"
)

// nghttpd is HTTP/2 by other hands, with what Go's server does not do: padding, tiny
// windows, one stream at a time, no table of fields, answers before their requests.
func TestPeerNghttpd(t *testing.T) {
	for name, options := range map[string][]string{
		"plain":              nil,
		"trailer":            {"--trailer", "x-sum: 42"},
		"padding":            {"--padding=200"},
		"one stream":         {"-m", "1"},
		"tiny windows":       {"-w", "10", "-W", "10"},
		"no table":           {"--header-table-size=0", "--encoder-header-table-size=0"},
		"early answer":       {"--early-response"},
		"push":               {"-p", "/hello.txt=/text.txt"},
		"padding and tables": {"--padding=1", "--header-table-size=64"},
	} {
		t.Run(name, func(t *testing.T) {
			leak.Check(t)
			p := daemon.Start(t, "nghttpd.sh", append([]string{daemon.TCP, "tls"}, append(options, "--echo-upload")...)...)
			pem, err := os.ReadFile(p.CAFile)
			if err != nil {
				t.Fatal(err)
			}
			client := &testClient{roots: x509.NewCertPool()}
			client.roots.AppendCertsFromPEM(pem)
			l := loaderFor(t, client, Config{}, true)
			nghttpdLoads(t, l, p, name == "early answer")
			if n := client.dials.Load(); n != 1 {
				t.Errorf("%d connections", n)
			}
			if name == "trailer" {
				if resp, _ := get(t, l, "https://"+p.Addr(0)+"/hello.txt"); resp.Trailer.Get("X-Sum") != "42" {
					t.Errorf("trailer %v", resp.Trailer)
				}
			}
		})
	}
}

func nghttpdLoads(t *testing.T, l *loader, p *daemon.Peer, early bool) {
	t.Helper()
	base := "https://" + p.Addr(0)
	big, err := os.ReadFile(filepath.Join(p.Dir, "www", "big.bin"))
	if err != nil {
		t.Fatal(err)
	}
	if resp, body := get(t, l, base+"/hello.txt"); body != "hello\n" || resp.Proto != "h2" {
		t.Errorf("%q by %s", body, resp.Proto)
	}
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if _, body := get(t, l, base+"/big.bin"); body != string(big) {
				t.Errorf("%d bytes came, or they differ", len(body))
			}
		})
		all.Go(func() {
			resp, err := l.Load(t.Context(), newRequest(t, "GET", base+"/big.bin", nil))
			if err != nil {
				t.Error(err)

				return
			}
			_, _ = io.CopyN(io.Discard, resp.Body, 100)
			_ = resp.Body.Close() // in the middle
		})
		all.Go(func() {
			sent := big[:50_000]
			resp, body, err := fetch(t.Context(), l, newRequest(t, "POST", base+"/echo", protocols.ReaderBody(bytes.NewReader(sent))))
			if err != nil || !early && body != string(sent) {
				t.Errorf("%v, %d bytes of the echo, %v", err, len(body), resp)
			}
		})
	}
	all.Wait()
	if resp, body := get(t, l, base+"/none"); resp.StatusCode != 404 || body == "" {
		t.Errorf("%d %q", resp.StatusCode, body)
	}
}
