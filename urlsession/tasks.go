package urlsession

import (
	"cmp"
	"context"
	"reflect"
	"slices"
	"sync"
)

// tasks are those of a session that are not complete.
type tasks struct {
	mu        sync.Mutex
	made      int // identifiers given
	all       map[int]*task
	refused   bool // no more are taken in: the session is being invalidated
	cancelled bool // and those that are there are cancelled
	ending    sync.Once
	done      chan struct{} // closed when DidBecomeInvalid has returned
	err       error         // of closing the protocols, when done is closed
}

// made takes a new task in, and tells of it. In a session that was invalidated it
// fails at once.
func (s *Session) made(self Task, req *Request, consumer any) {
	t := self.core()
	t.init(s.core, self, req)
	t.keeps = s
	if v := reflect.ValueOf(consumer); v.IsValid() && !v.IsNil() {
		t.consumer = consumer
	}
	if !s.register(t) {
		t.refuse()

		return
	}
	if d := s.delegated(); d != nil && d.startsTasks {
		s.pump.post(t.Resume) // after DidCreateTask
	}
}

// register gives a task its identifier, and tells whether it may run. The delegate
// hears of it before anything else of the task.
func (s *Session) register(t *task) bool {
	d := s.delegated()
	s.tasks.mu.Lock()
	s.identify(t)
	if s.tasks.refused {
		s.tasks.mu.Unlock()

		return false
	}
	s.tasks.add(t)
	idle := d != nil && d.DidCreateTask != nil && s.pump.add(func() { s.tellCreated(t) })
	s.tasks.mu.Unlock() // only now it can be cancelled
	if idle {
		s.pump.start()
	}

	return true
}

// adopt takes in a task that goes on in the place of one of the session's, even
// if no new ones are. It tells whether all of them are cancelled.
func (s *Session) adopt(t *task) (cancelled bool) {
	s.tasks.mu.Lock()
	defer s.tasks.mu.Unlock()
	s.identify(t)
	s.tasks.add(t)

	return s.tasks.cancelled
}

// identify gives a task its identifier. The lock is held.
func (s *Session) identify(t *task) {
	s.tasks.made++
	t.id = s.tasks.made
}

// add takes a task in. The lock is held.
func (q *tasks) add(t *task) {
	if q.all == nil {
		q.all = make(map[int]*task)
	}
	q.all[t.id] = t
}

// tellCreated tells the session's delegate of a new task, unless it was released
// meanwhile. The caller has the token.
func (s *core) tellCreated(t *task) {
	d := s.delegated()
	if d == nil || d.DidCreateTask == nil {
		return
	}
	returned := false
	defer func() {
		if v := recover(); !returned {
			t.cancel(panicError(v))
		}
	}()
	d.DidCreateTask(t.self)
	returned = true
}

// ended lets go of a task, and of the session's delegate with the last one.
func (s *Session) ended(t *task) {
	s.tasks.mu.Lock()
	delete(s.tasks.all, t.id)
	last := s.tasks.refused && len(s.tasks.all) == 0
	s.tasks.mu.Unlock()
	if last {
		s.lastTaskEnded()
	}
}

// count gives a blocking call its identifier, and counts it among what the end of
// the session cancels and waits for; false: it has come.
func (s *Session) count(t *task) bool {
	s.tasks.mu.Lock()
	defer s.tasks.mu.Unlock()
	s.identify(t)
	if s.tasks.refused {
		return false
	}
	t.call = true
	s.tasks.add(t)

	return true
}

// list gives the tasks that were resumed, by identifier.
func (s *Session) list() []Task {
	s.tasks.mu.Lock()
	defer s.tasks.mu.Unlock()
	var list []Task
	for _, t := range s.tasks.all {
		t.mu.Lock()
		if t.resumed && t.state < StateCanceling && !t.call {
			list = append(list, t.self)
		}
		t.mu.Unlock()
	}
	slices.SortFunc(list, func(a, b Task) int { return cmp.Compare(a.Identifier(), b.Identifier()) })

	return list
}

