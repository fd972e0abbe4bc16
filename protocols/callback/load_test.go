package callback_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/protocols/callback"
)

// The body streams at the reader's pace: DidLoad returns when its bytes are taken.
func TestBackPressure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var loaded, stops atomic.Int32
		buffer := make([]byte, 4)
		p := callback.New(class(func(c *callback.Client) {
			r := reply()
			r.Trailer = http.Header{}
			c.DidReceive(r, 0)
			for i := range 3 {
				copy(buffer, bytes.Repeat([]byte{'a' + byte(i)}, 4)) // the same bytes again: they are lent
				c.DidLoad(buffer)
				loaded.Add(1)
			}
			r.Trailer.Set("Checksum", "1")
			c.DidFinishLoading()
		}, nil, &stops), nil)
		resp, err := p.Load(t.Context(), request(t, "GET", "mem:/x"))
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := loaded.Load(); n != 0 {
			t.Fatalf("%d pieces were taken before anybody read", n)
		}
		piece := make([]byte, 2)
		for _, want := range []int32{0, 1, 1, 2} {
			if _, err := io.ReadFull(resp.Body, piece); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if n := loaded.Load(); n != want {
				t.Fatalf("%d pieces are taken, want %d", n, want)
			}
		}
		rest, err := io.ReadAll(resp.Body)
		if string(rest) != "cccc" || err != nil || resp.Trailer.Get("Checksum") != "1" {
			t.Errorf("rest %q, %v, trailer %v", rest, err, resp.Trailer)
		}
		synctest.Wait()
		if stops.Load() != 1 {
			t.Errorf("StopLoading called %d times before Close", stops.Load())
		}
	})
}

// Calls from several goroutines at once are served one by one.
func TestCallsFromManyGoroutines(t *testing.T) {
	o := load(t, "GET", nil, func(c *callback.Client) {
		c.DidReceive(reply(), 0)
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() {
				for range 100 {
					c.DidLoad([]byte("0123456789"))
				}
			})
		}
		go func() {
			all.Wait()
			c.DidFinishLoading()
			c.DidFinishLoading()
		}()
	})
	if o.err != nil || o.body != strings.Repeat("0123456789", 1000) || o.stops != 1 {
		t.Errorf("%d bytes, %v, StopLoading %d times", len(o.body), o.err, o.stops)
	}
}

// However a load is cut off, nobody waits, nothing is left and StopLoading comes
// once, after StartLoading.
func TestEndedFromOutside(t *testing.T) {
	errCause := errors.New("the cause")
	starts := map[string]func(c *callback.Client){
		"blocks in StartLoading": func(c *callback.Client) { <-c.Context().Done() },
		"calls nothing":          func(*callback.Client) {},
		"forgets to finish": func(c *callback.Client) {
			c.DidReceive(reply(), 0)
			c.DidLoad([]byte("x"))
		},
		"endless data": func(c *callback.Client) {
			c.DidReceive(reply(), 0)
			for c.Context().Err() == nil {
				c.DidLoad([]byte("x"))
			}
			c.DidFinishLoading()
		},
		"loads on a goroutine of its own": func(c *callback.Client) {
			go func() {
				c.DidReceive(reply(), 0)
				c.DidLoad(make([]byte, 1<<20))
				c.DidLoad(make([]byte, 1<<20))
				c.DidFinishLoading()
			}()
		},
	}
	for name, start := range starts {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				var stops atomic.Int32
				time.AfterFunc(time.Second, func() { cancel(errCause) })
				resp, err := callback.New(class(start, nil, &stops), nil).Load(ctx, request(t, "GET", "mem:/x"))
				if err == nil {
					one := make([]byte, 1)
					if _, err = resp.Body.Read(one); err != nil {
						t.Fatal(err)
					}
					<-ctx.Done()
					_, err = io.Copy(io.Discard, resp.Body)
				}
				if !errors.Is(err, context.Canceled) || !errors.Is(err, errCause) {
					t.Errorf("error %v", err)
				}
				synctest.Wait()
				if stops.Load() != 1 {
					t.Errorf("StopLoading called %d times", stops.Load())
				}
			})
		})
	}
}

// What a cancelled load dropped is never followed by an end that counts.
func TestCancelledNeverLooksWhole(t *testing.T) {
	for range 200 {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			var stops atomic.Int32
			resp, err := callback.New(class(func(c *callback.Client) {
				c.DidReceive(reply(), 0)
				c.DidLoad([]byte("first"))
				cancel()
				c.DidLoad([]byte("second"))
				c.DidFinishLoading()
			}, nil, &stops), nil).Load(ctx, request(t, "GET", "mem:/x"))
			o := finish(resp, err)
			if o.err == nil {
				t.Fatalf("%q looks whole", o.body)
			}
		})
	}
}

func TestClosedBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var stops atomic.Int32
		released := make(chan struct{})
		p := callback.New(class(func(c *callback.Client) {
			c.DidReceive(reply(), 0)
			go func() {
				defer close(released)
				c.DidLoad(make([]byte, 100))
				c.DidFinishLoading()
			}()
		}, func(c *callback.Client) {
			if c.Context().Err() == nil {
				t.Error("the context outlives the load")
			}
			c.DidFail(errAuthor) // inside StopLoading, too, a call is ignored
		}, &stops), nil)
		resp, err := p.Load(t.Context(), request(t, "GET", "mem:/x"))
		if err != nil {
			t.Fatal(err)
		}
		blocked := make(chan error)
		if _, err := io.ReadFull(resp.Body, make([]byte, 99)); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(resp.Body.Close(), resp.Body.Close()); err != nil {
			t.Error(err)
		}
		<-released
		go func() { _, err := resp.Body.Read(make([]byte, 1)); blocked <- err }()
		if err := <-blocked; err == nil || errors.Is(err, io.EOF) {
			t.Errorf("a closed body gives %v", err)
		}
		synctest.Wait()
		if stops.Load() != 1 {
			t.Errorf("StopLoading called %d times", stops.Load())
		}
	})
	t.Run("during a Read", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var stops atomic.Int32
			p := callback.New(class(func(c *callback.Client) { c.DidReceive(reply(), 0) }, nil, &stops), nil)
			resp, err := p.Load(t.Context(), request(t, "GET", "mem:/x"))
			if err != nil {
				t.Fatal(err)
			}
			time.AfterFunc(time.Second, func() { _ = resp.Body.Close() })
			if _, err := resp.Body.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
				t.Errorf("error %v", err)
			}
		})
	})
}

// A StartLoading that ignores the end of the load holds up nobody but itself.
func TestDeafAuthor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var stops atomic.Int32
		deaf := make(chan struct{})
		p := callback.New(class(func(*callback.Client) { <-deaf }, nil, &stops), nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := p.Load(ctx, request(t, "GET", "mem:/x")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		synctest.Wait()
		if stops.Load() != 0 {
			t.Error("StopLoading came during StartLoading")
		}
		close(deaf)
		synctest.Wait()
		if stops.Load() != 1 {
			t.Errorf("StopLoading called %d times", stops.Load())
		}
	})
}

func TestPanics(t *testing.T) {
	tests := []struct {
		name, want string
		start      func(c *callback.Client)
	}{
		{"before the response", "StartLoading panicked: oops", func(*callback.Client) { panic("oops") }},
		{"after the response", "StartLoading panicked: oops", func(c *callback.Client) {
			c.DidReceive(reply(), 0)
			panic("oops")
		}},
		{"an error", "the author's own error", func(*callback.Client) { panic(errAuthor) }},
		{"Goexit", "StartLoading ended its goroutine", func(*callback.Client) { runtime.Goexit() }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			o := load(t, "GET", nil, test.start)
			var p *callback.PanicError
			if !errors.As(o.err, &p) || !strings.Contains(o.err.Error(), test.want) || len(p.Stack) == 0 || o.stops != 1 {
				t.Errorf("error %v, StopLoading called %d times", o.err, o.stops)
			}
			if strings.Contains(test.want, "own") && !errors.Is(o.err, errAuthor) {
				t.Errorf("error %v does not unwrap", o.err)
			}
		})
	}
	t.Run("in StopLoading", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var stops atomic.Int32
			p := callback.New(class(func(c *callback.Client) {
				c.DidReceive(reply(), 0)
				c.DidFinishLoading()
			}, func(*callback.Client) { panic("oops") }, &stops), nil)
			if o := finish(p.Load(t.Context(), request(t, "GET", "mem:/x"))); o.err != nil {
				t.Error(o.err)
			}
		})
	})
}

func TestLoadBeforeItBegins(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stops atomic.Int32
	p := callback.New(class(func(*callback.Client) { t.Error("started") }, nil, &stops), nil)
	if _, err := p.Load(ctx, request(t, "GET", "mem:/x")); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if _, err := p.Load(t.Context(), &protocols.Request{}); !errors.Is(err, protocols.UnsupportedURL) {
		t.Errorf("error %v", err)
	}
}
