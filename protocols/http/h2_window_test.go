package http

import (
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
)

// far is the end of a pipe whose bytes take a while, and come in any number at once.
type far struct {
	net.Conn

	delay   time.Duration
	flights chan flight
	closed  chan struct{}
	once    sync.Once
}

type flight struct {
	data  []byte
	lands time.Time
}

func newFar(conn net.Conn, delay time.Duration) *far {
	f := &far{Conn: conn, delay: delay, flights: make(chan flight, 10_000), closed: make(chan struct{})}
	go f.carry()

	return f
}

func (f *far) carry() {
	for {
		select {
		case fl := <-f.flights:
			select {
			case <-time.After(time.Until(fl.lands)):
				_, _ = f.Conn.Write(fl.data)
			case <-f.closed:
				return
			}
		case <-f.closed:
			return
		}
	}
}

func (f *far) Write(p []byte) (int, error) {
	select {
	case f.flights <- flight{append([]byte(nil), p...), time.Now().Add(f.delay)}:
		return len(p), nil
	case <-f.closed:
		return 0, net.ErrClosed
	}
}

func (f *far) Close() error {
	f.once.Do(func() { close(f.closed) })

	return f.Conn.Close()
}

// farServer answers each request with a body, as fast as the client's windows allow.
type farServer struct {
	*talk

	length int64 // of each body

	mu      sync.Mutex
	room    sync.Cond
	windows map[uint32]int64
	ended   bool
}

const roundTrip = 100 * time.Millisecond

// newFarServer is a server that is a round trip away, in a bubble of synctest.
func newFarServer(t *testing.T, length int64) *farServer {
	ours, theirs := net.Pipe()
	p := begun(t, newFar(ours, roundTrip/2), newFar(theirs, roundTrip/2), Config{})
	s := &farServer{talk: p, length: length, windows: map[uint32]int64{0: windowOfConnection}}
	s.room.L = &s.mu
	go s.hear()

	return s
}

// hear takes in what the client says.
func (s *farServer) hear() {
	for {
		f, err := s.ReadFrame()
		s.mu.Lock()
		switch f := f.(type) {
		case *http2.HeadersFrame:
			s.windows[f.StreamID] = windowOfStream
			s.answer(f.StreamID, false, ":status", "200")
			go s.send(f.StreamID)
		case *http2.WindowUpdateFrame:
			s.windows[f.StreamID] += int64(f.Increment)
		}
		s.ended = err != nil
		s.room.Broadcast()
		s.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (s *farServer) send(id uint32) {
	piece := make([]byte, maxFrame)
	s.mu.Lock()
	defer s.mu.Unlock()
	for left := s.length; left > 0 && !s.ended; {
		n := min(left, maxFrame, s.windows[id], s.windows[0])
		if n <= 0 {
			s.room.Wait()

			continue
		}
		left -= n
		s.windows[id] -= n
		s.windows[0] -= n
		if s.WriteData(id, left == 0, piece[:n]) != nil {
			return
		}
	}
}

// get gives the body of the next answer.
func (s *farServer) get() *stream {
	s.t.Helper()
	resp, err := s.codec.RoundTrip(newAsk(s.t.Context(), "GET", nil, nil))
	if err != nil {
		s.t.Fatal(err)
	}
	body, _ := resp.Body.(*stream)

	return body
}

func (s *stream) mostNow() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.most
}

// What bounds a download from afar is the window in a round trip, and the window grows
// for a reader who keeps up.
func TestWindowOfAFastReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const length = 128 << 20
		s := newFarServer(t, length)
		body := s.get()
		start := time.Now()
		if n, err := io.Copy(io.Discard, body); n != length || err != nil {
			t.Fatal(n, err)
		}
		took, least := time.Since(start), length/fastWindow*roundTrip-roundTrip
		t.Logf("%d MiB with %v of delay took %v", length>>20, roundTrip, took)
		if took < least || took > least+4*roundTrip {
			t.Errorf("took %v, want %v and the time in which the window grows", took, least)
		}
	})
}

// A reader who does not keep up holds the window that all have. One who stops holds the
// grown one, and holds up no other.
func TestWindowOfASlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFarServer(t, 64<<20)
		slow := s.get()
		for range 20 {
			<-time.After(2 * roundTrip)
			if _, err := io.CopyN(io.Discard, slow, 1<<20); err != nil {
				t.Fatal(err)
			}
		}
		<-time.After(2 * roundTrip)
		if n := s.codec.unread.Load(); slow.mostNow() != windowOfStream || n > windowOfStream {
			t.Errorf("a window of %d bytes, %d are unread", slow.mostNow(), n)
		}
		_ = slow.Close()

		stopped := s.get()
		if _, err := io.CopyN(io.Discard, stopped, 40<<20); err != nil {
			t.Fatal(err)
		}
		<-time.After(10 * roundTrip)
		if n := s.codec.unread.Load(); stopped.mostNow() != fastWindow || n > fastWindow || n < fastWindow/2 {
			t.Errorf("a window of %d bytes, %d are unread", stopped.mostNow(), n)
		}
		if n, err := io.Copy(io.Discard, s.get()); n != s.length || err != nil {
			t.Errorf("beside it: %d bytes, %v", n, err)
		}
		_ = stopped.Close()
	})
}
