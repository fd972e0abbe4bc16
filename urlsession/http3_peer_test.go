//go:build !urlkit_nohttp3

package urlsession_test

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/internal/peer"
	"github.com/urlkit/urlkit/urlsession"
)

// ngtcp2 speaks HTTP/3 by other hands, also where packets are lost, and where it wants
// an address proved first. A request either assumes HTTP/3, or nginx has announced it
// over TCP.
func TestPeerNgtcp2(t *testing.T) {
	for name, options := range map[string][]string{
		"plain":      nil,
		"lossy":      {"-t", "0.05", "-r", "0.05"},
		"retry":      {"-V"},
		"trailers":   {"--send-trailers"},
		"one stream": {"--max-streams-bidi=1"},
		"narrow":     {"--max-udp-payload-size=1200"},
	} {
		t.Run(name, func(t *testing.T) {
			p := peer.Start(t, "ngtcp2.sh", append([]string{peer.UDP, "--max-dyn-length=200M"}, options...)...)
			file := makeLarge(t, p)
			for _, way := range []string{"assumed", "announced"} {
				t.Run(way, func(t *testing.T) {
					leak.Check(t)
					o := reaching(t, p, way == "assumed")
					o.small(t)
					// Loss makes a large body last: one for each way.
					if name != "lossy" || o.assumes {
						o.large(t, generated())
					}
					if name != "lossy" || !o.assumes {
						o.large(t, file)
					}
				})
			}
		})
	}
}

// origin3 is a session with a server that speaks HTTP/3.
type origin3 struct {
	*urlsession.Session

	base    string
	assumes bool // its requests do: nobody has announced it
}

// reaching makes the session. What is announced is in use when it returns.
func reaching(t *testing.T, p *peer.Peer, assumes bool) *origin3 {
	t.Helper()
	s := session(t, func(c *urlsession.Configuration) {
		c.RootCAs, c.CachePolicy = p.Roots(t), urlsession.ReloadIgnoringLocalCache
	})
	o := &origin3{Session: s, assumes: assumes}
	if assumes {
		// Nothing listens on ::1, which localhost means too.
		o.base = "https://localhost:" + strconv.Itoa(p.Ports[0])

		return o
	}
	o.base = announcing(t, p, `h3=":`+strconv.Itoa(p.Ports[0])+`"; ma=60`)
	if data, resp := load(t, o.Session, get(t, o.base+"/hello.txt")); data != "tcp\n" || resp.Proto != "h2" {
		t.Errorf("the first: %q by %s", data, resp.Proto)
	}
	for deadline := time.Now().Add(10 * time.Second); ; {
		data, resp := load(t, o.Session, get(t, o.base+"/hello.txt"))
		if resp.Proto == "h3" && data == "hello\n" {
			return o
		}
		if time.Now().After(deadline) {
			t.Fatalf("%q by %s", data, resp.Proto)
		}
	}
}

// fetch loads over HTTP/3, and gives the length and the SHA-256 of what came.
func (o *origin3) fetch(t *testing.T, method, path string) (n int64, sum string, resp *urlsession.Response) {
	t.Helper()
	req := request(t, method, o.base+path, nil)
	req.AssumesHTTP3Capable = o.assumes
	var m urlsession.TaskMetrics
	body, err := o.Bytes(urlsession.WithMetrics(t.Context(), &m), req)
	if err != nil {
		t.Fatal(err)
	}
	hash := sha256.New()
	n, err = io.Copy(hash, body)
	if cerr := body.Close(); err != nil || cerr != nil {
		t.Errorf("%s %s: %d bytes, %v, %v", method, path, n, err, cerr)
	}
	resp = body.Response()
	for _, x := range m.Transactions {
		if x.NetworkProtocolName != "h3" || resp.Proto != "h3" {
			t.Errorf("%s %s: by %q, and %q in the metrics", method, path, resp.Proto, x.NetworkProtocolName)
		}
	}
	if len(m.Transactions) != 1 {
		t.Errorf("%s %s: %d transactions", method, path, len(m.Transactions))
	}

	return n, hex.EncodeToString(hash.Sum(nil)), resp
}

