package engine_test

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/urlkit/urlkit/internal/engine"
	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/storage"
)

// What was loaded in a partition of the cookies is for that one only.
func TestCacheOfAPartition(t *testing.T) {
	asked := 0
	e := open(t, engine.Config{Cache: newMemory()}, serving(func(_ context.Context, req *protocols.Request) (*protocols.Response, error) {
		asked++

		return reply(200, "for "+req.CookiePartition, "Cache-Control", "public, max-age=60"), nil
	}))
	for i, partition := range []string{"a", "b", "", "a", "b", ""} {
		req := request(t, "GET", "http://host/")
		req.CookiePartition = partition
		if body, _, err := fetch(e, req, nil); err != nil || body != "for "+partition {
			t.Errorf("%q: %q, %v", partition, body, err)
		}
		if want := min(i+1, 3); asked != want {
			t.Errorf("%d: the origin was asked %d times", i, asked)
		}
	}
	post := request(t, "POST", "http://host/")
	post.CookiePartition = "a"
	if _, _, err := fetch(e, post, nil); err != nil {
		t.Error(err)
	}
	if body, _, err := fetch(e, request(t, "GET", "http://host/"), nil); err != nil || body != "for " || asked != 5 {
		t.Errorf("after an unsafe method: %q, %v, asked %d times", body, err, asked)
	}
}

// abortedStore counts the writers that are neither stored nor given up.
type abortedStore struct {
	storage.CacheStore

	open atomic.Int32
}

func (s *abortedStore) Create(ctx context.Context, e *storage.CacheEntry) (storage.CacheWriter, error) {
	w, err := s.CacheStore.Create(ctx, e)
	if err == nil {
		s.open.Add(1)
		w = &countedWriter{w, &s.open, sync.Once{}}
	}

	return w, err
}

type countedWriter struct {
	storage.CacheWriter

	open *atomic.Int32
	once sync.Once
}

func (w *countedWriter) Commit(ctx context.Context) (*storage.CacheEntry, error) {
	w.once.Do(func() { w.open.Add(-1) })

	return w.CacheWriter.Commit(ctx)
}

func (w *countedWriter) Abort() {
	w.once.Do(func() { w.open.Add(-1) })
	w.CacheWriter.Abort()
}

// An app that panics where it is asked leaves nothing half-written behind.
func TestPanicWhereTheAppIsAsked(t *testing.T) {
	store := &abortedStore{CacheStore: newMemory()}
	e := open(t, engine.Config{Cache: store}, serving(func(context.Context, *protocols.Request) (*protocols.Response, error) {
		return reply(200, "some text", "Cache-Control", "max-age=60"), nil
	}))
	_, _, err := fetch(e, request(t, "GET", "http://host/"), &engine.Task{
		Cache: func(context.Context, *protocols.Response, protocols.CacheStoragePolicy) protocols.CacheStoragePolicy {
			panic("on purpose")
		},
	})
	if open := store.open.Load(); err == nil || open != 0 {
		t.Errorf("%v, %d writers are open", err, open)
	}
}

