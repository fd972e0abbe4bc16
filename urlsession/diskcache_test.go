package urlsession_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/internal/peer"
	"github.com/urlkit/urlkit/storage/cache"
	"github.com/urlkit/urlkit/urlsession"
)

// cachingVariable makes the test binary a program that loads: it holds a folder for
// the cache, its capacity, a policy and the URLs.
const cachingVariable = "URLKIT_TEST_CACHING"

func TestMain(m *testing.M) {
	if program := os.Getenv(cachingVariable); program != "" {
		if err := loadCached(strings.Fields(program)); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// loadCached prints of each URL where its response came from and the SHA-256 of its
// body, and in the end the most memory it has had, in KiB.
func loadCached(args []string) error {
	capacity, err := strconv.ParseInt(args[1], 10, 64)
	if err != nil {
		return err
	}
	policy, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	cfg := urlsession.EphemeralConfiguration()
	cfg.Cache = cache.New(cache.Config{MemoryCapacity: cache.DefaultMemoryCapacity, DiskCapacity: capacity, Directory: args[0]})
	cfg.CachePolicy = urlsession.CachePolicy(policy)
	s, err := urlsession.New(cfg, nil)
	if err != nil {
		return err
	}
	for _, url := range args[3:] {
		if err := loadOne(s, url); err != nil {
			return err
		}
	}
	fmt.Println("peak", peakMemory())

	return s.Close()
}

func loadOne(s *urlsession.Session, url string) error {
	req, err := urlsession.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	var m urlsession.TaskMetrics
	body, err := s.Bytes(urlsession.WithMetrics(context.Background(), &m), req)
	if err != nil {
		return err
	}
	sum := sha256.New()
	_, err = io.Copy(sum, body)
	if err = errors.Join(err, body.Close()); err != nil {
		return err
	}
	from := "network"
	if m.Transactions[len(m.Transactions)-1].ResourceFetchType == urlsession.FetchLocalCache {
		from = "cache"
	}
	fmt.Printf("%s %x\n", from, sum.Sum(nil))

	return nil
}

// peakMemory is that of this process in KiB; 0 where the system does not tell.
func peakMemory() int {
	status, _ := os.ReadFile("/proc/self/status")
	_, text, _ := strings.Cut(string(status), "VmHWM:")
	text, _, _ = strings.Cut(text, "kB")
	n, _ := strconv.Atoi(strings.TrimSpace(text))

	return n
}

// elsewhere has another process load, and gives what it prints but the memory, which
// it gives by itself.
func elsewhere(t *testing.T, folder string, capacity int64, policy urlsession.CachePolicy, urls ...string) (lines []string, peak int) {
	t.Helper()
	c := exec.CommandContext(t.Context(), os.Args[0])
	c.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d %d %s", cachingVariable, folder, capacity, policy, strings.Join(urls, " ")))
	c.Stderr = os.Stderr
	out, err := c.Output()
	lines = strings.Split(strings.TrimSpace(string(out)), "\n")
	last := lines[len(lines)-1]
	if _, scanned := fmt.Sscanf(last, "peak %d", &peak); err != nil || scanned != nil {
		t.Fatalf("%s, %v", out, err)
	}

	return lines[:len(lines)-1], peak
}

// cacheFiles are the files below a folder.
func cacheFiles(t *testing.T, folder string) (found []string) {
	t.Helper()
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			found = append(found, path)
		}

		return err
	})
	if err != nil {
		t.Fatal(err)
	}

	return found
}

// cachedOrigin is an origin whose responses may be stored, and counts who asks.
type cachedOrigin struct {
	base   string
	folder string // of the cache
	asked  atomic.Int64
}

var largeText = strings.Repeat("0123456789abcdef", 20_000)

func newCachedOrigin(t *testing.T) *cachedOrigin {
	t.Helper()
	o := &cachedOrigin{folder: t.TempDir()}
	o.base = serve(t, "http/1.1", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.asked.Add(1)
		w.Header().Set("Cache-Control", "max-age=3600")
		w.Header().Set("Content-Type", "text/plain")
		if r.URL.Path == "/large" {
			_, _ = io.WriteString(w, largeText)
		} else {
			_, _ = io.WriteString(w, "small")
		}
	}))

	return o
}

// session has a store of its own in the folder.
func (o *cachedOrigin) session(t *testing.T) *urlsession.Session {
	t.Helper()
	store := cache.New(cache.Config{MemoryCapacity: 1 << 20, DiskCapacity: 20 << 20, Directory: o.folder})

	return delegated(t, nil, func(c *urlsession.Configuration) { c.Cache = store })
}

// expect loads a small and a large response. After that the origin must have been
// asked so often in total.
func (o *cachedOrigin) expect(t *testing.T, name string, s *urlsession.Session, asked int64) {
	t.Helper()
	small, _ := load(t, s, get(t, o.base+"/small"))
	large, _ := load(t, s, get(t, o.base+"/large"))
	if small != "small" || large != largeText || o.asked.Load() != asked {
		t.Errorf("%s: %q, %d bytes, the origin was asked %d times, want %d", name, small, len(large), o.asked.Load(), asked)
	}
}

