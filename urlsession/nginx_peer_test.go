package urlsession_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/internal/peer"
	"github.com/urlkit/urlkit/storage/cookie"
	"github.com/urlkit/urlkit/urlsession"
)

// Of three cookies that nginx sets at once one has ended already, and one is for
// secure origins: loopback counts as one.
func TestPeerNginxCookies(t *testing.T) {
	leak.Check(t)
	p := peer.Start(t, "nginx.sh", peer.TCP, peer.TCP)
	const want = "a=1; b=2"
	for _, base := range []string{"http://" + p.Addr(0), "https://" + p.Addr(1)} {
		jar := cookie.NewStore()
		s := session(t, func(c *urlsession.Configuration) { c.RootCAs, c.Cookies, c.OmitsHTTP2 = p.Roots(t), jar, true })
		if data, resp := load(t, s, get(t, base+"/cookie")); data != "ok\n" || len(resp.Header.Values("Set-Cookie")) != 3 {
			t.Errorf("%s: %q, %v", base, data, resp.Header)
		}
		sent := ""
		data, _ := load(t, s, get(t, base+"/echo"))
		for line := range strings.Lines(data) {
			if value, ok := strings.CutPrefix(line, "Cookie: "); ok {
				sent += strings.TrimSpace(value)
			}
		}
		if sent != want {
			t.Errorf("%s is sent %q, want %q", base, sent, want)
		}
		for _, c := range jar.All() {
			if b := c.Name == "b"; c.Secure != b || c.HttpOnly != b || (c.SameSite == http.SameSiteLaxMode) != b || c.Path != "/" {
				t.Errorf("%s: %+v", base, c)
			}
		}
	}
}

// What nginx lets nobody use without asking is asked for by its ETag and its date, and
// fetched again once it has changed; what is fresh is not asked for; what is coded comes
// out of the cache decoded.
func TestPeerNginxCache(t *testing.T) {
	leak.Check(t)
	_, p, bases := nginx(t)
	file := filepath.Join(p.Dir, "www", "hello.txt")
	text, err := os.ReadFile(filepath.Join(p.Dir, "www", "text.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for proto, base := range bases {
		t.Run(proto, func(t *testing.T) {
			s := session(t, func(c *urlsession.Configuration) { c.RootCAs = p.Roots(t) })
			// fetch compares the beginning of what the cache says, and whether a body comes.
			fetch := func(path, want, says string, comes bool) *urlsession.Response {
				t.Helper()
				var m urlsession.TaskMetrics
				data, resp, err := s.Data(urlsession.WithMetrics(t.Context(), &m), get(t, base+path))
				if err != nil {
					t.Fatal(err)
				}
				x := m.Transactions[len(m.Transactions)-1]
				if string(data) != want || resp.StatusCode != http.StatusOK || !strings.HasPrefix(x.Cache, says) || (x.BodyBytesReceived > 0) != comes {
					t.Errorf("%s: %q, status %d, %q, %d bytes came; want %q, %q, any: %v", path, data, resp.StatusCode, x.Cache, x.BodyBytesReceived, want, says, comes)
				}

				return resp
			}
			replaced(t, file, "hello\n")
			first := fetch("/must-revalidate", "hello\n", "", true)
			if first.Header.Get("ETag") == "" || first.Header.Get("Last-Modified") == "" {
				t.Errorf("%v", first.Header)
			}
			fetch("/must-revalidate", "hello\n", "revalidated", false)
			replaced(t, file, "changed\n")
			fetch("/must-revalidate", "changed\n", "", true)
			fetch("/must-revalidate", "changed\n", "revalidated", false)
			id := fetch("/max-age", "fresh\n", "", true).Header.Get("X-Req")
			if again := fetch("/max-age", "fresh\n", "hit: fresh", false); again.Header.Get("X-Req") != id {
				t.Errorf("what is fresh was asked for: %v", again.Header)
			}
			id = fetch("/no-store", "never\n", "", true).Header.Get("X-Req")
			if again := fetch("/no-store", "never\n", "", true); again.Header.Get("X-Req") == id {
				t.Error("what must not be stored was")
			}
			for range 2 {
				data, resp := load(t, s, get(t, base+"/text.txt"))
				if data != string(text) || resp.Header.Get("Content-Encoding") != "gzip" || resp.Header.Get("Vary") == "" {
					t.Errorf("%d bytes of %d, %v", len(data), len(text), resp.Header)
				}
			}
		})
	}
}

// replaced writes a file that the server may read.
func replaced(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
