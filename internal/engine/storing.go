package engine

import (
	"context"
	"io"
	"sync"
	"sync/atomic"

	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/storage"
)

// mostCopied is the longest body of which a copy is kept for a delegate that may want
// it off the disk.
const mostCopied = 256 << 10

// write lets the body pass through s. An empty one is stored at once where nobody is
// asked.
func (h *hop) write(resp *protocols.Response, s *storing) {
	s.hop, s.resp, s.raw = h, resp, resp.Body
	h.cached.storing = s
	h.cached.note(false, "it was not read to its end")
	if h.of.task.Cache != nil && !s.entry.InMemoryOnly {
		s.copied = []byte{}
	}
	if resp.Body == protocols.NoBody && h.of.task.Cache == nil {
		s.finish(true)

		return
	}
	resp.Body = s
	if c, ok := s.raw.(contextual); ok {
		s.ending = storingContextual{s, c}
		resp.Body = &s.ending
	}
}

// storing is a response body that is stored while it is read.
type storing struct {
	hop      *hop
	resp     *protocols.Response
	raw      io.ReadCloser
	entry    *storage.CacheEntry
	expected int64 // bytes; -1 unknown
	useful   bool  // to loads that wait
	part     bool  // of a body of which more may be stored
	atEnd    atomic.Bool
	ending   storingContextual // the body, where that ends by itself

	mu     sync.Mutex
	writer storage.CacheWriter // nil: stored, or given up
	count  int64
	copied []byte // what was written, should the app want it off the disk; nil: too much, or nobody is asked
}

// storingContextual is one that ends by itself with its load.
type storingContextual struct {
	*storing

	contextual
}

// Read stores what it gives. At the end the response is stored, before the reader
// sees that it has ended.
func (s *storing) Read(p []byte) (int, error) {
	if s.atEnd.Load() {
		s.finish(true)

		return 0, io.EOF
	}
	n, err := s.raw.Read(p)
	if n > 0 {
		s.take(p[:n])
	}
	switch {
	case err == io.EOF && n > 0 && s.hop.of.task.Cache != nil:
		s.atEnd.Store(true) // the app is given the last bytes before it is asked

		return n, nil
	case err == io.EOF:
		s.finish(true)
	case err != nil:
		s.finish(false)
	}

	return n, err
}

func (s *storing) take(p []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.writer == nil {
		return
	}
	s.count += int64(len(p))
	if s.copied != nil {
		if s.copied = append(s.copied, p...); len(s.copied) > mostCopied {
			s.copied = nil
		}
	}
	if s.expected >= 0 && s.count > s.expected {
		s.abort("its body is longer than it says")

		return
	}
	if _, err := s.writer.Write(p); err != nil {
		s.abort(unwritten(err))
	}
}

// abort gives the response up. The caller has the lock.
func (s *storing) abort(why string) {
	s.writer.Abort()
	s.writer = nil
	s.hop.cached.note(false, why)
	s.hop.settle(false)
}

// finish stores the response if all of it has come. ended: the body has told so
// itself.
func (s *storing) finish(ended bool) {
	s.mu.Lock()
	writer := s.writer
	if writer == nil {
		s.mu.Unlock()

		return
	}
	whole := s.count == s.expected || s.expected < 0 && ended && s.hop.of.ctx.Err() == nil
	if !whole {
		s.abort("its body was cut short")
		s.mu.Unlock()
		s.hop.removeEmpty(s.entry)

		return
	}
	s.writer = nil
	s.mu.Unlock()
	defer writer.Abort() // also where the app panics
	if why := s.commit(writer); why != "" {
		s.hop.cached.note(false, why)
		s.hop.settle(false)
		s.hop.removeEmpty(s.entry)

		return
	}
	if s.hop.outdated() {
		s.hop.cached.note(false, "it was invalidated meanwhile")
		s.hop.settle(false)

		return
	}
	s.hop.cached.note(true, "")
	s.hop.settle(s.useful)
}

// commit asks the app, and stores; what it returns is why not.
func (s *storing) commit(writer storage.CacheWriter) string {
	policy, allowed := s.policy()
	if !allowed {
		return "the delegate does not allow it"
	}
	ctx := context.WithoutCancel(s.hop)
	if policy == protocols.StorageAllowedInMemoryOnly && !s.entry.InMemoryOnly {
		if s.copied == nil || s.part {
			return "the delegate allows it in memory only, and it is too long for that"
		}
		writer.Abort()
		var err error
		if writer, err = s.inMemory(ctx); err != nil {
			return unwritten(err)
		}
	}
	entry, err := writer.Commit(ctx)
	if err != nil {
		return unwritten(err)
	}
	if len(s.resp.Trailer) == 0 || s.part {
		return ""
	}
	changed := *entry
	changed.Trailer = s.resp.Trailer.Clone()
	_ = s.hop.of.engine.config.Cache.Update(ctx, entry, &changed) // it does without (RFC 9110 §6.5.1)

	return ""
}

// inMemory begins to store the response anew, where the app wants it off the disk.
func (s *storing) inMemory(ctx context.Context) (storage.CacheWriter, error) {
	entry := *s.entry
	entry.InMemoryOnly = true
	writer, err := s.hop.of.engine.config.Cache.Create(ctx, &entry)
	if err != nil {
		return nil, err
	}
	if _, err := writer.Write(s.copied); err != nil {
		writer.Abort()

		return nil, err
	}

	return writer, nil
}

// policy asks the app whether the response may be stored, and where.
func (s *storing) policy() (policy protocols.CacheStoragePolicy, allowed bool) {
	policy = protocols.StorageAllowed
	if s.entry.InMemoryOnly {
		policy = protocols.StorageAllowedInMemoryOnly
	}
	l := s.hop.of
	if l.task.Cache == nil {
		return policy, true
	}
	asked := *s.resp
	asked.Body = protocols.NoBody
	answer := protocols.StorageNotAllowed
	l.ask(func() { answer = l.task.Cache(s.hop, &asked, policy) })

	return max(policy, answer), answer != protocols.StorageNotAllowed // in memory only is the stricter
}

// removeEmpty removes an entry that was made for a part that did not come, where it has
// no other.
func (h *hop) removeEmpty(e *storage.CacheEntry) {
	if e.ID != "" && e.Length > 0 && len(e.Parts) == 0 {
		_ = h.of.engine.config.Cache.Remove(context.WithoutCancel(h), e.Key, e)
	}
}

// Close ends the load. A response of which all has come is stored.
func (s *storing) Close() error {
	err := s.raw.Close()
	s.finish(s.atEnd.Load())

	return err
}

// GoPastCache gives up storing a response of Load whose body goes into a file.
func GoPastCache(resp *protocols.Response) {
	b, ok := resp.Body.(*body)
	if !ok || b.hop.cached == nil || b.hop.cached.storing == nil {
		return
	}
	s := b.hop.cached.storing
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.writer != nil {
		s.abort("it became a download")
	}
}
