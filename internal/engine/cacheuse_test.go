package engine_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/urlkit/urlkit/internal/engine"
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
