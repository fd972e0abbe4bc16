package engine

import (
	"context"
	"sync"

	"github.com/urlkit/urlkit/internal/httpcache"
	"github.com/urlkit/urlkit/protocols"
)

// invalidations are the keys that were invalidated last, so that what was asked for
// before is not stored after it. The zero value has none.
type invalidations struct {
	mu     sync.Mutex
	count  uint64
	recent [64]string // by count
}

// note is called before what is stored is removed.
func (i *invalidations) note(key string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.recent[i.count%uint64(len(i.recent))] = key
	i.count++
}

func (i *invalidations) now() uint64 {
	i.mu.Lock()
	defer i.mu.Unlock()

	return i.count
}

// since tells whether a key was invalidated since there were so many. Where they were
// too many to remember it may have been.
func (i *invalidations) since(count uint64, key string) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.count-count > uint64(len(i.recent)) {
		return true
	}
	for ; count < i.count; count++ {
		if i.recent[count%uint64(len(i.recent))] == key {
			return true
		}
	}

	return false
}

// invalidate removes what an unsafe method has changed (RFC 9111 §4.4).
func (h *hop) invalidate(resp *protocols.Response) {
	e := h.of.engine
	if e.config.Cache == nil || !httpcache.Invalidates(h.request.Method, resp.StatusCode) {
		return
	}
	for _, key := range e.cacheRules.Invalidated(h.request.URL, resp.Header) {
		e.invalidations.note(key)
		_ = e.config.Cache.Remove(h, key, nil) // a store that fails now will fail to serve, too
	}
}

// outdated tells whether what was just stored was invalidated after it was asked for,
// and removes it then.
func (h *hop) outdated() bool {
	c, e := h.cached, h.of.engine
	if !e.invalidations.since(c.invalidations, c.query.Key) {
		return false
	}
	_ = e.config.Cache.Remove(context.WithoutCancel(h), c.query.Key, nil)

	return true
}