// AllTasks are the tasks that were resumed and are not complete, those that are
// suspended included, by identifier (Apple's getAllTasks). Blocking calls are none.
func (s *Session) AllTasks() []Task { return s.list() }

// Tasks are AllTasks by kind (Apple's getTasksWithCompletionHandler).
func (s *Session) Tasks() (data []*DataTask, uploads []*UploadTask, downloads []*DownloadTask) {
	for _, t := range s.list() {
		switch t := t.(type) {
		case *DataTask:
			data = append(data, t)
		case *UploadTask:
			uploads = append(uploads, t)
		case *DownloadTask:
			downloads = append(downloads, t)
		}
	}

	return data, uploads, downloads
}

// FinishTasksAndInvalidate refuses new loads and lets the tasks that were resumed
// come to their end; those that were not are cancelled. Then the delegate is told
// DidBecomeInvalid and released, and no call is ever made again. It does not wait.
// On the shared session it does nothing.
func (s *Session) FinishTasksAndInvalidate() { s.invalidate(false) }

// InvalidateAndCancel refuses new loads and cancels all tasks; the rest is as with
// FinishTasksAndInvalidate. It does not wait. On the shared session it does nothing.
func (s *Session) InvalidateAndCancel() { s.invalidate(true) }

// Close is InvalidateAndCancel, and returns when the last task has completed and
// the delegate is released. Inside a callback of the session it is ErrInCallback,
// and does not wait. On the shared session it does nothing.
func (s *Session) Close() error {
	if s.shared {
		return nil
	}
	s.invalidate(true)

	return s.invalid(context.Background())
}

// Finish is FinishTasksAndInvalidate, and returns when the last task has completed
// and the delegate is released, or when ctx ends; then the tasks go on. Inside a
// callback of the session it is ErrInCallback, and does not wait. On the shared
// session it does nothing.
func (s *Session) Finish(ctx context.Context) error {
	if s.shared {
		return nil
	}
	s.invalidate(false)

	return s.invalid(ctx)
}

// invalid waits until the session is invalid.
func (s *Session) invalid(ctx context.Context) error {
	if s.pump.inside(nil) {
		return ErrInCallback
	}
	select {
	case <-s.tasks.done:
		return s.tasks.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// invalidate refuses new tasks and ends the others: at once, or those that nobody
// has resumed.
func (s *Session) invalidate(all bool) {
	if s.shared {
		return
	}
	s.tasks.mu.Lock()
	first := !s.tasks.refused
	s.tasks.refused = true
	s.tasks.cancelled = s.tasks.cancelled || all
	var rest []*task
	for _, t := range s.tasks.all {
		rest = append(rest, t)
	}
	s.tasks.mu.Unlock()
	s.lifetime.invalidated.Store(true)
	if all {
		s.engine.Cancel()
	}
	for _, t := range rest {
		t.mu.Lock()
		resumed := t.resumed
		t.mu.Unlock()
		if all || !resumed {
			t.cancel(ErrSessionInvalidated)
		}
	}
	if first && len(rest) == 0 {
		s.lastTaskEnded()
	}
}

// lastTaskEnded makes the session invalid, once.
func (s *Session) lastTaskEnded() {
	s.tasks.ending.Do(func() { go s.becomeInvalid() })
}

// becomeInvalid waits for the blocking calls, closes the protocols, and makes the
// last call of the session.
func (s *Session) becomeInvalid() {
	s.tasks.err = s.engine.Finish()
	s.pump.post(func() {
		defer func() {
			if v := recover(); v != nil {
				s.log().Error("urlsession: DidBecomeInvalid panicked", "panic", v)
			}
			s.delegate.Store(nil)
			close(s.tasks.done)
		}()
		if d := s.delegate.Load(); d != nil && d.DidBecomeInvalid != nil {
			d.DidBecomeInvalid(s.tasks.err)
		}
	})
}