// What a session stores on a disk is served to the next session and to another
// process.
func TestCacheOnDisk(t *testing.T) {
	leak.Check(t)
	o := newCachedOrigin(t)
	s := o.session(t)
	o.expect(t, "the first load", s, 2)
	o.expect(t, "the second", s, 2)
	o.expect(t, "another session", o.session(t), 2)
	lines, _ := elsewhere(t, o.folder, 20<<20, urlsession.UseProtocolCachePolicy, o.base+"/small", o.base+"/large", o.base+"/new")
	want := []string{
		fmt.Sprintf("cache %x", sha256.Sum256([]byte("small"))), fmt.Sprintf("cache %x", sha256.Sum256([]byte(largeText))),
		fmt.Sprintf("network %x", sha256.Sum256([]byte("small"))),
	}
	if strings.Join(lines, "\n") != strings.Join(want, "\n") || o.asked.Load() != 3 {
		t.Errorf("another process: %q, want %q", lines, want)
	}
	if got, _ := load(t, s, get(t, o.base+"/new")); got != "small" || o.asked.Load() != 3 {
		t.Errorf("what another process stored: %q, the origin was asked %d times", got, o.asked.Load())
	}
}

// Flush writes when it was used, what the next process evicts by; Reset deletes the
// files, and the next load asks the origin.
func TestFlushAndResetOfTheDisk(t *testing.T) {
	leak.Check(t)
	o := newCachedOrigin(t)
	s := o.session(t)
	o.expect(t, "the first load", s, 2)
	old := time.Now().Add(-time.Hour)
	for _, name := range cacheFiles(t, o.folder) {
		if err := os.Chtimes(name, old, old); err != nil {
			t.Fatal(err)
		}
	}
	if small, _ := load(t, s, get(t, o.base+"/small")); small != "small" { // from memory
		t.Errorf("from memory: %q", small)
	}
	if err := s.Flush(t.Context()); err != nil {
		t.Error(err)
	}
	recent := 0
	for _, name := range cacheFiles(t, o.folder) {
		if info, err := os.Stat(name); err == nil && time.Since(info.ModTime()) < time.Minute {
			recent++
		}
	}
	if recent == 0 {
		t.Error("after Flush no file tells of its use")
	}
	if err := s.Reset(t.Context()); err != nil {
		t.Error(err)
	}
	if left := cacheFiles(t, o.folder); len(left) != 0 {
		t.Errorf("after Reset: %q", left)
	}
	o.expect(t, "after Reset", s, 4)
}

// ExampleCacheKey removes one response from the cache.
func ExampleCacheKey() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=3600")
		_, _ = io.WriteString(w, "hello")
	}))
	defer server.Close()
	s, err := urlsession.New(urlsession.EphemeralConfiguration(), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	ctx := context.Background()
	req, err := urlsession.NewRequest(http.MethodGet, server.URL+"/page#top", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, _, err := s.Data(ctx, req); err != nil {
		fmt.Println(err)
		return
	}
	store, key := s.Configuration().Cache, urlsession.CacheKey(req.URL)
	found, err := store.Lookup(ctx, key)
	fmt.Println(len(found), found[0].StatusCode, found[0].Length, err)
	fmt.Println(store.Remove(ctx, key, nil))
	found, err = store.Lookup(ctx, key)
	fmt.Println(len(found), err)
	// Output:
	// 1 200 5 <nil>
	// <nil>
	// 0 <nil>
}

// TestCacheOnDiskFails has a file where the folder of the cache should be: loads go
// on, and metrics say why nothing is stored.
func TestCacheOnDiskFails(t *testing.T) {
	leak.Check(t)
	base := serve(t, "http/1.1", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=3600")
		_, _ = io.WriteString(w, strings.Repeat("x", 100_000))
	}))
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	store := cache.New(cache.Config{DiskCapacity: 20 << 20, Directory: file})
	s := delegated(t, nil, func(c *urlsession.Configuration) { c.Cache = store })
	for range 2 {
		var m urlsession.TaskMetrics
		data, _, err := s.Data(urlsession.WithMetrics(t.Context(), &m), get(t, base))
		if err != nil || len(data) != 100_000 {
			t.Errorf("%d bytes, %v", len(data), err)
		}
		if why := m.Transactions[0].Cache; !strings.Contains(why, "cannot be written") {
			t.Errorf("the cache had to say: %q", why)
		}
	}
	if err := s.Flush(t.Context()); err != nil {
		t.Error(err)
	}
}

// A GiB from a real server is stored, and served again, by processes of little
// memory.
func TestPeerCacheOfAGiB(t *testing.T) {
	const mostKiB = 60 << 10
	p := peer.Start(t, "nginx.sh", peer.TCP, peer.TCP)
	sum := sha256.New()
	f, err := os.Create(filepath.Join(p.Dir, "www", "1GiB"))
	if err != nil {
		t.Fatal(err)
	}
	piece := []byte(strings.Repeat("sixteen bytes...", 1<<16))
	for i := range 1024 {
		copy(piece, strconv.Itoa(i))
		_, _ = sum.Write(piece)
		if _, err := f.Write(piece); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(f.Name(), 0o644); err != nil {
		t.Fatal(err)
	}
	folder, url := t.TempDir(), "http://"+p.Addr(0)+"/1GiB"
	for _, from := range []string{"network", "cache"} {
		began := time.Now()
		lines, peak := elsewhere(t, folder, 30<<30, urlsession.ReturnCacheElseLoad, url)
		t.Logf("from the %s in %v, peak %d KiB", from, time.Since(began), peak)
		if want := fmt.Sprintf("%s %x", from, sum.Sum(nil)); len(lines) != 1 || lines[0] != want {
			t.Errorf("%q, want %q", lines, want)
		}
		if peak > mostKiB || peak == 0 && runtime.GOOS == "linux" {
			t.Errorf("from the %s: the peak is %d KiB, at most %d is allowed", from, peak, mostKiB)
		}
	}
}
