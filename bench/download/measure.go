package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/urlkit/urlkit/bench/internal/child"
)

// The protocols, by their names in ALPN.
const (
	http1 = "http/1.1"
	http2 = "h2"
)

const byCurl = "curl -o"

// contender downloads by a process of its own. It tells the protocol, and the
// processor time of that process.
type contender struct {
	name string
	load func(ctx context.Context, o order) (protocol string, used time.Duration, err error)
}

// contenders are all that this machine has; without says what is missing, and why.
func contenders() (all []contender, without string) {
	for _, way := range []string{byCopy, bySession, byCopySync} {
		all = append(all, contender{way, func(_ context.Context, o order) (string, time.Duration, error) {
			o.Way = way

			return inChild(o)
		}})
	}
	program, err := exec.LookPath("curl")
	if err != nil {
		return all, fmt.Sprintf("without %s: %v", byCurl, err)
	}
	all = append(all, contender{byCurl, func(ctx context.Context, o order) (string, time.Duration, error) {
		return curl(ctx, program, o)
	}})

	return all, ""
}

func inChild(o order) (protocol string, used time.Duration, err error) {
	process, err := child.Start(client)
	if err != nil {
		return "", 0, err
	}
	err = process.Send(o)
	if err == nil {
		err = process.Receive(&protocol)
	}
	err = errors.Join(err, process.Stop())

	return protocol, process.ProcessorTime(), err
}

func curl(ctx context.Context, program string, o order) (protocol string, used time.Duration, err error) {
	args := []string{"--disable", "--silent", "--show-error", "--fail", "--noproxy", "*", "--write-out", "%{http_version}", "-o", o.Path}
	if o.HTTP2 {
		args = append(args, "--http2")
	} else {
		args = append(args, "--http1.1")
	}
	if o.CA != nil {
		authority := o.Path + ".pem"
		if err := os.WriteFile(authority, o.CA, 0o600); err != nil {
			return "", 0, err
		}
		args = append(args, "--cacert", authority)
	}
	command := exec.CommandContext(ctx, program, append(args, o.URL)...)
	command.Stderr = os.Stderr
	version, err := command.Output()
	if err != nil {
		return "", 0, fmt.Errorf("curl: %w", err)
	}
	protocol = http1
	if string(version) == "2" {
		protocol = http2
	}

	return protocol, command.ProcessState.UserTime() + command.ProcessState.SystemTime(), nil
}

// setting is what all contenders are compared under.
type setting struct {
	name, url string
	http2     bool
}

func (s setting) protocol() string {
	if s.http2 {
		return http2
	}

	return http1
}

// settings are those of a URL.
func settings(url string) []setting {
	if !strings.HasPrefix(url, "https:") {
		return []setting{{"HTTP/1.1 clear text", url, false}}
	}

	return []setting{{"HTTP/1.1 TLS", url, false}, {"HTTP/2 TLS", url, true}}
}

// sample is one download.
type sample struct {
	cpu  float64 // seconds
	rate float64 // MB/s, of the process from its start to its end
}

// comparison is what is measured.
type comparison struct {
	settings   []setting
	contenders []contender
	ca         []byte
	folder     string // where a folder for the files is made, and removed afterwards
	rounds     int
	sum        string // SHA-256 of the file; "": that of the first download
	length     int64  // of the file; 0: that of the first download
}

// run gives the samples by setting, contender and round. The order of the
// contenders turns with each round, so that none always follows the same other.
func (c *comparison) run(ctx context.Context) (samples [][][]sample, err error) {
	folder, err := os.MkdirTemp(c.folder, "download-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	if folder, err = filepath.Abs(folder); err != nil {
		return nil, err
	}
	samples = make([][][]sample, len(c.settings))
	for i, s := range c.settings {
		samples[i] = make([][]sample, len(c.contenders))
		for round := range c.rounds {
			for turn := range c.contenders {
				j := (turn + round) % len(c.contenders)
				one, err := c.measure(ctx, s, c.contenders[j], folder, round == 0)
				if err != nil {
					return nil, fmt.Errorf("%s, %s: %w", s.name, c.contenders[j].name, err)
				}
				samples[i][j] = append(samples[i][j], one)
			}
		}
	}

	return samples, nil
}

// measure downloads once. The file is removed before the next one is made, so that
// nobody pays for what another has left to the system to write.
func (c *comparison) measure(ctx context.Context, s setting, by contender, folder string, digest bool) (sample, error) {
	if err := ctx.Err(); err != nil {
		return sample{}, err
	}
	path := filepath.Join(folder, "file")
	begin := time.Now()
	protocol, used, err := by.load(ctx, order{URL: s.url, Path: path, CA: c.ca, HTTP2: s.http2})
	elapsed := time.Since(begin)
	if err == nil && protocol != s.protocol() {
		err = fmt.Errorf("it spoke %s, not %s", protocol, s.protocol())
	}
	if err == nil {
		err = c.check(path, digest)
	}
	if err := errors.Join(err, os.RemoveAll(path)); err != nil {
		return sample{}, err
	}

	return sample{cpu: used.Seconds(), rate: float64(c.length) / 1e6 / elapsed.Seconds()}, nil
}

// check looks whether a file is the right one, and the only one.
func (c *comparison) check(path string, digest bool) error {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return err
	}
	entries = slices.DeleteFunc(entries, func(e os.DirEntry) bool { return filepath.Ext(e.Name()) == ".pem" })
	if len(entries) != 1 {
		return fmt.Errorf("%d files are there, not one: %v", len(entries), entries)
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if c.length == 0 {
		c.length = info.Size()
	}
	if info.Size() != c.length {
		return fmt.Errorf("the file has %d bytes, not %d", info.Size(), c.length)
	}
	if !digest {
		return nil
	}
	sum, err := digestOf(path)
	if c.sum == "" {
		c.sum = sum
	}
	if err == nil && sum != c.sum {
		err = fmt.Errorf("the file's SHA-256 is %s, not %s", sum, c.sum)
	}

	return err
}

func digestOf(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	sum := sha256.New()
	if _, err := io.CopyBuffer(sum, struct{ io.Reader }{file}, make([]byte, 256<<10)); err != nil {
		return "", err
	}

	return hex.EncodeToString(sum.Sum(nil)), nil
}
