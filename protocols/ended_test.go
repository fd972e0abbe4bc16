package protocols_test

import (
	"io"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/urlkit/urlkit/protocols"
)

// becomes waits until Ended says what it should.
func becomes(t *testing.T, c net.Conn, want bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(5 * time.Second); ; <-tick.C {
		ended, known := protocols.Ended(c)
		if !known {
			t.Fatal("nothing is known")
		}
		if ended == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("Ended stays %v", ended)
		}
	}
}

func TestEnded(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the system cannot look without taking")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	for name, end := range map[string]func(net.Conn) error{
		"closed":  net.Conn.Close,
		"unasked": func(c net.Conn) error { _, err := io.WriteString(c, "surplus"); return err },
	} {
		c, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		peer, err := listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		becomes(t, c, false)
		if err := end(peer); err != nil {
			t.Fatal(name, err)
		}
		becomes(t, c, true)
		if name == "unasked" { // nothing was taken
			got := make([]byte, 7)
			if _, err := io.ReadFull(c, got); err != nil || string(got) != "surplus" {
				t.Errorf("%q, %v", got, err)
			}
		}
		_ = peer.Close()
		_ = c.Close()
		becomes(t, c, true)
	}
	ours, theirs := net.Pipe()
	defer ours.Close()
	defer theirs.Close()
	if _, known := protocols.Ended(ours); known {
		t.Error("a pipe tells")
	}
}
