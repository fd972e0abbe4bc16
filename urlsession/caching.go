package urlsession

import (
	"context"
	"net/url"

	"github.com/urlkit/urlkit/internal/engine"
	"github.com/urlkit/urlkit/protocols"
)

// CachedResponse is a response that is about to be stored (Apple's
// CachedURLResponse). Its data is not with it: that has been given to the task, and
// is in the store.
type CachedResponse struct {
	// Response is its head. Changes to it are not stored.
	Response *Response
	// StoragePolicy says where it may be stored. A less strict one than was proposed
	// has no effect. In memory only, of a response that was proposed for the disk, at
	// most 256 KiB are stored.
	StoragePolicy CacheStoragePolicy
}

// willCache asks the delegate whether, and where, a response may be stored.
func (r *run) willCache(_ context.Context, resp *protocols.Response, policy protocols.CacheStoragePolicy) protocols.CacheStoragePolicy {
	t, proposed := r.task, &CachedResponse{newResponse(resp), policy}
	if r.pump.queue != nil {
		r.untold.Store(true) // data may wait there
	}
	answer, err := ask(r, func(ctx context.Context) *CachedResponse {
		return r.told().WillCacheResponse(ctx, t.self, proposed)
	})

	return storagePolicy(answer, err)
}

// willCache asks the session's delegate, as long as there is one, for a load that is
// no task.
func (s *core) willCache(ctx context.Context, resp *protocols.Response, policy protocols.CacheStoragePolicy) protocols.CacheStoragePolicy {
	d := s.delegated()
	if d == nil {
		return policy
	}

	return storagePolicy(d.WillCacheResponse(ctx, nil, &CachedResponse{newResponse(resp), policy}), nil)
}

func storagePolicy(answer *CachedResponse, err error) protocols.CacheStoragePolicy {
	if answer == nil || err != nil {
		return protocols.StorageNotAllowed
	}

	return answer.StoragePolicy
}

// CacheKey is the key under which a Configuration's Cache holds the responses to GET
// requests of a URL. With it Lookup is Apple's cachedResponse(for:), and Remove is
// removeCachedResponse(for:).
func CacheKey(u *url.URL) string { return engine.CacheKey(u) }
