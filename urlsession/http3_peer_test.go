//go:build !urlkit_nohttp3

package urlsession_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/internal/peer"
	"github.com/urlkit/urlkit/urlsession"
)

// ngtcp2 speaks HTTP/3 by other hands, also where packets are lost, and where it wants
// an address proved first.
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
			leak.Check(t)
			p := peer.Start(t, "ngtcp2.sh", append([]string{peer.UDP}, options...)...)
			makeLarge(t, p)
			s := session(t, func(c *urlsession.Configuration) { c.RootCAs = p.Roots(t) })
			// Nothing listens on ::1, which localhost means too.
			base := "https://localhost:" + strconv.Itoa(p.Ports[0])
			for range 3 {
				if data, resp := load(t, s, assuming(t, base+"/hello.txt")); data != "hello\n" || resp.Proto != "h3" {
					t.Errorf("%q by %s", data, resp.Proto)
				}
			}
			head := request(t, http.MethodHead, base+"/big.bin", nil)
			head.AssumesHTTP3Capable = true
			if data, resp := load(t, s, head); data != "" || resp.Header.Get("Content-Length") != "1048576" {
				t.Errorf("HEAD gives %d bytes and %v", len(data), resp.Header)
			}
			if _, resp := load(t, s, assuming(t, base+"/none")); resp.StatusCode != http.StatusNotFound {
				t.Errorf("status %d", resp.StatusCode)
			}
			large(t, s, base)
		})
	}
}

// largeSize is that of a file which makeLarge puts into a peer's folder: of itself
// ngtcp2 makes bodies up to 20 MB.
const largeSize = 100 << 20

func makeLarge(t *testing.T, p *peer.Peer) {
	t.Helper()
	name := filepath.Join(p.Dir, "www", "large.bin")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(name, largeSize); err != nil {
		t.Fatal(err)
	}
}

// large loads the file.
func large(t *testing.T, s *urlsession.Session, base string) {
	t.Helper()
	var m urlsession.TaskMetrics
	began := time.Now()
	body, err := s.Bytes(urlsession.WithMetrics(t.Context(), &m), assuming(t, base+"/large.bin"))
	if err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, body)
	if cerr := body.Close(); n != largeSize || err != nil || cerr != nil {
		t.Errorf("%d bytes, %v, %v", n, err, cerr)
	}
	if x := m.Transactions[0]; x.NetworkProtocolName != "h3" || !x.ReusedConnection {
		t.Errorf("by %s, reused: %v", x.NetworkProtocolName, x.ReusedConnection)
	}
	t.Logf("100 MiB in %v", time.Since(began))
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

// nginx says over TCP where ngtcp2 serves the origin over UDP.
func TestPeerAltSvc(t *testing.T) {
	leak.Check(t)
	p := peer.Start(t, "ngtcp2.sh", peer.UDP)
	makeLarge(t, p)
	base := announcing(t, p, `h3=":`+strconv.Itoa(p.Ports[0])+`"; ma=60`)
	s := session(t, func(c *urlsession.Configuration) { c.RootCAs = p.Roots(t) })
	if data, resp := load(t, s, get(t, base+"/hello.txt")); data != "tcp\n" || resp.Proto != "h2" {
		t.Errorf("the first: %q by %s", data, resp.Proto)
	}
	for deadline := time.Now().Add(10 * time.Second); ; {
		data, resp := load(t, s, get(t, base+"/hello.txt"))
		if resp.Proto == "h3" && data == "hello\n" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%q by %s", data, resp.Proto)
		}
	}
	if err := s.Flush(t.Context()); err != nil {
		t.Error(err)
	}
	if _, resp := load(t, s, get(t, base+"/hello.txt")); resp.Proto != "h3" {
		t.Errorf("a new connection by %s", resp.Proto)
	}
	large(t, s, base)
}

// UDP that is swallowed or refused costs the first request a head start, and the next
// nothing.
func TestPeerBrokenUDP(t *testing.T) {
	leak.Check(t)
	p := peer.Start(t, "ngtcp2.sh", peer.UDP)
	for name, field := range map[string]string{
		"swallowed": `h3=":` + swallowing(t) + `"`,
		"refused":   `h3=":1"`,
	} {
		base := announcing(t, p, field)
		s := session(t, func(c *urlsession.Configuration) { c.RootCAs = p.Roots(t) })
		load(t, s, get(t, base+"/hello.txt")) // tells
		if err := s.Flush(t.Context()); err != nil {
			t.Error(err)
		}
		for i := range 3 {
			began := time.Now()
			data, resp := load(t, s, get(t, base+"/hello.txt"))
			took := time.Since(began)
			if data != "tcp\n" || resp.Proto != "h2" || i > 0 && took > 200*time.Millisecond || took > 2*time.Second {
				t.Errorf("%s: request %d: %q by %s after %v", name, i, data, resp.Proto, took)
			}
		}
	}
}

// swallowing is a UDP port that answers nothing.
func swallowing(t *testing.T) string {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_, port, _ := net.SplitHostPort(conn.LocalAddr().String())

	return port
}

// A server that is killed in the middle of a download fails it, with an error that is
// known, and what follows goes over TCP.
func TestPeerDiesInMidDownload(t *testing.T) {
	leak.Check(t)
	p := peer.Start(t, "ngtcp2.sh", peer.UDP)
	makeLarge(t, p)
	base := announcing(t, p, "clear")
	_, port, _ := net.SplitHostPort(base[len("https://"):])
	path := relayed(t, "127.0.0.1:"+port, p.Addr(0), 20<<20)
	defer path()
	s := session(t, func(c *urlsession.Configuration) { c.RootCAs = p.Roots(t) })
	body, err := s.Bytes(t.Context(), assuming(t, base+"/large.bin"))
	if err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, body)
	if _ = body.Close(); !errors.Is(err, io.ErrUnexpectedEOF) || body.Response().Proto != "h3" {
		t.Errorf("%d bytes by %s, %v", n, body.Response().Proto, err)
	}
	wantCode(t, err, urlsession.NetworkConnectionLost)
	began := time.Now()
	if data, resp := load(t, s, assuming(t, base+"/hello.txt")); data != "tcp\n" || resp.Proto != "h2" || time.Since(began) > 200*time.Millisecond {
		t.Errorf("the next: %q by %s after %v", data, resp.Proto, time.Since(began))
	}
}

// relayed passes datagrams between a port and a server, until so many bytes have come.
func relayed(t *testing.T, front, to string, bytes int) (stop func()) {
	t.Helper()
	in, err := net.ListenPacket("udp", front)
	if err != nil {
		t.Fatal(err)
	}
	out, err := net.Dial("udp", to)
	if err != nil {
		t.Fatal(err)
	}
	client := make(chan net.Addr, 1)
	done := make(chan struct{}, 2)
	go func() {
		defer func() { done <- struct{}{} }()
		buf := make([]byte, 64<<10)
		for {
			n, from, err := in.ReadFrom(buf)
			if err != nil {
				return
			}
			select {
			case client <- from:
			default:
			}
			_, _ = out.Write(buf[:n])
		}
	}()
	go func() {
		defer func() { done <- struct{}{} }()
		buf := make([]byte, 64<<10)
		var to net.Addr
		for total := 0; ; {
			n, err := out.Read(buf)
			if err != nil {
				return
			}
			if to == nil {
				to = <-client
			}
			if total += n; total < bytes {
				_, _ = in.WriteTo(buf[:n], to)
			}
		}
	}()

	return func() {
		in.Close()
		out.Close()
		<-done
		<-done
	}
}
