package urlsession_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/internal/peer"
	"github.com/urlkit/urlkit/urlsession"
)

// nginx starts the real server, and gives a session and the base URLs of its
// wires.
func nginx(t *testing.T) (*urlsession.Session, *peer.Peer, map[string]string) {
	t.Helper()
	p := peer.Start(t, "nginx.sh", peer.TCP, peer.TCP)
	s := session(t, func(c *urlsession.Configuration) { c.RootCAs = p.Roots(t) })

	return s, p, map[string]string{"http/1.1": "http://" + p.Addr(0), "h2": "https://" + p.Addr(1)}
}

func TestPeerNginx(t *testing.T) {
	leak.Check(t)
	s, p, bases := nginx(t)
	text, err := os.ReadFile(filepath.Join(p.Dir, "www", "text.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for proto, base := range bases {
		t.Run(proto, func(t *testing.T) {
			data, resp := load(t, s, get(t, base+"/hello.txt"))
			if data != "hello\n" || resp.Proto != proto || resp.MIMEType != "text/plain" || resp.TextEncodingName != "utf-8" {
				t.Errorf("%q by %s, type %s, charset %s", data, resp.Proto, resp.MIMEType, resp.TextEncodingName)
			}
			data, resp = load(t, s, get(t, base+"/text.txt"))
			if data != string(text) || resp.Header.Get("Content-Encoding") != "gzip" {
				t.Errorf("%d bytes of %d, header %v", len(data), len(text), resp.Header)
			}
			data, _ = load(t, s, get(t, base+"/big.bin"))
			if sum := sha256.Sum256([]byte(data)); !strings.HasPrefix(hex.EncodeToString(sum[:]), "30173741229a7726") {
				t.Errorf("big.bin has SHA-256 %x", sum)
			}
			req := get(t, base+"/text.txt")
			req.Header.Set("Range", "bytes=5-9")
			if data, resp = load(t, s, req); data != string(text[5:10]) || resp.StatusCode != http.StatusPartialContent {
				t.Errorf("a range is %q with status %d", data, resp.StatusCode)
			}
			if data, resp = load(t, s, request(t, http.MethodHead, base+"/big.bin", nil)); data != "" || resp.Header.Get("Content-Length") != "1048576" {
				t.Errorf("HEAD gives %d bytes and %v", len(data), resp.Header)
			}
			if data, _ = load(t, s, request(t, http.MethodPost, base+"/echobody", urlsession.StringBody("echoed"))); data != "echoed" {
				t.Errorf("POST echoes %q", data)
			}
			if _, resp = load(t, s, get(t, base+"/status/404")); resp.StatusCode != 404 {
				t.Errorf("status %d, want 404", resp.StatusCode)
			}
			_, _, err := s.Data(t.Context(), get(t, base+"/drop"))
			wantCode(t, err, urlsession.NetworkConnectionLost)
		})
	}
}

func TestPeerNginxRedirects(t *testing.T) {
	leak.Check(t)
	s, _, bases := nginx(t)
	for proto, base := range bases {
		t.Run(proto, func(t *testing.T) {
			for path, want := range map[string]string{
				"/r/301": "GET /echo", "/r/302": "GET /echo", "/r/303": "GET /echo", "/r/307": "POST /echo", "/r/308": "POST /echo",
			} {
				data, resp := load(t, s, request(t, http.MethodPost, base+path, urlsession.StringBody("x")))
				if proto == "h2" {
					want = "" // the echo module sees no HTTP/2 request
				}
				if !strings.HasPrefix(data, want) || resp.URL.Path != "/echo" {
					t.Errorf("POST %s ends as %.40q", path, data)
				}
			}
			if data, _ := load(t, s, get(t, base+"/r/rel")); data != "deep\n" {
				t.Errorf("a relative redirect gives %q", data)
			}
			if _, resp := load(t, s, get(t, base+"/r/frag")); resp.URL.Fragment != "frag" {
				t.Errorf("the fragment of %v is lost", resp.URL)
			}
			if _, resp := load(t, s, get(t, base+"/r/nowhere")); resp.StatusCode != http.StatusFound {
				t.Errorf("a redirect without Location has status %d", resp.StatusCode)
			}
			_, _, err := s.Data(t.Context(), get(t, base+"/r/loop"))
			wantCode(t, err, urlsession.HTTPTooManyRedirects)
		})
	}
}

func TestPeerNginxManyAtOnce(t *testing.T) {
	leak.Check(t)
	s, _, bases := nginx(t)
	for proto, base := range bases {
		t.Run(proto, func(t *testing.T) {
			const n = 64
			results := make(chan error, n)
			for range n {
				go func() {
					body, err := s.Bytes(t.Context(), get(t, base+"/big.bin"))
					if err == nil {
						_, err = io.Copy(io.Discard, body)
					}
					results <- err
				}()
			}
			for range n {
				if err := <-results; err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// The rows of the redirect table that nginx can serve; it has no 300, 305 and 306.
func TestPeerNginxRedirectRows(t *testing.T) {
	leak.Check(t)
	s, _, bases := nginx(t)
	plain := session(t, func(c *urlsession.Configuration) { c.RootCAs, c.OmitsHTTP2 = s.Configuration().RootCAs, true })
	for status, methods := range redirectRows {
		for method, want := range methods {
			if want == "" {
				continue
			}
			for proto, base := range bases {
				var body *urlsession.Body
				if method != "GET" && method != "HEAD" {
					body = urlsession.StringBody("payload")
				}
				req := request(t, method, fmt.Sprintf("%s/r/%d", base, status), body)
				data, resp := load(t, s, req)
				if resp.StatusCode != 200 || resp.URL.Path != "/echo" || resp.Proto != proto {
					t.Errorf("%d %s by %s: %s answered %d", status, method, proto, resp.URL, resp.StatusCode)
				}
				if proto == "h2" || method == "HEAD" { // the echo module sees no HTTP/2 request
					continue
				}
				kept := body != nil && method == want
				if !strings.HasPrefix(data, want+" /echo ") || strings.Contains(data, "Content-Length: 7") != kept || strings.Contains(data, "Referer") {
					t.Errorf("%d %s: then\n%s", status, method, data)
				}
			}
		}
	}
	for from, want := range map[string]string{
		bases["http/1.1"] + "/r/302":    "Referer: https://app.example/page",
		bases["http/1.1"] + "/r/secure": "Referer: https://app.example/\r\n",
		bases["h2"] + "/r/cross":        "",
	} {
		req := get(t, from)
		req.Header.Set("Referer", "https://app.example/page")
		if data, _ := load(t, plain, req); !strings.Contains(data, want) || strings.Contains(data, "Referer") != (want != "") {
			t.Errorf("from %s:\n%s", from, data)
		}
	}
	load(t, plain, get(t, bases["http/1.1"]+"/cookie"))
	if data, _ := load(t, plain, get(t, bases["http/1.1"]+"/r/302")); !strings.Contains(data, "Cookie: a=1; b=2\r\n") {
		t.Errorf("with nginx's cookies:\n%s", data)
	}
}
