package path

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/urlkit/urlkit/internal/leak"
)

// The system is asked without a goroutine, and listened to while somebody waits.
func TestSystem(t *testing.T) {
	leak.Check(t)
	m := System()
	first, second := m.Current(), m.Current()
	if first != second || first.ID == 0 {
		t.Errorf("%+v, then %+v", first, second)
	}
	if p, err := m.Next(t.Context(), Path{}); err != nil || p != first {
		t.Errorf("another path than is known: %+v, %v", p, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := m.Next(ctx, first); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

// scripted is a system of which the tests say what it finds.
func scripted(watches bool) (s *system, path *atomic.Pointer[Path], running *atomic.Int32, report chan struct{}) {
	path, running, report = new(atomic.Pointer[Path]), new(atomic.Int32), make(chan struct{})
	path.Store(&Path{ID: 1})
	s = &system{look: func() Path { return *path.Load() }}
	s.watch = func(tell func()) func() {
		if !watches {
			return nil
		}
		running.Add(1)
		end := make(chan struct{})
		go func() {
			for {
				select {
				case <-report:
					tell()
				case <-end:
					running.Add(-1)

					return
				}
			}
		}()

		return func() { close(end) }
	}

	return s, path, running, report
}

// One goroutine listens for all who wait, and ends with the last.
func TestSystemWatches(t *testing.T) {
	leak.Check(t)
	synctest.Test(t, func(t *testing.T) {
		s, path, running, report := scripted(true)
		got := make(chan error, 3)
		ctx, cancel := context.WithCancel(t.Context())
		for range 3 {
			go func() {
				p, err := s.Next(ctx, Path{ID: 1})
				if err == nil && p.ID != 2 {
					t.Errorf("%+v", p)
				}
				got <- err
			}()
		}
		synctest.Wait()
		report <- struct{}{} // of no consequence
		synctest.Wait()
		if n := running.Load(); n != 1 || len(got) > 0 {
			t.Errorf("%d listen, %d were told", n, len(got))
		}
		path.Store(&Path{ID: 2})
		report <- struct{}{}
		for range 3 {
			if err := <-got; err != nil {
				t.Error(err)
			}
		}
		synctest.Wait()
		if n := running.Load(); n != 0 {
			t.Errorf("%d listen to nobody's ends", n)
		}
		go func() {
			_, err := s.Next(ctx, Path{ID: 2})
			got <- err
		}()
		synctest.Wait()
		cancel()
		if err := <-got; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

// The path is looked at once for those who ask at one time.
func TestCurrent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, path, _, _ := scripted(true)
		s.Current()
		path.Store(&Path{ID: 2})
		<-time.After(memory - 1)
		if p := s.Current(); p.ID != 1 {
			t.Errorf("it looked again: %+v", p)
		}
		<-time.After(time.Nanosecond)
		if p := s.Current(); p.ID != 2 {
			t.Errorf("it did not look again: %+v", p)
		}
	})
}

// Where there is nothing to listen to, the interfaces are looked at once a second.
func TestSystemPolls(t *testing.T) {
	leak.Check(t)
	synctest.Test(t, func(t *testing.T) {
		s, path, _, _ := scripted(false)
		began := time.Now()
		time.AfterFunc(3500*time.Millisecond, func() { path.Store(&Path{ID: 2}) })
		p, err := s.Next(t.Context(), Path{ID: 1})
		if took := time.Since(began); err != nil || p.ID != 2 || took != 4*time.Second {
			t.Errorf("%+v, %v after %v", p, err, took)
		}
	})
}

// The interfaces alone tell the path too.
func TestByInterfaces(t *testing.T) {
	first, second := byInterfaces(), byInterfaces()
	if first != second || first.ID == 0 || first.Cellular || first.Expensive || first.Constrained {
		t.Errorf("%+v, then %+v", first, second)
	}
}

// A change is noticed also where it comes between the look of the one who waits and the
// first of those that are made meanwhile.
func TestSystemPollsAtOnce(t *testing.T) {
	leak.Check(t)
	synctest.Test(t, func(t *testing.T) {
		var looks atomic.Int32
		s := &system{look: func() Path { return Path{ID: uint64(min(looks.Add(1), 2))} }}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if p, err := s.Next(ctx, Path{ID: 1}); p.ID != 2 || err != nil {
			t.Errorf("%+v, %v", p, err)
		}
	})
}

// What Next has found is what Current says: whoever waits for a change from that would
// else be woken at once, again and again.
func TestSystemCurrentIsNotBehindNext(t *testing.T) {
	leak.Check(t)
	s, path, _, _ := scripted(true)
	before := s.Current()
	path.Store(&Path{ID: 2})
	after, err := s.Next(t.Context(), before)
	if now := s.Current(); err != nil || after.ID != 2 || now != after {
		t.Errorf("%+v, then %+v (%v), and now %+v", before, after, err, now)
	}
}
