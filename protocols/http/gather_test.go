package http

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/urlkit/urlkit/internal/leak"
)

// calls counts the writes of a connection.
type calls struct {
	net.Conn

	mu sync.Mutex
	n  int
}

func (c *calls) Write(p []byte) (int, error) {
	c.mu.Lock()
	c.n++
	c.mu.Unlock()

	return c.Conn.Write(p)
}

// Whatever the number of requests, the bytes arrive whole and in the order in which
// they were written, and where there is a crowd in fewer calls.
func TestGatherKeepsTheOrder(t *testing.T) {
	for _, loads := range []int32{1, crowd, 64} {
		t.Run(fmt.Sprint(loads), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ours, theirs := net.Pipe()
				counted := &calls{Conn: ours}
				g := newGather(counted, ours.Close)
				g.loads.Store(loads)
				var want bytes.Buffer
				const records = 500
				for i := range records {
					fmt.Fprintf(&want, "record %d %s\n", i, bytes.Repeat([]byte("."), i*7%(2*shortWrite)))
				}
				got := make(chan []byte)
				go func() {
					all, _ := io.ReadAll(theirs)
					got <- all
				}()
				for line := range bytes.Lines(want.Bytes()) {
					if n, err := g.Write(line); n != len(line) || err != nil {
						t.Fatal(n, err)
					}
				}
				synctest.Wait()
				_ = ours.Close()
				if all := <-got; !bytes.Equal(all, want.Bytes()) {
					t.Errorf("%d bytes arrived, want %d, or they differ", len(all), want.Len())
				}
				if loads == 1 && counted.n != records || loads > 1 && counted.n >= records {
					t.Errorf("%d calls for %d records", counted.n, records)
				}
			})
		})
	}
}

// A peer that does not read makes its writer wait beyond a bound; the end of the
// connection releases it, and is what every later write says.
func TestGatherEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer theirs.Close()
		g := newGather(ours, ours.Close)
		g.loads.Store(crowd)
		written := make(chan error, 1)
		go func() {
			for {
				if _, err := g.Write(make([]byte, shortWrite)); err != nil {
					written <- err

					return
				}
			}
		}()
		synctest.Wait()
		g.mu.Lock()
		if n := len(g.queue); n > maxGathered {
			t.Errorf("%d bytes wait", n)
		}
		g.mu.Unlock()
		_ = ours.Close()
		if err := <-written; !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("%v", err)
		}
		if _, err := g.Write([]byte("more")); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("%v", err)
		}
	})
}

// What could not be written later on closes the connection: nobody else would tell
// its reader.
func TestGatherClosesWhatFails(t *testing.T) {
	leak.Check(t)
	ours, theirs := net.Pipe()
	defer theirs.Close()
	broken := brokenWriter{ours}
	g := newGather(broken, ours.Close)
	g.loads.Store(crowd)
	if _, err := g.Write([]byte("a")); err != nil {
		t.Fatal(err)
	}
	if _, err := ours.Read(make([]byte, 1)); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("the reader got %v", err)
	}
}

type brokenWriter struct{ net.Conn }

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("broken") }

// TLS is given in pieces what the system gave at once, and an error that came with
// it comes after it.
func TestSocketReadsAhead(t *testing.T) {
	failure := errors.New("the end")
	s := &socket{Conn: &oneRead{data: []byte("abcdef"), err: failure}, secure: true}
	for _, want := range []string{"abcd", "ef"} {
		p := make([]byte, 4)
		n, err := s.Read(p)
		if string(p[:n]) != want || (want == "ef") != errors.Is(err, failure) {
			t.Errorf("%q, %v, want %q", p[:n], err, want)
		}
		if ended, known := s.Ended(); want == "abcd" && !(ended && known) {
			t.Error("bytes that nobody asked for count as nothing")
		}
	}
	if s.received.Load() != 6 || s.buffer != nil {
		t.Errorf("%d bytes, buffer %v", s.received.Load(), s.buffer)
	}
}

// oneRead gives all of it, and its error, in the first Read.
type oneRead struct {
	net.Conn

	data []byte
	err  error
}

func (o *oneRead) Read(p []byte) (int, error) { return copy(p, o.data), o.err }
