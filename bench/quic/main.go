//go:build unix

// Command quic compares HTTP/3 by a session with quic-go's own http3.Transport, side by
// side in one run: a GET of 1 KiB by 1 and by 64 workers, and a download of 256 MiB,
// from a server in a process of its own on loopback. It prints what each costs the
// client's process (user and system time) and how fast it is.
//
// The two take turns within each round; a ratio is that of one round, and what is
// printed is the median of the rounds with the least and the greatest.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/quic-go/quic-go/http3"

	"github.com/urlkit/urlkit/bench/internal/child"
	"github.com/urlkit/urlkit/bench/internal/spread"
	"github.com/urlkit/urlkit/storage/cache"
	"github.com/urlkit/urlkit/urlsession"
)

const server = "server"

var roles = map[string]child.Role{server: serve}

func main() {
	child.Main(roles)
	rounds := flag.Int("rounds", 9, "rounds; each runs both clients once in every case")
	duration := flag.Duration("duration", 500*time.Millisecond, "how long a client makes small requests in a round")
	size := flag.Int64("size", 256<<20, "bytes of the download")
	flag.Parse()
	if flag.NArg() > 0 || *rounds < 1 || *duration <= 0 || *size < 1 {
		fmt.Fprintln(os.Stderr, "quic: takes no arguments, at least one round, a duration and a size above zero")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Stdout, *rounds, *duration, *size)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "quic:", err)
		os.Exit(1)
	}
}

// get loads a URL and says how long its body was.
type get func(ctx context.Context, url string) (int64, error)

// setting is what the two are compared under: bytes of one body, and workers that load
// it for the duration; 0: each once.
type setting struct {
	name     string
	path     string
	bytes    int64
	workers  int
	duration time.Duration
}

// sample is what one client did in one round.
type sample struct {
	cpu  float64 // microseconds for one request
	rate float64 // bytes a second
}

func run(ctx context.Context, out io.Writer, rounds int, duration time.Duration, size int64) (err error) {
	process, err := child.Start(server)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, process.Stop()) }()
	var o origin
	if err := process.Receive(&o); err != nil {
		return fmt.Errorf("the server did not start: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(o.CA) {
		return errors.New("the server's certificate cannot be read")
	}
	raw := &http3.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableCompression: true}
	defer raw.Close()
	configuration := urlsession.EphemeralConfiguration()
	configuration.RootCAs = roots
	configuration.Cache = cache.None // http3.Transport has none
	session, err := urlsession.New(configuration, nil)
	if err != nil {
		return err
	}
	defer session.Close()
	table := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "HTTP/3\tclient\tCPU per request\tMB/s\tCPU to raw\tspeed to raw")
	for _, s := range []setting{
		{"1 KiB, 1 worker", "/1024", 1 << 10, 1, duration},
		{"1 KiB, 64 workers", "/1024", 1 << 10, 64, duration},
		{fmt.Sprintf("%d MiB", size>>20), fmt.Sprintf("/%d", size), size, 1, 0},
	} {
		clients := [2]get{byTransport(raw), bySession(session)}
		if s.bytes > 1<<20 {
			clients = [2]get{byBuffer(raw), byStream(session)}
		}
		if err := compare(ctx, table, rounds, s, o.URL+s.path, clients); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}

	return table.Flush()
}

// compare runs the rounds of one setting, and prints a row for each client.
func compare(ctx context.Context, out io.Writer, rounds int, s setting, url string, clients [2]get) error {
	var samples [2][]sample
	for round := range rounds + 1 { // the first warms up
		for turn := range clients {
			i := (turn + round) % len(clients)
			one, err := measure(ctx, s, url, clients[i])
			if err != nil {
				return err
			}
			if round > 0 {
				samples[i] = append(samples[i], one)
			}
		}
	}
	for i, name := range []string{"http3.Transport", "Session"} {
		var cpu, rate, cpuTo, rateTo []float64
		for n, one := range samples[i] {
			cpu, rate = append(cpu, one.cpu), append(rate, one.rate/1e6)
			cpuTo, rateTo = append(cpuTo, one.cpu/samples[0][n].cpu), append(rateTo, one.rate/samples[0][n].rate)
		}
		c, r, ct, rt := spread.Of(cpu), spread.Of(rate), spread.Of(cpuTo), spread.Of(rateTo)
		if _, err := fmt.Fprintf(out, "%s\t%s\t%.0f us\t%.1f\t%.2f (%.2f to %.2f)\t%.2f (%.2f to %.2f)\n",
			s.name, name, c.Median, r.Median, ct.Median, ct.Min, ct.Max, rt.Median, rt.Min, rt.Max); err != nil {
			return err
		}
	}

	return nil
}

