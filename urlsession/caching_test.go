package urlsession_test

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/storage/cache"
	"github.com/urlkit/urlkit/urlsession"
)

// cachingOrigin counts what it is asked for.
type cachingOrigin struct {
	mu    sync.Mutex
	asked map[string]int
}

func (o *cachingOrigin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	if o.asked == nil {
		o.asked = make(map[string]int)
	}
	o.asked[r.URL.Path]++
	o.mu.Unlock()
	w.Header().Set("ETag", `"1"`)
	switch r.URL.Path {
	case "/fresh":
		w.Header().Set("Cache-Control", "max-age=3600")
	case "/old":
		w.Header().Set("Cache-Control", "no-cache")
		if r.Header.Get("If-None-Match") == `"1"` {
			w.WriteHeader(http.StatusNotModified)

			return
		}
	}
	if r.URL.Path == "/empty" {
		w.Header().Set("Content-Length", "0")
		return
	}
	_, _ = io.WriteString(w, "hello")
}

func (o *cachingOrigin) count(path string) int {
	o.mu.Lock()
	defer o.mu.Unlock()

	return o.asked[path]
}

// cacheOrder is a task that follows one that has loaded the same.
type cacheOrder struct {
	name, path, want string
	asked            int // of the origin
	from             urlsession.ResourceFetchType
	says             string
	answer           func(*urlsession.CachedResponse) *urlsession.CachedResponse // nil: what is proposed
}

// cacheOrders are the rows of the reference's §4.2 that are about the cache.
var cacheOrders = []cacheOrder{
	{
		"cached response", "/fresh", "created response(200) data* metrics(1) complete(nil)", 1,
		urlsession.FetchLocalCache, "hit: fresh", nil,
	},
	{
		"validated response", "/old", "created response(200) data* metrics(1) complete(nil)", 2,
		urlsession.FetchNetworkLoad, "revalidated: it says no-cache", nil,
	},
	{
		"not to be stored", "/fresh", "created response(200) data* caches(200) metrics(1) complete(nil)", 2,
		urlsession.FetchNetworkLoad, "miss: nothing is stored; not stored: the delegate does not allow it",
		func(*urlsession.CachedResponse) *urlsession.CachedResponse { return nil },
	},
	{
		"not to be stored, and empty", "/empty", "created response(200) caches(200) metrics(1) complete(nil)", 2,
		urlsession.FetchNetworkLoad, "miss: nothing is stored; not stored: the delegate does not allow it",
		func(*urlsession.CachedResponse) *urlsession.CachedResponse { return nil },
	},
	{
		"in memory only", "/fresh", "created response(200) data* metrics(1) complete(nil)", 1,
		urlsession.FetchLocalCache, "hit: fresh",
		func(proposed *urlsession.CachedResponse) *urlsession.CachedResponse {
			return &urlsession.CachedResponse{Response: proposed.Response, StoragePolicy: urlsession.StorageAllowedInMemoryOnly}
		},
	},
}

func TestCallbackOrderOfTheCache(t *testing.T) {
	for _, row := range cacheOrders {
		t.Run(row.name, func(t *testing.T) {
			for _, wire := range allWires {
				t.Run(wire, row.test(wire))
			}
		})
	}
}

func (row *cacheOrder) test(wire string) func(t *testing.T) {
	return func(t *testing.T) {
		o := &cachingOrigin{}
		base := serve(t, wire, o)
		leak.Check(t)
		words := &recorder{}
		d := words.delegate()
		asks, collects := d.WillCacheResponse, d.DidFinishCollecting
		d.WillCacheResponse = func(ctx context.Context, task urlsession.Task, proposed *urlsession.CachedResponse) *urlsession.CachedResponse {
			answer := asks(ctx, task, proposed)
			if row.answer != nil {
				answer = row.answer(answer)
			}

			return answer
		}
		var metrics *urlsession.TaskMetrics
		d.DidFinishCollecting = func(task urlsession.Task, m *urlsession.TaskMetrics) {
			metrics = m
			collects(task, m)
		}
		folder := t.TempDir()
		s := delegated(t, d, func(c *urlsession.Configuration) {
			c.Cache = cache.New(cache.Config{MemoryCapacity: 1 << 20, DiskCapacity: 1 << 20, Directory: folder})
		})
		for range 2 {
			words.mu.Lock()
			words.words = nil
			words.mu.Unlock()
			task := s.DataTask(get(t, base+row.path))
			task.Resume()
			if err := wait(t, task); err != nil {
				t.Fatal(err)
			}
		}
		if got := words.String(); got != row.want || o.count(row.path) != row.asked {
			t.Errorf("got  %s\nwant %s; the origin was asked %d times", got, row.want, o.count(row.path))
		}
		if m := metrics.Transactions[0]; m.ResourceFetchType != row.from || m.Cache != row.says ||
			m.RequestStart.IsZero() || m.ResponseStart.IsZero() || m.ResponseEnd.IsZero() {
			t.Errorf("from %d, %q, %+v", m.ResourceFetchType.Raw(), m.Cache, m)
		}
		if row.name == "in memory only" && len(filesIn(t, folder)) > 0 {
			t.Errorf("on the disk: %v", filesIn(t, folder))
		}
	}
}