// small loads what is small, or without a body.
func (o *origin3) small(t *testing.T) {
	t.Helper()
	hello := sha256.Sum256([]byte("hello\n"))
	for range 3 {
		if n, sum, resp := o.fetch(t, http.MethodGet, "/hello.txt"); sum != hex.EncodeToString(hello[:]) || resp.StatusCode != http.StatusOK {
			t.Errorf("%d bytes, status %d", n, resp.StatusCode)
		}
	}
	for path, length := range map[string]string{"/hello.txt": "6", "/big.bin": "1048576", "/100000000": "100000000"} {
		n, _, resp := o.fetch(t, http.MethodHead, path)
		if n != 0 || resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Length") != length {
			t.Errorf("HEAD %s gives %d bytes, status %d and %v", path, n, resp.StatusCode, resp.Header)
		}
	}
	if _, _, resp := o.fetch(t, http.MethodGet, "/none"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("status %d", resp.StatusCode)
	}
}

// entity is what a peer serves.
type entity struct {
	path string
	size int64
	sum  string // SHA-256
}

// large loads an entity.
func (o *origin3) large(t *testing.T, want entity) {
	t.Helper()
	began := time.Now()
	if n, sum, _ := o.fetch(t, http.MethodGet, want.path); n != want.size || sum != want.sum {
		t.Errorf("%s: %d bytes of %d, SHA-256 %s, want %s", want.path, n, want.size, sum, want.sum)
	}
	t.Logf("%d bytes in %v", want.size, time.Since(began))
}

// generated is what ngtcp2 makes for a path that is a number: so many zeros.
var generated = sync.OnceValue(func() entity {
	const size = 100_000_000
	hash := sha256.New()
	zeros := make([]byte, 100_000)
	for range size / len(zeros) {
		hash.Write(zeros)
	}

	return entity{"/" + strconv.Itoa(size), size, hex.EncodeToString(hash.Sum(nil))}
})

// makeLarge puts a file of random bytes into a peer's folder.
func makeLarge(t *testing.T, p *peer.Peer) entity {
	t.Helper()
	const size = 100 << 20
	file, err := os.Create(filepath.Join(p.Dir, "www", "large.bin"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	hash := sha256.New()
	random := rand.NewChaCha8([32]byte{byte(rand.Uint32())})
	if _, err := io.CopyN(io.MultiWriter(file, hash), random, size); err != nil {
		t.Fatal(err)
	}

	return entity{"/large.bin", size, hex.EncodeToString(hash.Sum(nil))}
}

// altSvcScript is nginx with the field Alt-Svc, and the certificate of another peer:
// DIR PORT PKI FIELD.
const altSvcScript = `#!/bin/sh
set -eu
D=$1 P=$2 PKI=$3 FIELD=$4
mkdir -p "$D/tmp" "$D/www"
echo tcp > "$D/www/hello.txt"
chmod a+rx "$D" "$D/www"
{
  echo "daemon off; master_process off; pid $D/nginx.pid; error_log $D/error.log; events { worker_connections 64; }"
  echo "http { access_log off; default_type text/plain;"
  for t in client_body proxy fastcgi uwsgi scgi; do echo "${t}_temp_path $D/tmp/$t;"; done
  echo "server { listen 127.0.0.1:$P ssl http2; ssl_certificate $PKI/server.crt; ssl_certificate_key $PKI/server.key; root $D/www;"
  echo "add_header Alt-Svc '$FIELD' always; } }"
} > "$D/nginx.conf"
exec nginx -c "$D/nginx.conf"
`

// announcing starts nginx beside another peer, to say where HTTP/3 is.
func announcing(t *testing.T, other *peer.Peer, field string) string {
	t.Helper()
	script := filepath.Join(t.TempDir(), "nginx-altsvc.sh")
	if err := os.WriteFile(script, []byte(altSvcScript), 0o700); err != nil {
		t.Fatal(err)
	}

	return "https://" + peer.Start(t, script, peer.TCP, filepath.Dir(other.CAFile), field).Addr(0)
}

// A connection that is new, too, goes where nginx has said.
func TestPeerAltSvc(t *testing.T) {
	leak.Check(t)
	o := reaching(t, peer.Start(t, "ngtcp2.sh", peer.UDP), false)
	if err := o.Flush(t.Context()); err != nil {
		t.Error(err)
	}
	o.fetch(t, http.MethodGet, "/hello.txt")
}