func measure(ctx context.Context, s setting, url string, load get) (sample, error) {
	before, err := processorTime()
	if err != nil {
		return sample{}, err
	}
	begin := time.Now()
	var count atomic.Int64
	var group sync.WaitGroup
	errs := make([]error, s.workers)
	for i := range s.workers {
		group.Go(func() {
			for first := true; first || time.Since(begin) < s.duration; first = false {
				n, err := load(ctx, url)
				if err == nil && n != s.bytes {
					err = fmt.Errorf("%d bytes of %d", n, s.bytes)
				}
				if errs[i] = err; err != nil {
					return
				}
				count.Add(1)
			}
		})
	}
	group.Wait()
	took := time.Since(begin)
	after, err := processorTime()
	if err = errors.Join(append(errs, err)...); err != nil {
		return sample{}, err
	}
	n := float64(count.Load())

	return sample{float64(after-before) / float64(time.Microsecond) / n, n * float64(s.bytes) / took.Seconds()}, nil
}

// processorTime is the user and system time of this process.
func processorTime() (time.Duration, error) {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0, err
	}

	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()), nil
}

// fields are what a session sends by itself: what goes over the wire is to be the same.
var fields = http.Header{
	"Accept":          {"*/*"},
	"Accept-Encoding": {"gzip, deflate, br, zstd"},
	"User-Agent":      {"urlkit/" + urlsession.Version},
}

// byTransport is quic-go's client, which reads a body whole and in the cheapest way:
// into a slice of its length.
func byTransport(t *http3.Transport) get {
	return func(ctx context.Context, url string) (int64, error) {
		resp, err := roundTrip(ctx, t, url)
		if err != nil {
			return 0, err
		}
		data := make([]byte, resp.ContentLength)
		n, err := io.ReadFull(resp.Body, data)
		if err == nil {
			if _, end := resp.Body.Read(data[:1]); !errors.Is(end, io.EOF) {
				err = fmt.Errorf("no end: %w", end)
			}
		}

		return int64(n), errors.Join(err, resp.Body.Close())
	}
}

// byBuffer is quic-go's client, which reads a body by a buffer.
func byBuffer(t *http3.Transport) get {
	buffer := make([]byte, 64<<10)

	return func(ctx context.Context, url string) (int64, error) {
		resp, err := roundTrip(ctx, t, url)
		if err != nil {
			return 0, err
		}
		n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{resp.Body}, buffer)

		return n, errors.Join(err, resp.Body.Close())
	}
}

func roundTrip(ctx context.Context, t *http3.Transport, url string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	req.Header = fields.Clone()

	return t.RoundTrip(req)
}

func assuming(url string) (*urlsession.Request, error) {
	req, err := urlsession.NewRequest(http.MethodGet, url, nil)
	if err == nil {
		req.AssumesHTTP3Capable = true
	}

	return req, err
}

func bySession(s *urlsession.Session) get {
	return func(ctx context.Context, url string) (int64, error) {
		req, err := assuming(url)
		if err != nil {
			return 0, err
		}
		data, resp, err := s.Data(ctx, req)
		if err == nil && resp.Proto != "h3" {
			err = fmt.Errorf("by %s", resp.Proto)
		}

		return int64(len(data)), err
	}
}

func byStream(s *urlsession.Session) get {
	buffer := make([]byte, 64<<10)

	return func(ctx context.Context, url string) (int64, error) {
		req, err := assuming(url)
		if err != nil {
			return 0, err
		}
		body, err := s.Bytes(ctx, req)
		if err != nil {
			return 0, err
		}
		n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{body}, buffer)
		if proto := body.Response().Proto; err == nil && proto != "h3" {
			err = fmt.Errorf("by %s", proto)
		}

		return n, errors.Join(err, body.Close())
	}
}