func filesIn(t *testing.T, folder string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(folder, func(path string, entry os.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			files = append(files, path)
		}

		return err
	})
	if err != nil {
		t.Fatal(err)
	}

	return files
}

// Uploads and downloads go past the cache, and data, streams and RoundTrippers do not.
func TestWhatUsesTheCache(t *testing.T) {
	leak.Check(t)
	o := &cachingOrigin{}
	base := serve(t, "http/1.1", o)
	s := session(t, nil)
	ctx := t.Context()
	fresh := get(t, base+"/fresh")
	path := filepath.Join(t.TempDir(), "file")
	client := http.Client{Transport: s.RoundTripper()}
	for _, step := range []struct {
		name  string
		load  func() error
		asked int
	}{
		{"download", func() error { _, err := s.Download(ctx, fresh, path); return err }, 1},
		{"data", func() error { _, _, err := s.Data(ctx, fresh); return err }, 2},
		{"download again", func() error { _, err := s.Download(ctx, fresh, path); return err }, 3},
		{"data again", func() error { _, _, err := s.Data(ctx, fresh); return err }, 3},
		{"bytes", func() error {
			stream, err := s.Bytes(ctx, fresh)
			if err == nil {
				_, err = io.Copy(io.Discard, stream)
			}

			return err
		}, 3},
		{"round trip", func() error {
			resp, err := client.Get(base + "/fresh")
			if err == nil {
				_, err = io.Copy(io.Discard, resp.Body)
			}

			return err
		}, 3},
		{"upload", func() error {
			_, _, err := s.Upload(ctx, request(t, http.MethodPut, base+"/fresh", nil), urlsession.StringBody("new"))

			return err
		}, 4},
		{"data after an upload", func() error { _, _, err := s.Data(ctx, fresh); return err }, 5},
	} {
		if err := step.load(); err != nil || o.count("/fresh") != step.asked {
			t.Errorf("%s: %v; the origin was asked %d times, want %d", step.name, err, o.count("/fresh"), step.asked)
		}
	}
}

// Reset deletes what is stored, in memory and on the disk; Flush leaves it.
func TestResetAndTheCache(t *testing.T) {
	o := &cachingOrigin{}
	base := serve(t, "http/1.1", o)
	folder := t.TempDir()
	s := session(t, func(c *urlsession.Configuration) {
		c.Cache = cache.New(cache.Config{MemoryCapacity: 1 << 20, DiskCapacity: 1 << 20, Directory: folder})
	})
	load(t, s, get(t, base+"/fresh"))
	if len(filesIn(t, folder)) == 0 {
		t.Error("nothing is on the disk")
	}
	if err := s.Flush(t.Context()); err != nil {
		t.Error(err)
	}
	if load(t, s, get(t, base+"/fresh")); o.count("/fresh") != 1 {
		t.Errorf("after Flush the origin was asked %d times", o.count("/fresh"))
	}
	if err := s.Reset(t.Context()); err != nil {
		t.Error(err)
	}
	for _, file := range filesIn(t, folder) {
		if data, err := os.ReadFile(file); err != nil || strings.Contains(string(data), "hello") {
			t.Errorf("%s is still there: %v", file, err)
		}
	}
	if load(t, s, get(t, base+"/fresh")); o.count("/fresh") != 2 {
		t.Errorf("after Reset the origin was asked %d times", o.count("/fresh"))
	}
}

