package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/urlkit/urlkit/bench/internal/child"
	"github.com/urlkit/urlkit/bench/internal/origin"
	"github.com/urlkit/urlkit/internal/peer"
)

// With the defaults this is a test; with more it is the measurement.
var (
	length = flag.Int64("bytes", 128<<20, "length of the file")
	rounds = flag.Int("rounds", 1, "rounds; each runs every client once in every setting")
)

func TestMain(m *testing.M) {
	child.Main(roles)
	os.Exit(m.Run())
}

// The times are printed and not judged: one round of a short file on a machine
// that does other things as well says little.
func TestPeerDownload(t *testing.T) {
	nginx := peer.Start(t, "nginx.sh", peer.TCP, peer.TCP)
	c := comparison{folder: t.TempDir(), rounds: *rounds, length: *length}
	c.sum = writeContent(t, filepath.Join(nginx.Dir, "www", "large.bin"), *length)
	var err error
	if c.ca, err = os.ReadFile(nginx.CAFile); err != nil {
		t.Fatal(err)
	}
	for _, base := range []string{"http://" + nginx.Addr(0), "https://" + nginx.Addr(1)} {
		c.settings = append(c.settings, settings(base+"/large.bin")...)
	}
	var without string
	c.contenders, without = contenders()
	samples, err := c.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(c.folder); err != nil || len(entries) != 0 {
		t.Errorf("%v are left, %v", entries, err)
	}
	rows := c.rows(samples)
	for _, r := range rows {
		if r.cpu.Min <= 0 || r.rate.Min <= 0 || r.contender == byCopy && r.cpuToCopy.Median != 1 {
			t.Errorf("%+v", r)
		}
	}
	var table bytes.Buffer
	if err := c.write(&table, rows, without); err != nil {
		t.Fatal(err)
	}
	t.Logf("\n%s", &table)
	for _, text := range []string{"HTTP/1.1 clear text", "HTTP/1.1 TLS", "HTTP/2 TLS", bySession, byCopy, byCopySync, byCurl} {
		if !strings.Contains(table.String(), text) {
			t.Errorf("the table lacks %q", text)
		}
	}
}

// writeContent writes a file of that length, and returns its digest.
func writeContent(t *testing.T, name string, length int64) string {
	t.Helper()
	file, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.New()
	n, err := io.CopyBuffer(io.MultiWriter(file, sum), io.LimitReader(origin.Content(), length), make([]byte, 256<<10))
	if err != nil || n != length {
		t.Fatalf("wrote %d of %d bytes: %v", n, length, err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}

	return hex.EncodeToString(sum.Sum(nil))
}
