package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/urlkit/urlkit/internal/engine"
	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/storage"
	"github.com/urlkit/urlkit/storage/cache"
)

// The rows come out alike over the stores that there are.
func TestCacheRowsOverEachStore(t *testing.T) {
	for name, store := range map[string]func() storage.CacheStore{
		"memory": func() storage.CacheStore { return cache.New(cache.Config{MemoryCapacity: 1 << 20}) },
		"disk": func() storage.CacheStore {
			return cache.New(cache.Config{MemoryCapacity: 1 << 20, DiskCapacity: 10 << 20, Directory: t.TempDir()})
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, row := range readRows(t) {
				if err := row.runOver(t, store(), nil); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// serving is an origin of one scheme, "http".
func serving(load func(ctx context.Context, req *protocols.Request) (*protocols.Response, error)) protocols.Scheme {
	return scheme("http", protocols.Local, func(ctx context.Context, _ protocols.Client, req *protocols.Request) (*protocols.Response, error) {
		return load(ctx, req)
	})
}

// Whatever the store fails in, the load goes on.
func TestStoreThatFails(t *testing.T) {
	disk := errors.New("no space left on device")
	for name, breaks := range map[string]func(*memory){
		"lookup": func(m *memory) { m.lookup = disk },
		"open":   func(m *memory) { m.open = disk },
		"create": func(m *memory) { m.create = disk },
		"write":  func(m *memory) { m.write = disk },
		"commit": func(m *memory) { m.commit = disk },
		"large":  func(m *memory) { m.write = storage.ErrTooLarge },
		"small":  func(m *memory) { m.maximum = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			store := newMemory()
			breaks(store)
			asked := 0
			e := open(t, engine.Config{Cache: store}, serving(func(context.Context, *protocols.Request) (*protocols.Response, error) {
				asked++

				return reply(200, "whole", "Cache-Control", "max-age=60"), nil
			}))
			for range 2 {
				var last *engine.Transaction
				body, _, err := fetch(e, request(t, "GET", "http://host/"), &engine.Task{Collect: func(tr *engine.Transaction) { last = tr }})
				if err != nil || body != "whole" || last.Local {
					t.Errorf("%q, %v, %+v", body, err, last)
				}
				t.Log(last.Cache)
			}
			if asked != 2 {
				t.Errorf("the origin was asked %d times", asked)
			}
		})
	}
}

// An update that fails costs the next validation, and nothing else.
func TestUpdateThatFails(t *testing.T) {
	store := newMemory()
	e := open(t, engine.Config{Cache: store}, serving(func(_ context.Context, req *protocols.Request) (*protocols.Response, error) {
		if req.Header.Get("If-None-Match") != "" {
			return reply(304, "", "Cache-Control", "max-age=60"), nil
		}

		return reply(200, "whole", "ETag", `"1"`), nil
	}))
	store.update = errors.New("read-only file system")
	for range 3 {
		if body, resp, err := fetch(e, request(t, "GET", "http://host/"), nil); err != nil || body != "whole" || resp.StatusCode != 200 {
			t.Errorf("%q, %v", body, err)
		}
	}
}

// A stored body that breaks off is an error, never a short body that looks whole.
func TestStoredBodyThatBreaks(t *testing.T) {
	store := newMemory()
	e := open(t, engine.Config{Cache: store}, serving(func(context.Context, *protocols.Request) (*protocols.Response, error) {
		return reply(200, "all of it", "Cache-Control", "max-age=60"), nil
	}))
	if _, _, err := fetch(e, request(t, "GET", "http://host/"), nil); err != nil {
		t.Fatal(err)
	}
	store.short = 3
	body, _, err := fetch(e, request(t, "GET", "http://host/"), nil)
	if failure(t, err, protocols.NetworkConnectionLost); !errors.Is(err, io.ErrUnexpectedEOF) || body != "" {
		t.Errorf("%q, %v", body, err)
	}
}

// A body that is not read to its end, or that breaks off, is not stored.
func TestBodyThatIsNotWhole(t *testing.T) {
	store := newMemory()
	cut := false
	e := open(t, engine.Config{Cache: store}, serving(func(context.Context, *protocols.Request) (*protocols.Response, error) {
		r := reply(200, "all of it", "Cache-Control", "max-age=60")
		if cut {
			r.Body = io.NopCloser(strings.NewReader("all"))
		}

		return r, nil
	}))
	var last *engine.Transaction
	task := &engine.Task{Collect: func(tr *engine.Transaction) { last = tr }}
	resp, err := e.Load(t.Context(), request(t, "GET", "http://host/"), task)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := resp.Body.Read(make([]byte, 3)); err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil || last.Cache != "miss: nothing is stored; not stored: its body was cut short" {
		t.Errorf("%v, %s", err, last.Cache)
	}
	cut = true
	if _, _, err := fetch(e, request(t, "GET", "http://host/"), task); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
	if entries, _ := store.Lookup(t.Context(), "http://host/"); len(entries) != 0 {
		t.Errorf("%d are stored", len(entries))
	}
	// All bytes seen is enough.
	cut = false
	if resp, err = e.Load(t.Context(), request(t, "GET", "http://host/"), task); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(resp.Body, make([]byte, 9)); err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if _, _, err := fetch(e, request(t, "GET", "http://host/"), task); err != nil || !last.Local {
		t.Errorf("%v, %s", err, last.Cache)
	}
}

// The app decides what is stored, and where.
func TestAppDecidesWhatIsStored(t *testing.T) {
	for _, row := range []struct {
		answer protocols.CacheStoragePolicy
		stored bool
	}{
		{protocols.StorageAllowed, true},
		{protocols.StorageAllowedInMemoryOnly, true},
		{protocols.StorageNotAllowed, false},
	} {
		for _, text := range []string{"some text", ""} {
			store := newMemory()
			e := open(t, engine.Config{Cache: store}, serving(func(context.Context, *protocols.Request) (*protocols.Response, error) {
				return reply(200, text, "Cache-Control", "max-age=60"), nil
			}))
			asked, last := 0, (*engine.Transaction)(nil)
			task := &engine.Task{
				Cache: func(_ context.Context, resp *protocols.Response, policy protocols.CacheStoragePolicy) protocols.CacheStoragePolicy {
					if asked++; resp.StatusCode != 200 || policy != protocols.StorageAllowed {
						t.Errorf("%d, %v", resp.StatusCode, policy)
					}

					return row.answer
				},
				Collect: func(tr *engine.Transaction) { last = tr },
			}
			for range 2 {
				if body, _, err := fetch(e, request(t, "GET", "http://host/"), task); err != nil || body != text {
					t.Errorf("%q, %v", body, err)
				}
			}
			if last.Local != row.stored || asked != map[bool]int{true: 1, false: 2}[row.stored] {
				t.Errorf("%v: asked %d times, %s", row.answer, asked, last.Cache)
			}
			entries, _ := store.Lookup(t.Context(), "http://host/")
			if row.stored && entries[0].InMemoryOnly != (row.answer == protocols.StorageAllowedInMemoryOnly) {
				t.Errorf("%v: in memory only: %v", row.answer, entries[0].InMemoryOnly)
			}
		}
	}
}

// Validations in the background end with the engine, are one for a key, and bounded.
func TestBackgroundEnds(t *testing.T) {
	leak.Check(t)
	var asked atomic.Int32
	began := make(chan struct{}, 100)
	store := newMemory()
	start, later := time.Now(), atomic.Int64{}
	now := func() time.Time { return start.Add(time.Duration(later.Load())) }
	e := open(t, engine.Config{Cache: store, Now: now},
		serving(func(ctx context.Context, req *protocols.Request) (*protocols.Response, error) {
			if req.Header.Get("If-None-Match") == "" {
				return reply(200, "text", "Cache-Control", "max-age=1, stale-while-revalidate=60", "ETag", `"1"`), nil
			}
			asked.Add(1)
			began <- struct{}{}
			<-ctx.Done()

			return nil, ctx.Err()
		}))
	for range 2 {
		for i := range 20 {
			body, _, err := fetch(e, request(t, "GET", fmt.Sprintf("http://host/%d", i)), nil)
			if err != nil || body != "text" {
				t.Errorf("%q, %v", body, err)
			}
		}
		later.Add(int64(10 * time.Second))
	}
	for range 16 {
		<-began
	}
	if _, _, err := fetch(e, request(t, "GET", "http://host/0"), nil); err != nil {
		t.Error(err)
	}
	if err := e.Finish(); err != nil || asked.Load() != 16 {
		t.Errorf("%v; %d were asked", err, asked.Load())
	}
}

// An interceptor, and a protocol composed over another, store a response once.
func TestInnerLoadsAndTheCache(t *testing.T) {
	calls := map[string]int{}
	asked := 0
	store := newMemory()
	composed := scheme("s3", protocols.Local, func(ctx context.Context, c protocols.Client, req *protocols.Request) (*protocols.Response, error) {
		return c.Load(ctx, request(t, "GET", "http://store.example"+req.URL.Path))
	})
	e := open(t, engine.Config{Cache: store}, pass("one", calls), composed,
		serving(func(_ context.Context, req *protocols.Request) (*protocols.Response, error) {
			if asked++; req.Header.Get("If-None-Match") != "" {
				return reply(304, "", "Cache-Control", "max-age=60"), nil
			}

			return reply(200, "object", "Cache-Control", "no-cache", "ETag", `"1"`), nil
		}))
	var collected []*engine.Transaction
	task := &engine.Task{Collect: func(tr *engine.Transaction) { collected = append(collected, tr) }}
	for _, url := range []string{"http://store.example/a", "http://store.example/a", "http://store.example/a", "s3://bucket/a"} {
		body, resp, err := fetch(e, request(t, "GET", url), task)
		if err != nil || body != "object" || resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %q, %v", url, body, err)
		}
	}
	if asked != 2 {
		t.Errorf("the origin was asked %d times", asked)
	}
	if entries, _ := store.Lookup(t.Context(), "http://store.example/a"); len(entries) != 1 {
		t.Errorf("%d are stored", len(entries))
	}
	if last := collected[len(collected)-3]; !last.Inner || !last.Local {
		t.Errorf("the inner load of s3: %s", last.Cache)
	}
}

// A peer cannot make a key grow.
func TestVariantsAreBounded(t *testing.T) {
	store := newMemory()
	e := open(t, engine.Config{Cache: store}, serving(func(context.Context, *protocols.Request) (*protocols.Response, error) {
		return reply(200, "text", "Cache-Control", "max-age=60", "Vary", "X-A"), nil
	}))
	for i := range 100 {
		if _, _, err := fetch(e, request(t, "GET", "http://host/", "X-A", fmt.Sprint(i)), nil); err != nil {
			t.Fatal(err)
		}
	}
	if entries, _ := store.Lookup(t.Context(), "http://host/"); len(entries) != 32 {
		t.Errorf("%d are stored", len(entries))
	}
}

// Explain says what the cache would do, and does nothing.
func TestExplainCache(t *testing.T) {
	e := open(t, engine.Config{Cache: newMemory()}, serving(func(context.Context, *protocols.Request) (*protocols.Response, error) {
		return reply(200, "text", "Cache-Control", "max-age=60"), nil
	}))
	explain := func(method string) string {
		steps, err := e.Explain(t.Context(), request(t, method, "http://host/"))
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range steps {
			if s.Stage == "cache" {
				return s.Verdict
			}
		}

		return ""
	}
	if got := explain("GET"); got != "load: nothing is stored" {
		t.Error(got)
	}
	if _, _, err := fetch(e, request(t, "GET", "http://host/"), nil); err != nil {
		t.Fatal(err)
	}
	if got := explain("GET"); got != "serve: fresh, age 0s" {
		t.Error(got)
	}
	if got := explain("POST"); !contains(got, "not for POST") {
		t.Error(got)
	}
}

// A protocol may keep its responses off the disk, those of HTTP too.
func TestProtocolKeepsAResponseInMemory(t *testing.T) {
	for _, name := range []string{"http", "custom"} {
		store := newMemory()
		e := open(t, engine.Config{Cache: store},
			scheme(name, protocols.Local, func(context.Context, protocols.Client, *protocols.Request) (*protocols.Response, error) {
				r := reply(200, "text")
				r.CacheStoragePolicy = protocols.StorageAllowedInMemoryOnly

				return r, nil
			}))
		if _, _, err := fetch(e, request(t, "GET", name+"://host/"), nil); err != nil {
			t.Fatal(err)
		}
		entries, _ := store.Lookup(t.Context(), name+"://host/")
		if len(entries) != 1 || !entries[0].InMemoryOnly {
			t.Errorf("%s: %+v", name, entries)
		}
	}
}