// Sessions share the process-wide cache, but for ephemeral ones and those that have
// none; the policy of the session is for requests that have none.
func TestCacheOfASession(t *testing.T) {
	o := &cachingOrigin{}
	base := serve(t, "http/1.1", o)
	s, err := urlsession.New(urlsession.DefaultConfiguration(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if s.Configuration().Cache != cache.Shared() {
		t.Error("a default session has a cache of its own")
	}
	private := session(t, nil)
	if c := private.Configuration().Cache; c == cache.Shared() || c == nil {
		t.Error("an ephemeral session has the process's cache")
	}
	none := session(t, func(c *urlsession.Configuration) { c.Cache = cache.None })
	for range 2 {
		load(t, none, get(t, base+"/fresh"))
	}
	if o.count("/fresh") != 2 {
		t.Errorf("without a cache the origin was asked %d times", o.count("/fresh"))
	}
	offline := session(t, func(c *urlsession.Configuration) { c.CachePolicy = urlsession.ReturnCacheDontLoad })
	_, _, err = offline.Data(t.Context(), get(t, base+"/fresh"))
	wantCode(t, err, urlsession.ResourceUnavailable, urlsession.CannotLoadFromNetwork)
	req := get(t, base+"/fresh")
	req.CachePolicy = urlsession.ReloadIgnoringLocalCache
	load(t, offline, req)
	load(t, offline, get(t, base+"/fresh"))
	if o.count("/fresh") != 3 {
		t.Errorf("the origin was asked %d times", o.count("/fresh"))
	}
	e, err := offline.Explain(t.Context(), get(t, base+"/fresh"))
	if err != nil || !strings.Contains(e.String(), "cache     serve: the policy asks for no age") {
		t.Errorf("%v, %v", e, err)
	}
}

// A body that was decoded when it was loaded is decoded when it is served.
func TestCacheKeepsWhatCame(t *testing.T) {
	asked := 0
	base := serve(t, "http/1.1", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Vary", "Accept-Encoding")
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		defer z.Close()
		_, _ = io.WriteString(z, "hello, hello, hello")
	}))
	s := session(t, nil)
	for range 2 {
		body, resp := load(t, s, get(t, base+"/"))
		if body != "hello, hello, hello" || resp.Header.Get("Content-Encoding") != "gzip" {
			t.Errorf("%q, %v", body, resp.Header)
		}
	}
	if asked != 1 {
		t.Errorf("the origin was asked %d times", asked)
	}
}

// A large body passes through the cache, into it and out of it, without being in
// memory.
func TestLargeBodyPassesThroughTheCache(t *testing.T) {
	const size, most = 64 << 20, 16 << 20
	piece := make([]byte, 64<<10)
	base := serve(t, "http/1.1", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Content-Length", strconv.Itoa(size))
		for range size / len(piece) {
			_, _ = w.Write(piece)
		}
	}))
	s := session(t, func(c *urlsession.Configuration) {
		c.Cache = cache.New(cache.Config{MemoryCapacity: 1 << 20, DiskCapacity: 30 << 30, Directory: t.TempDir()})
	})
	for _, says := range []string{"miss: nothing is stored; stored", "hit: fresh"} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		var m urlsession.TaskMetrics
		stream, err := s.Bytes(urlsession.WithMetrics(t.Context(), &m), get(t, base+"/"))
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, stream)
		if err := errors.Join(err, stream.Close()); err != nil || n != size || m.Transactions[0].Cache != says {
			t.Errorf("%d bytes, %v, %s", n, err, m.Transactions[0].Cache)
		}
		if runtime.ReadMemStats(&after); after.TotalAlloc-before.TotalAlloc > most {
			t.Errorf("%s: %d bytes were allocated", says, after.TotalAlloc-before.TotalAlloc)
		}
	}
}

// Sessions, too, ask once what many ask at the same time.
func TestManyAskTheSame(t *testing.T) {
	release := make(chan struct{})
	var asked atomic.Int32
	base := serve(t, "h2", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		<-release
		w.Header().Set("Cache-Control", "max-age=60")
		_, _ = io.WriteString(w, "hello")
	}))
	s := session(t, nil)
	var all sync.WaitGroup
	var began atomic.Int32
	for range 20 {
		all.Go(func() {
			began.Add(1)
			if body, _ := load(t, s, get(t, base+"/")); body != "hello" {
				t.Errorf("%q", body)
			}
		})
	}
	for asked.Load() == 0 || began.Load() < 20 {
		runtime.Gosched()
	}
	close(release)
	if all.Wait(); asked.Load() > 2 { // who waits on a busy machine for too long goes alone
		t.Errorf("the origin was asked %d times", asked.Load())
	}
}
