package urlsession_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/urlsession"
)

// A few requests through a relay that hurts their connections. URLKIT_SEED repeats a
// run.
func TestFaultRun(t *testing.T) { faultRun(t, 90) }

// The same with two thousand, which takes longer than a test should.
func TestPeerFaultRun(t *testing.T) {
	if os.Getenv("URLKIT_PEERS") == "" {
		t.Skip("URLKIT_PEERS is not set: the long run goes with the tests against real servers")
	}
	faultRun(t, 2000)
}

// The clocks of the requests: none may last longer.
const (
	faultRequestTimeout  = 500 * time.Millisecond
	faultResourceTimeout = 5 * time.Second
	faultSlack           = 5 * time.Second // for a machine that is busy
)

// faultCodes are what a broken connection may end in.
var faultCodes = []urlsession.Code{
	urlsession.TimedOut, urlsession.NetworkConnectionLost, urlsession.CannotConnectToHost, urlsession.SecureConnectionFailed,
}

// randomBytes are the body of a seed: of what compresses by half.
func randomBytes(seed uint64, n int64) []byte {
	random := rand.New(rand.NewPCG(seed, 2))
	data := make([]byte, n)
	for i := range data {
		data[i] = "0123456789abcdef"[random.Uint32()%16]
	}

	return data
}

// faultOrigin serves bodies by their seed and size: /plain with a length and ranges,
// /chunked without, /gzip coded; /echo gives back what it is sent.
func faultOrigin(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/echo" {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		_, _ = w.Write(body)

		return
	}
	seed, _ := strconv.ParseUint(r.FormValue("seed"), 10, 64)
	size, _ := strconv.ParseInt(r.FormValue("size"), 10, 64)
	body := randomBytes(seed, size)
	w.Header().Set("Content-Type", "text/plain")
	w.Header().Set("ETag", fmt.Sprintf(`"%s-%d-%d"`, r.URL.Path, seed, size))
	switch r.URL.Path {
	case "/chunked":
		for piece := range slices.Chunk(body, 1000) {
			_, _ = w.Write(piece)
			_ = http.NewResponseController(w).Flush()
		}
	case "/gzip":
		var coded bytes.Buffer
		z := gzip.NewWriter(&coded)
		_, _ = z.Write(body)
		_ = z.Close()
		w.Header().Set("Content-Encoding", "gzip")
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(coded.Bytes()))
	default:
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
	}
}

// faultRun makes so many requests, and counts how they end.
func faultRun(t *testing.T, requests int) {
	leak.Check(t)
	leak.CheckFiles(t)
	t.Setenv("TMPDIR", t.TempDir())
	seed := faultSeed(t)
	run := &counts{ended: make(map[string]int)}
	for i, wire := range wires {
		base := newRelay(t, serve(t, wire, http.HandlerFunc(faultOrigin)), randomFaults(seed+uint64(i)))
		for _, policy := range []urlsession.RetryPolicy{{}, {Attempts: 4, FirstDelay: 5 * time.Millisecond, Continuations: 8}} {
			s := session(t, func(c *urlsession.Configuration) {
				c.RequestTimeout, c.ResourceTimeout = faultRequestTimeout, faultResourceTimeout
				c.Retry = policy
			})
			name := wire + " without a policy"
			if policy.Attempts > 0 {
				name = wire + " with a policy"
			}
			run.make(t, s, name, base, seed, requests/(2*len(wires))+1)
		}
	}
	run.report(t, seed)
}

// faultSeed is the seed of a run, told.
func faultSeed(t *testing.T) uint64 {
	t.Helper()
	seed := rand.Uint64()
	if text := os.Getenv("URLKIT_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("seed %d", seed)

	return seed
}

// counts is how many requests ended in which way.
type counts struct {
	http3 bool // the requests assume that the server speaks it

	mu    sync.Mutex
	ended map[string]int
}

// report tells how the requests of a run ended, and looks for what they have left.
func (c *counts) report(t *testing.T, seed uint64) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(c.ended)) {
		t.Logf("seed %d: %-36s %d", seed, name, c.ended[name])
	}
	left, err := os.ReadDir(os.TempDir())
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func (c *counts) add(name string, err error) {
	how := "right"
	var e *urlsession.Error
	if errors.As(err, &e) {
		how = e.Code.Error()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended[name+", "+how]++
	c.ended["all, "+how]++
}

// make makes the requests of one session, several at a time.
func (c *counts) make(t *testing.T, s *urlsession.Session, name, base string, seed uint64, requests int) {
	const workers = 16
	next := make(chan int)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for i := range next {
				began := time.Now()
				err := c.request(t, s, base, seed+uint64(i))
				if took := time.Since(began); took > faultResourceTimeout+faultSlack {
					t.Errorf("%s, request %d took %v", name, i, took)
				}
				var e *urlsession.Error
				if err != nil && (!errors.As(err, &e) || err != error(e) || !slices.Contains(faultCodes, e.Code)) {
					t.Errorf("%s, request %d: %v (%T)", name, i, err, err)
				}
				c.add(name, err)
			}
		})
	}
	for i := range requests {
		next <- i
	}
	close(next)
	wg.Wait()
}

// request makes one random request, and checks what came.
func (c *counts) request(t *testing.T, s *urlsession.Session, base string, seed uint64) error {
	random := rand.New(rand.NewPCG(seed, 3))
	size := logarithmic(random, 300_000)
	want := randomBytes(seed, size)
	kind := []string{"/plain", "/chunked", "/gzip", "/echo", "/echo", "download"}[random.IntN(6)]
	url := fmt.Sprintf("%s%s?seed=%d&size=%d", base, kind, seed, size)
	ctx, cancel := context.WithTimeout(t.Context(), faultResourceTimeout+faultSlack)
	defer cancel()
	req := get(t, strings.Replace(url, "download", "/plain", 1))
	if kind == "/echo" {
		req = request(t, []string{http.MethodPut, http.MethodPost}[random.IntN(2)], url, urlsession.BytesBody(want))
	}
	req.AssumesHTTP3Capable = c.http3
	var got []byte
	var err error
	switch kind {
	case "download":
		task := s.DownloadTask(req)
		task.SaveTo = filepath.Join(t.TempDir(), "file")
		task.Resume()
		if err = task.Wait(ctx); ctx.Err() != nil {
			t.Errorf("%s hangs", url)
		}
		if err == nil {
			got, err = os.ReadFile(task.SaveTo)
		} else if _, missing := os.Stat(task.SaveTo); !errors.Is(missing, os.ErrNotExist) {
			t.Errorf("%s failed and left a file: %v", url, missing)
		}
		_ = os.Remove(task.SaveTo)
	default:
		got, _, err = s.Data(ctx, req)
	}
	if err == nil && !bytes.Equal(got, want) {
		t.Errorf("%s gave %d bytes that are not the %d right ones", url, len(got), len(want))
	}

	return err
}