// What is stored does not change with what the app does to its request and response.
func TestAppChangesWhatWasCached(t *testing.T) {
	leak.Check(t)
	reached, onward := make(chan struct{}), make(chan struct{})
	var asked atomic.Int32
	e := open(t, engine.Config{Cache: newMemory()}, serving(func(_ context.Context, req *protocols.Request) (*protocols.Response, error) {
		if asked.Add(1) == 3 { // in the background
			close(reached)
			<-onward
			if got := req.Header.Get("X-Mine"); got != "1" || req.URL.Path != "/" {
				t.Errorf("validated with %q, %s", got, req.URL)
			}
		}

		return reply(200, "", "Cache-Control", "max-age=0, stale-while-revalidate=60", "Etag", `"1"`, "X-Own", "1"), nil
	}))
	req := request(t, "GET", "http://host/")
	req.Header.Set("X-Mine", "1")
	head := req.Clone()
	head.Method = "HEAD"
	if _, _, err := fetch(e, req, nil); err != nil {
		t.Fatal(err)
	}
	_, resp, err := fetch(e, head, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Header["X-Own"][0] = "2"
	if _, resp, err = fetch(e, req, nil); err != nil || resp.Header.Get("X-Own") != "1" {
		t.Errorf("%v, %v", resp, err)
	}
	<-reached
	req.Header["X-Mine"][0] = "2"
	req.Header.Set("X-More", "2")
	req.URL.Path = "/other"
	close(onward)
	e.WaitForBackground()
}

// What a protocol without Authorization loads for somebody goes past the cache: the key
// does not tell who it is for.
func TestCacheOfSomebody(t *testing.T) {
	e := open(t, engine.Config{Cache: newMemory()}, scheme("custom", protocols.Local, func(_ context.Context, _ protocols.Client, req *protocols.Request) (*protocols.Response, error) {
		resp := reply(0, "for "+req.URL.User.Username())
		if req.Credential != nil {
			resp = reply(0, "for "+req.Credential.User)
		}
		resp.CacheStoragePolicy = protocols.StorageAllowed

		return resp, nil
	}))
	for _, who := range []string{"a@", "b@", "", "c"} {
		req := request(t, "GET", "custom://"+who+"host/")
		if who == "c" {
			req = request(t, "GET", "custom://host/")
			req.Credential = &protocols.Credential{User: who}
		}
		req.CachePolicy = protocols.ReturnCacheElseLoad
		if body, _, err := fetch(e, req, nil); err != nil || body != "for "+strings.TrimSuffix(who, "@") {
			t.Errorf("%q: %q, %v", who, body, err)
		}
	}
}

// A field that was added to one transaction chooses, too: Vary may name it, or it is a
// credential.
func TestAddedFieldChooses(t *testing.T) {
	for name, vary := range map[string]string{"X-Tenant": "X-Tenant", "Authorization": ""} {
		e := open(t, engine.Config{Cache: newMemory()}, serving(func(_ context.Context, req *protocols.Request) (*protocols.Response, error) {
			resp := reply(200, req.Header.Get(name), "Cache-Control", "max-age=60")
			if vary != "" {
				resp.Header.Set("Vary", vary)
			}

			return resp, nil
		}))
		for _, value := range []string{"a", "b", ""} {
			task := &engine.Task{Fields: func(*protocols.Request) http.Header {
				if value == "" {
					return nil
				}

				return http.Header{name: {value}}
			}}
			if body, _, err := fetch(e, request(t, "GET", "http://host/"), task); err != nil || body != value {
				t.Errorf("%s %q: %q, %v", name, value, body, err)
			}
		}
	}
}

// Those who wait for a load wait for it, and not for what its protocol loads.
func TestCoalescingAndInnerLoads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, control := range []string{"no-store", "max-age=60"} {
			var asked atomic.Int32
			e := open(t, engine.Config{Cache: newMemory()},
				scheme("http", protocols.Local, func(ctx context.Context, c protocols.Client, _ *protocols.Request) (*protocols.Response, error) {
					asked.Add(1)
					<-time.After(time.Second)
					inner, err := c.Load(ctx, request(t, "GET", "https://inner/"))
					if err != nil {
						return nil, err
					}
					if _, err := io.Copy(io.Discard, inner.Body); err != nil {
						return nil, err
					}
					<-time.After(time.Second)

					return reply(200, "text", "Cache-Control", "max-age=60"), inner.Body.Close()
				}),
				scheme("https", protocols.Local, func(context.Context, protocols.Client, *protocols.Request) (*protocols.Response, error) {
					return reply(200, "inner", "Cache-Control", control), nil
				}))
			var all sync.WaitGroup
			for range 10 {
				all.Go(func() {
					if body, _, err := fetch(e, request(t, "GET", "http://host/"), nil); err != nil || body != "text" {
						t.Errorf("%q, %v", body, err)
					}
				})
			}
			all.Wait()
			if n := asked.Load(); n != 1 {
				t.Errorf("%s: the origin was asked %d times", control, n)
			}
		}
	})
}

// What was asked for before an unsafe method is not stored after it.
func TestInvalidatedMeanwhile(t *testing.T) {
	for _, row := range []struct {
		invalidated []string
		stored      bool
	}{
		{nil, true},
		{[]string{"/other"}, true},
		{[]string{"/"}, false},
		{[]string{"/", "/other"}, false},
	} {
		var asked atomic.Int32
		e := open(t, engine.Config{Cache: newMemory()}, serving(func(_ context.Context, req *protocols.Request) (*protocols.Response, error) {
			if req.Method == http.MethodGet {
				asked.Add(1)
			}

			return reply(200, "text", "Cache-Control", "max-age=60"), nil
		}))
		var last *engine.Transaction
		resp, err := e.Load(t.Context(), request(t, "GET", "http://host/"), &engine.Task{Collect: func(tr *engine.Transaction) { last = tr }})
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range row.invalidated {
			if _, _, err := fetch(e, request(t, "POST", "http://host"+path), nil); err != nil {
				t.Fatal(err)
			}
		}
		if body, err := engine.ReadAll(resp, -1); err != nil || string(body) != "text" {
			t.Errorf("%q, %v", body, err)
		}
		if strings.HasSuffix(last.Cache, "; stored") != row.stored {
			t.Errorf("%v: %s", row.invalidated, last.Cache)
		}
		for range 2 { // what is asked for afterwards is stored
			if _, _, err := fetch(e, request(t, "GET", "http://host/"), nil); err != nil {
				t.Fatal(err)
			}
		}
		if want := map[bool]int32{true: 1, false: 2}[row.stored]; asked.Load() != want {
			t.Errorf("%v: the origin was asked %d times, want %d", row.invalidated, asked.Load(), want)
		}
	}
}

// More invalidations than are remembered may be of any key.
func TestManyInvalidations(t *testing.T) {
	e := open(t, engine.Config{Cache: newMemory()}, serving(func(context.Context, *protocols.Request) (*protocols.Response, error) {
		return reply(200, "text", "Cache-Control", "max-age=60"), nil
	}))
	for _, n := range []int{64, 65} {
		var last *engine.Transaction
		req := request(t, "GET", "http://host/"+strconv.Itoa(n))
		resp, err := e.Load(t.Context(), req, &engine.Task{Collect: func(tr *engine.Transaction) { last = tr }})
		if err != nil {
			t.Fatal(err)
		}
		for i := range n {
			if _, _, err := fetch(e, request(t, "POST", "http://host/other"+strconv.Itoa(i)), nil); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := engine.ReadAll(resp, -1); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(last.Cache, "; stored") != (n <= 64) {
			t.Errorf("%d: %s", n, last.Cache)
		}
	}
}
