package cache_test

import (
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/storage"
	"github.com/urlkit/urlkit/storage/cache"
)

var ctx = context.Background()

func entry(key, variant string, length int64) *storage.CacheEntry {
	return &storage.CacheEntry{
		Key: key, Variant: variant, Length: length,
		URL:        &url.URL{Scheme: "https", Host: "example.org", Path: "/" + key, RawQuery: "a=b"},
		StatusCode: 200, Proto: "HTTP/2.0", MIMEType: "text/plain", TextEncodingName: "utf-8",
		VaryFields:   http.Header{"Accept-Language": {"de"}},
		Header:       http.Header{"Etag": {`"1"`}, "Cache-Control": {"max-age=60", "private"}, "X-Raw": {"caf\xe9"}},
		Trailer:      http.Header{"X-Sum": {""}},
		RequestTime:  time.Unix(1_700_000_000, 1).UTC(),
		ResponseTime: time.Unix(1_700_000_001, 2).UTC(),
	}
}

// text is a body of n bytes that no other seed gives.
func text(n, seed int) []byte {
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	b := make([]byte, n)
	_, _ = r.Read(b)

	return b
}

func put(t testing.TB, s storage.CacheStore, e *storage.CacheEntry, body []byte) *storage.CacheEntry {
	t.Helper()
	w, err := s.Create(ctx, e)
	if err != nil {
		t.Fatal(err)
	}

	return commit(t, w, body)
}

// commit writes a body in pieces.
func commit(t testing.TB, w storage.CacheWriter, body []byte) *storage.CacheEntry {
	t.Helper()
	defer w.Abort()
	for piece := range slices.Chunk(body, 10_007) {
		if n, err := w.Write(piece); n != len(piece) || err != nil {
			t.Fatal(n, err)
		}
	}
	e, err := w.Commit(ctx)
	if err != nil {
		t.Fatal(err)
	}

	return e
}

func lookup(t testing.TB, s storage.CacheStore, key string) []*storage.CacheEntry {
	t.Helper()
	found, err := s.Lookup(ctx, key)
	if err != nil {
		t.Fatal(err)
	}

	return found
}

func read(t testing.TB, s storage.CacheStore, e *storage.CacheEntry, offset int64) []byte {
	t.Helper()
	r, err := s.Open(ctx, e, offset)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}

	return b
}

// has tells which of the keys are stored, and reads their bodies.
func has(t testing.TB, s storage.CacheStore, keys ...string) string {
	t.Helper()
	var found []string
	for _, key := range keys {
		if len(lookup(t, s, key)) > 0 {
			found = append(found, key)
		}
	}

	return strings.Join(found, " ")
}

// tiers runs a test with each kind of store. A body of large bytes is in a file of
// its own.
func tiers(t *testing.T, test func(t *testing.T, s *cache.Store)) {
	for name, c := range map[string]cache.Config{
		"memory": {MemoryCapacity: 40 << 20},
		"disk":   {DiskCapacity: 40 << 20},
		"both":   {MemoryCapacity: 40 << 20, DiskCapacity: 40 << 20},
		"small":  {MemoryCapacity: 1 << 10, DiskCapacity: 40 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			leak.CheckFiles(t)
			if c.DiskCapacity > 0 {
				c.Directory = t.TempDir() + "/made/by/the/store"
			}
			test(t, cache.New(c))
		})
	}
}

const large = 300_000
