package engine_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/urlkit/urlkit/internal/engine"
	"github.com/urlkit/urlkit/protocols"
)

// crowd loads the same URL many times at once, and counts how often the origin is
// asked.
type crowd struct {
	engine *engine.Engine
	asked  atomic.Int32
	began  chan struct{} // gets one for each request to the origin
	answer chan *protocols.Response
}

func newCrowd(t *testing.T) *crowd {
	c := &crowd{began: make(chan struct{}, 100), answer: make(chan *protocols.Response, 100)}
	c.engine = open(t, engine.Config{Cache: newMemory()}, serving(func(ctx context.Context, _ *protocols.Request) (*protocols.Response, error) {
		c.asked.Add(1)
		c.began <- struct{}{}
		select {
		case r := <-c.answer:
			if r == nil {
				return nil, errors.New("no answer")
			}

			return r, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}))

	return c
}

// load begins so many loads, and gives a function that waits for their results.
func (c *crowd) load(t *testing.T, n int, task *engine.Task) func() (ok, failed int) {
	var all sync.WaitGroup
	var good, bad atomic.Int32
	for range n {
		all.Go(func() {
			if body, _, err := fetch(c.engine, request(t, "GET", "http://host/"), task); err == nil && body == "text" {
				good.Add(1)
			} else {
				bad.Add(1)
			}
		})
	}

	return func() (int, int) {
		all.Wait()

		return int(good.Load()), int(bad.Load())
	}
}

// One load asks the origin, and the others have what it stored.
func TestCoalescing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t)
		wait := c.load(t, 20, nil)
		<-time.After(2 * time.Second) // no answer comes in no time
		c.answer <- reply(200, "text", "Cache-Control", "max-age=60")
		if ok, _ := wait(); ok != 20 || c.asked.Load() != 1 || c.engine.Waited() != 0 {
			t.Errorf("%d of 20, the origin was asked %d times", ok, c.asked.Load())
		}
	})
}

// Who waits goes alone where the response is of no use to it, or does not come.
func TestCoalescingThatFails(t *testing.T) {
	for name, first := range map[string]*protocols.Response{
		"not stored": reply(200, "text", "Cache-Control", "no-store"),
		"not fresh":  reply(200, "text"),
		"an error":   nil,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCrowd(t)
				wait := c.load(t, 20, nil)
				synctest.Wait()
				if c.asked.Load() != 1 {
					t.Fatalf("the origin was asked %d times", c.asked.Load())
				}
				c.answer <- first
				synctest.Wait()
				for range 19 {
					c.answer <- reply(200, "text", "Cache-Control", "no-store")
				}
				if ok, _ := wait(); ok < 19 || c.asked.Load() != 20 || c.engine.Waited() != 0 {
					t.Errorf("%d of 20, the origin was asked %d times", ok, c.asked.Load())
				}
				if first == nil {
					return
				}
				wait = c.load(t, 5, nil) // the key is known to be of no use
				synctest.Wait()
				if asked := c.asked.Load(); asked != 25 {
					t.Errorf("the origin was asked %d times, 25 expected", asked)
				}
				for range 5 {
					c.answer <- reply(200, "text", "Cache-Control", "no-store")
				}
				wait()
			})
		})
	}
}

// Nobody waits for long.
func TestCoalescingWithASlowOrigin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t)
		began := time.Now()
		wait := c.load(t, 3, nil)
		<-c.began
		<-c.began
		<-c.began
		if waited := time.Since(began); waited != 3*time.Second {
			t.Errorf("waited for %v", waited)
		}
		for range 3 {
			c.answer <- reply(200, "text", "Cache-Control", "max-age=60")
		}
		wait()
	})
}

// A load that is suspended, asks the app, or is not read holds nobody up.
func TestCoalescingWithASuspendedLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t)
		var room engine.Room
		c.answer <- reply(200, "text", "Cache-Control", "max-age=60")
		began := time.Now()
		leader, err := c.engine.LoadIn(&room, t.Context(), request(t, "GET", "http://host/"), nil)
		if err != nil {
			t.Fatal(err)
		}
		wait := c.load(t, 2, nil) // wait for a body that nobody reads
		synctest.Wait()
		if c.asked.Load() != 1 {
			t.Errorf("the origin was asked %d times", c.asked.Load())
		}
		room.Pause()
		c.answer <- reply(200, "text", "Cache-Control", "max-age=60")
		c.answer <- reply(200, "text", "Cache-Control", "max-age=60")
		if ok, _ := wait(); ok != 2 || time.Since(began) != 0 {
			t.Errorf("%d of 2 after %v", ok, time.Since(began))
		}
		room.Continue()
		_ = leader.Body.Close()
	})
}

// Loads inside a callback and cancelled ones do not wait.
func TestCoalescingAndOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t)
		wait := c.load(t, 1, nil)
		synctest.Wait()
		nested := c.load(t, 1, &engine.Task{Nested: true})
		synctest.Wait()
		if c.asked.Load() != 2 {
			t.Errorf("the origin was asked %d times", c.asked.Load())
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() {
			_, err := c.engine.Load(ctx, request(t, "GET", "http://host/"), nil)
			done <- err
		}()
		synctest.Wait()
		cancel()
		failure(t, <-done, protocols.Cancelled)
		c.answer <- reply(200, "text")
		c.answer <- reply(200, "text")
		wait()
		nested()
	})
}

// What is validated at the same time is asked about once.
func TestCoalescingOfValidations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t)
		c.answer <- reply(200, "text", "Cache-Control", "max-age=1", "ETag", `"1"`)
		c.load(t, 1, nil)()
		<-time.After(2 * time.Second)
		wait := c.load(t, 20, nil)
		<-time.After(2 * time.Second)
		c.answer <- reply(304, "", "Cache-Control", "max-age=60")
		if ok, _ := wait(); ok != 20 || c.asked.Load() != 2 {
			t.Errorf("%d of 20, the origin was asked %d times", ok, c.asked.Load())
		}
	})
}

// Other credentials are other questions.
func TestCoalescingAndCredentials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t)
		var all sync.WaitGroup
		for _, credential := range []string{"Bearer one", "Bearer two", "Bearer one"} {
			all.Go(func() {
				if _, _, err := fetch(c.engine, request(t, "GET", "http://host/", "Authorization", credential), nil); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		for range 2 {
			c.answer <- reply(200, "text", "Cache-Control", "max-age=60")
		}
		if all.Wait(); c.asked.Load() != 2 {
			t.Errorf("the origin was asked %d times", c.asked.Load())
		}
	})
}
