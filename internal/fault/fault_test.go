package fault_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/urlkit/urlkit/internal/fault"
	"github.com/urlkit/urlkit/internal/leak"
)

var message = []byte("0123456789")

// pair is a loopback connection: ours and the peer's end.
func pair(t *testing.T) (ours, peer net.Conn) {
	t.Helper()
	l := listen(t)
	accepted := make(chan net.Conn, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			t.Error(err)
		}
		accepted <- c
	}()
	ours, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	peer = <-accepted
	t.Cleanup(func() { ours.Close(); peer.Close() })

	return ours, peer
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })

	return l
}

func TestReading(t *testing.T) {
	for _, row := range []struct {
		fault fault.Fault
		want  string
		err   error // nil: the peer's orderly end
	}{
		{fault.Fault{}, "0123456789", nil},
		{fault.Fault{Kind: fault.Cut}, "", nil},
		{fault.Fault{Kind: fault.Cut, At: -3}, "", nil},
		{fault.Fault{Kind: fault.Cut, At: 4}, "0123", nil},
		{fault.Fault{Kind: fault.Cut, At: 99}, "0123456789", nil},
		{fault.Fault{Kind: fault.Reset, At: 4}, "0123", syscall.ECONNRESET},
		{fault.Fault{Kind: fault.Deny}, "", syscall.ECONNRESET},
		{fault.Fault{Kind: fault.Split, At: 2}, "0123456789", nil},
		{fault.Fault{Kind: fault.Garble, At: 8}, "01234567\xc7\xc6", nil},
		{fault.Fault{Kind: fault.Garble, At: 1, Size: 2}, "0\xce\xcd3456789", nil},
		{fault.Fault{Kind: fault.Cut, Direction: fault.Writing}, "0123456789", nil},
	} {
		t.Run(row.fault.String(), func(t *testing.T) {
			leak.Check(t)
			ours, peer := pair(t)
			if _, err := peer.Write(message); err != nil {
				t.Fatal(err)
			}
			peer.(*net.TCPConn).CloseWrite()
			c := fault.Conn(ours, row.fault)
			defer c.Close()
			got, err := io.ReadAll(c)
			if string(got) != row.want || !errors.Is(err, row.err) {
				t.Errorf("read %q, %v; want %q, %v", got, err, row.want, row.err)
			}
		})
	}
}

func TestWriting(t *testing.T) {
	for _, row := range []struct {
		fault   fault.Fault
		want    string
		err     error // of our Write
		peerErr error
	}{
		{fault.Fault{Direction: fault.Writing}, "0123456789", nil, nil},
		{fault.Fault{Kind: fault.Cut, Direction: fault.Writing, At: 4}, "0123", syscall.EPIPE, nil},
		{fault.Fault{Kind: fault.Reset, Direction: fault.Writing}, "", syscall.ECONNRESET, syscall.ECONNRESET},
		{fault.Fault{Kind: fault.Split, Direction: fault.Writing, Size: 3}, "0123456789", nil, nil},
		{fault.Fault{Kind: fault.Garble, Direction: fault.Writing, At: 9}, "012345678\xc6", nil, nil},
		{fault.Fault{Kind: fault.Deny}, "", syscall.ECONNRESET, syscall.ECONNRESET},
		{fault.Fault{Kind: fault.Reset, At: 0}, "0123456789", nil, nil},
	} {
		t.Run(row.fault.String(), func(t *testing.T) {
			leak.Check(t)
			ours, peer := pair(t)
			c := fault.Conn(ours, row.fault)
			data := bytes.Clone(message)
			n, err := c.Write(data)
			if n != len(row.want) || !errors.Is(err, row.err) {
				t.Errorf("wrote %d, %v; want %d, %v", n, err, len(row.want), row.err)
			}
			if !bytes.Equal(data, message) {
				t.Errorf("the caller's bytes became %q", data)
			}
			if err != nil {
				if _, again := c.Write(data); !errors.Is(again, row.err) {
					t.Errorf("a second write gives %v, not %v", again, row.err)
				}
			}
			c.Close()
			got, peerErr := io.ReadAll(peer)
			if string(got) != row.want || !errors.Is(peerErr, row.peerErr) {
				t.Errorf("the peer read %q, %v; want %q, %v", got, peerErr, row.want, row.peerErr)
			}
		})
	}
}

func TestResetIsRealOnTCP(t *testing.T) {
	ours, peer := pair(t)
	c := fault.Conn(ours, fault.Fault{Kind: fault.Reset})
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("our read gives %v", err)
	}
	if _, err := peer.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the peer's read gives %v, not a reset", err)
	}
	if err := c.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

func TestSplitSizes(t *testing.T) {
	ours, peer := net.Pipe()
	defer peer.Close()
	c := fault.Conn(ours, fault.Fault{Kind: fault.Split, Direction: fault.Writing, At: 2, Size: 4})
	go func() {
		defer c.Close()
		if _, err := c.Write(message); err != nil {
			t.Error(err)
		}
	}()
	var sizes []int
	for buf := make([]byte, 64); ; {
		n, err := peer.Read(buf)
		if err != nil {
			break
		}
		sizes = append(sizes, n)
	}
	if got := fmt.Sprint(sizes); got != "[2 4 4]" {
		t.Errorf("pieces of %s bytes, want [2 4 4]", got)
	}
}

