package peer_test

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/urlkit/urlkit/internal/peer"
)

func TestPeerNginx(t *testing.T) {
	p := peer.Start(t, "nginx.sh", peer.TCP, peer.TCP)
	tests := []struct {
		name, url string
		h1, h2    bool
		proto     string
	}{
		{"clear text", "http://" + p.Addr(0), true, false, "HTTP/1.1"},
		{"tls", "https://" + p.Addr(1), true, false, "HTTP/1.1"},
		{"tls, h2", "https://" + p.Addr(1), false, true, "HTTP/2.0"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			transport := &http.Transport{
				TLSClientConfig: &tls.Config{RootCAs: p.Roots(t)},
				Protocols:       new(http.Protocols),
			}
			defer transport.CloseIdleConnections()
			transport.Protocols.SetHTTP1(test.h1)
			transport.Protocols.SetHTTP2(test.h2)
			client := &http.Client{Transport: transport}
			resp, err := client.Get(test.url + "/hello.txt")
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			if string(body) != "hello\n" || resp.Proto != test.proto || !strings.HasPrefix(resp.Header.Get("Server"), "nginx/") {
				t.Errorf("got %q over %s from %q", body, resp.Proto, resp.Header.Get("Server"))
			}
		})
	}
}

// A peer gets the folder, its arguments and the environment, and ends with its test, children included.
func TestStart(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the peer of this test is a shell script")
	}
	scripts := t.TempDir()
	t.Setenv("URLKIT_PEERS", scripts)
	t.Setenv("PEER_TEST_BINARY", os.Args[0])
	const script = `#!/bin/sh
echo "$2" "$4" >"$1/args"
PEER_TEST_PORT=$3 "$PEER_TEST_BINARY" -test.run '^TestListener$' &
PEER_TEST_PORT=$5 exec "$PEER_TEST_BINARY" -test.run '^TestListener$'
`
	if err := os.WriteFile(filepath.Join(scripts, "two.sh"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	var p *peer.Peer
	t.Run("while the test runs", func(t *testing.T) {
		p = peer.Start(t, "two.sh", "plain", peer.TCP, "open", peer.TCP21)
		args, err := os.ReadFile(filepath.Join(p.Dir, "args"))
		if err != nil {
			t.Fatal(err)
		}
		if string(args) != "plain open\n" || len(p.Ports) != 2 {
			t.Errorf("got arguments %q, ports %v", args, p.Ports)
		}
	})
	if _, err := os.Stat(p.Dir); !os.IsNotExist(err) {
		t.Errorf("its folder is still there: %v", err)
	}
	for i := range p.Ports {
		for tries := 0; answers(p.Addr(i)); tries++ { // a killed child takes a moment to end
			if tries == 100 {
				t.Fatalf("still answers on %s", p.Addr(i))
			}
			<-time.After(50 * time.Millisecond)
		}
	}
}

func answers(addr string) bool {
	conn, err := net.Dial("tcp", addr)
	if err == nil {
		conn.Close()
	}

	return err == nil
}

// TestListener is the server that TestStart starts twice: it takes connections until it is killed.
func TestListener(t *testing.T) {
	port := os.Getenv("PEER_TEST_PORT")
	if port == "" {
		t.Skip("it is the server of TestStart")
	}
	l, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		t.Fatal(err)
	}
	for {
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
	}
}

func TestStartSkips(t *testing.T) {
	t.Setenv("URLKIT_PEERS", "")
	var skipped bool
	t.Run("without scripts", func(t *testing.T) {
		defer func() { skipped = t.Skipped() }()
		peer.Start(t, "nginx.sh", peer.TCP)
	})
	if !skipped {
		t.Error("a test without URLKIT_PEERS went on")
	}
}
