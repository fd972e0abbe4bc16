//go:build !race

package main

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/urlkit/urlkit/bench/internal/child"
	"github.com/urlkit/urlkit/bench/internal/origin"
	"github.com/urlkit/urlkit/internal/peer"
	"github.com/urlkit/urlkit/urlsession"
)

// mostResident is what loading a body of any length may hold, in bytes. The race
// detector needs more, so that these tests are not for its runs.
const mostResident = 40e6

func TestMain(m *testing.M) {
	child.Main(roles)
	os.Exit(m.Run())
}

func needLinux(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("resident memory is read from /proc, which is Linux's")
	}
}

func TestPeerStreamOneGiB(t *testing.T) {
	needLinux(t)
	nginx := peer.Start(t, "nginx.sh", peer.TCP, peer.TCP)
	want := writeContent(t, filepath.Join(nginx.Dir, "www", "large.bin"))
	authority, err := os.ReadFile(nginx.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ protocol, url string }{
		{"http/1.1", "http://" + nginx.Addr(0) + "/large.bin"},
		{"h2", "https://" + nginx.Addr(1) + "/large.bin"},
	} {
		t.Run(test.protocol, func(t *testing.T) {
			r, err := load(order{URL: test.url, CA: authority})
			if err != nil {
				t.Fatal(err)
			}
			t.Log(r)
			if r.Protocol != test.protocol || r.Code != 0 || r.Bytes != origin.LargeBody || r.SHA256 != want {
				t.Errorf("want %s, %d bytes and SHA-256 %s", test.protocol, origin.LargeBody, want)
			}
			if r.Peak <= 0 || r.Peak >= mostResident {
				t.Errorf("the process had %d bytes resident, want less than %.0f", r.Peak, mostResident)
			}
		})
	}
}

// writeContent writes the large body, and returns its digest.
func writeContent(t *testing.T, name string) string {
	t.Helper()
	file, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.New()
	n, err := io.CopyBuffer(io.MultiWriter(file, sum), origin.Content(), make([]byte, 256<<10))
	if err != nil || n != origin.LargeBody {
		t.Fatalf("wrote %d bytes: %v", n, err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}

	return hex.EncodeToString(sum.Sum(nil))
}

func TestStreamCut(t *testing.T) {
	needLinux(t)
	server, err := child.Start(cutOrigin)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	}()
	var address origin.Address
	if err := server.Receive(&address); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ name, protocol, url string }{
		{"h1 closed", "http/1.1", address.HTTP + "short"},
		{"h1 aborted", "http/1.1", address.HTTP + "abort"},
		{"h2 ended early", "h2", address.HTTPS + "short"},
		{"h2 aborted", "h2", address.HTTPS + "abort"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, err := load(order{URL: test.url, CA: address.CA})
			if err != nil {
				t.Fatal(err)
			}
			t.Log(r)
			if r.Protocol != test.protocol {
				t.Errorf("over %s, want %s", r.Protocol, test.protocol)
			}
			// What an aborting server has not sent yet is lost with it.
			if r.Bytes > origin.CutAt || r.Bytes < origin.CutAt/100*99 {
				t.Errorf("%d bytes, want nearly %d", r.Bytes, origin.CutAt)
			}
			if r.Code != int(urlsession.NetworkConnectionLost) || !r.Cut {
				t.Errorf("ended in %d (%q), want %d wrapping io.ErrUnexpectedEOF", r.Code, r.Err, urlsession.NetworkConnectionLost)
			}
			if r.Peak <= 0 || r.Peak >= mostResident {
				t.Errorf("the process had %d bytes resident, want less than %.0f", r.Peak, mostResident)
			}
		})
	}
}
