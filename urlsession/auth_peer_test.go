package urlsession_test

import (
	"crypto/tls"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/internal/peer"
	"github.com/urlkit/urlkit/urlsession"
)

func TestPeerApacheAuthentication(t *testing.T) {
	leak.Check(t)
	p := peer.Start(t, "apache.sh", peer.TCP, peer.TCP)
	for proto, base := range map[string]string{"http/1.1": "http://" + p.Addr(0), "h2": "https://" + p.Addr(1)} {
		for path, method := range map[string]string{"/basic/": "HTTPBasic", "/digest/": "HTTPDigest"} {
			t.Run(proto+path, func(t *testing.T) {
				a := knowing("alice", "s3cret", urlsession.PersistenceForSession)
				s := delegated(t, a.delegate(), func(c *urlsession.Configuration) { c.RootCAs = p.Roots(t) })
				defer s.Close()
				for range 3 { // with a query, which Digest has in its hash
					if data, resp := load(t, s, get(t, base+path+"hello.txt?q=a%20b&c")); data != "hello\n" || resp.Proto != proto {
						t.Errorf("%q by %s, status %d", data, resp.Proto, resp.StatusCode)
					}
				}
				if got := a.String(); got != method+"(0)" {
					t.Errorf("asked %s", got)
				}
				wrong := strings.Replace(base, "://", "://alice:wrong@", 1)
				if _, resp := load(t, session(t, func(c *urlsession.Configuration) { c.RootCAs = p.Roots(t) }), get(t, wrong+path+"hello.txt")); resp.StatusCode != 401 {
					t.Errorf("a wrong password: status %d", resp.StatusCode)
				}
			})
		}
	}
}

func TestPeerHTTPBinAuthentication(t *testing.T) {
	if os.Getenv("HTTPBIN") == "" {
		t.Skip("HTTPBIN is not set: it names the program go-httpbin")
	}
	leak.Check(t)
	p := peer.Start(t, "httpbin.sh", peer.TCP, peer.TCP)
	for proto, base := range map[string]string{"http/1.1": "http://" + p.Addr(0), "h2": "https://" + p.Addr(1)} {
		for path, want := range map[string]string{
			"/basic-auth/u/pass": "HTTPBasic(0) HTTPBasic(1)", "/hidden-basic-auth/u/pass": "",
			"/digest-auth/auth/u/pass/MD5": "HTTPDigest(0) HTTPDigest(1)", "/digest-auth/auth/u/pass/SHA-256": "HTTPDigest(0) HTTPDigest(1)",
			"/bearer": "HTTPBearer(0)",
		} {
			t.Run(proto+path, func(t *testing.T) {
				a := &asker{answer: func(c *urlsession.Challenge) (urlsession.Disposition, *urlsession.Credential) {
					password := "wrong"
					if c.PreviousFailureCount > 0 {
						password = "pass"
					}

					return urlsession.UseCredential, &urlsession.Credential{User: "u", Password: password, Token: "a.token"}
				}}
				s := delegated(t, a.delegate(), func(c *urlsession.Configuration) { c.RootCAs = p.Roots(t) })
				defer s.Close()
				_, resp := load(t, s, get(t, base+path))
				status := map[bool]int{true: 200, false: 404}[want != ""]
				if resp.StatusCode != status || a.String() != want {
					t.Errorf("status %d, asked %s", resp.StatusCode, a)
				}
			})
		}
	}
}

func TestPeerNginxClientCertificate(t *testing.T) {
	leak.Check(t)
	p := peer.Start(t, "nginx.sh", peer.TCP, peer.TCP, peer.TCP, peer.TCP)
	pki := func(name string) string { return filepath.Join(filepath.Dir(p.CAFile), name) }
	alice, err := tls.LoadX509KeyPair(pki("client.crt"), pki("client.key"))
	if err != nil {
		t.Fatal(err)
	}
	url := "https://localhost:" + strconv.Itoa(p.Ports[3]) + "/hello.txt"
	for _, tt := range []struct {
		name   string
		given  *urlsession.Credential
		status int
	}{{"given", &urlsession.Credential{Certificate: &alice}, http.StatusOK}, {"none", nil, http.StatusBadRequest}} {
		for _, omitsHTTP2 := range []bool{false, true} {
			asked := 0
			s := delegated(t, certified(t, alice.Leaf, &asked, urlsession.UseCredential, tt.given), func(c *urlsession.Configuration) {
				c.RootCAs, c.OmitsHTTP2 = p.Roots(t), omitsHTTP2
			})
			for range 2 { // over one connection
				data, resp := load(t, s, get(t, url))
				if resp.StatusCode != tt.status || tt.given != nil && (data != "hello\n" || resp.Header.Get("X-Client-DN") != "CN=alice") {
					t.Errorf("%s: %q, status %d, %v", tt.name, data, resp.StatusCode, resp.Header)
				}
			}
			if err := s.Close(); err != nil || asked == 0 || tt.given != nil && asked != 1 {
				t.Errorf("%s: asked %d times, %v", tt.name, asked, err)
			}
		}
	}
}