func TestOneByteReads(t *testing.T) {
	ours, peer := pair(t)
	if _, err := peer.Write(message); err != nil {
		t.Fatal(err)
	}
	c := fault.Conn(ours, fault.Fault{Kind: fault.Split})
	if n, err := c.Read(make([]byte, 64)); n != 1 || err != nil {
		t.Errorf("Read gives %d, %v; want 1 byte", n, err)
	}
	if n, err := c.Read(nil); n != 0 || err != nil {
		t.Errorf("empty Read gives %d, %v", n, err)
	}
}

func TestStallKeepsDeadlinesAndClose(t *testing.T) {
	for _, direction := range []fault.Direction{fault.Reading, fault.Writing} {
		t.Run(direction.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ours, peer := net.Pipe()
				c := fault.Conn(ours, fault.Fault{Kind: fault.Stall, Direction: direction, At: 2})
				use := c.Read
				go func() { peer.Write(message[:2]) }()
				if direction == fault.Writing {
					use = c.Write
					go func() { io.ReadAll(peer) }()
				}
				if n, err := use(make([]byte, 2)); n != 2 || err != nil {
					t.Fatalf("before the stall: %d, %v", n, err)
				}
				start := time.Now()
				c.SetDeadline(start.Add(time.Minute))
				_, err := use(make([]byte, 5))
				if !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != time.Minute {
					t.Errorf("after %v: %v; want the deadline after a minute", time.Since(start), err)
				}
				c.SetReadDeadline(time.Time{})
				c.SetWriteDeadline(time.Time{})
				ended := make(chan error)
				go func() {
					_, err := use(make([]byte, 1))
					ended <- err
				}()
				synctest.Wait()
				c.Close()
				if err := <-ended; !errors.Is(err, net.ErrClosed) {
					t.Errorf("Close gives the stalled call %v", err)
				}
				peer.Close()
			})
		})
	}
}

func TestUnwrap(t *testing.T) {
	ours, peer := net.Pipe()
	defer peer.Close()
	c := fault.Conn(ours, fault.Fault{})
	defer c.Close()
	if got := c.(interface{ Unwrap() net.Conn }).Unwrap(); got != ours {
		t.Errorf("Unwrap gives %v", got)
	}
	if err := c.(interface{ CloseWrite() error }).CloseWrite(); err == nil {
		t.Error("a pipe was half closed")
	}
}

func TestDial(t *testing.T) {
	l := listen(t)
	var d net.Dialer
	_, err := fault.Dial(d.DialContext, fault.Fault{Kind: fault.Deny})(context.Background(), "tcp", l.Addr().String())
	if !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("denied dial gives %v", err)
	}
	c, err := fault.Dial(d.DialContext, fault.Fault{Kind: fault.Cut})(context.Background(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("read gives %v, want EOF", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := fault.Dial(d.DialContext, fault.Fault{})(ctx, "tcp", l.Addr().String()); !errors.Is(err, context.Canceled) {
		t.Errorf("the dialer's error became %v", err)
	}
}

func TestServe(t *testing.T) {
	rows := append(
		fault.EachByte(fault.Fault{Kind: fault.Cut, Direction: fault.Writing}, len(message)+1),
		fault.Fault{Kind: fault.Reset, Direction: fault.Writing, At: 3},
		fault.Fault{Kind: fault.Split, Direction: fault.Writing},
	)
	for _, f := range rows {
		t.Run(f.String(), func(t *testing.T) {
			leak.Check(t)
			leak.CheckFiles(t)
			l := listen(t)
			served := make(chan error)
			go func() { served <- fault.Serve(l, message, f) }()
			c, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			c.Write([]byte("hello"))
			got, err := io.ReadAll(c)
			want := message
			if f.Kind != fault.Split {
				want = message[:min(f.At, int64(len(message)))]
			}
			if !bytes.Equal(got, want) || (f.Kind == fault.Reset) != errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("got %q, %v; want %q", got, err, want)
			}
			l.Close()
			if err := <-served; err != nil {
				t.Errorf("Serve: %v", err)
			}
		})
	}
}

func TestServeEndsAStall(t *testing.T) {
	leak.Check(t)
	l := listen(t)
	served := make(chan error)
	go func() {
		served <- fault.Serve(l, message, fault.Fault{Kind: fault.Stall, Direction: fault.Writing, At: 2})
	}()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.Write([]byte("hello"))
	if _, err := io.ReadFull(c, make([]byte, 2)); err != nil {
		t.Fatal(err)
	}
	l.Close()
	if err := <-served; err != nil {
		t.Errorf("Serve: %v", err)
	}
}

func ExampleConn() {
	ours, peer := net.Pipe()
	go peer.Write([]byte("HTTP/1.1 200 OK"))
	c := fault.Conn(ours, fault.Fault{Kind: fault.Cut, At: 8})
	got, err := io.ReadAll(c)
	fmt.Printf("%s %v\n", got, err)
	// Output: HTTP/1.1 <nil>
}
