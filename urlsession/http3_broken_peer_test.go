//go:build !urlkit_nohttp3

package urlsession_test

import (
	"errors"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/internal/peer"
	"github.com/urlkit/urlkit/urlsession"
)

// UDP that is swallowed or refused costs the first request at most the head start, and
// the next nothing. TCP alone is the measure; of each the best of a few fresh sessions
// counts, since the machine may be busy.
func TestPeerBrokenUDP(t *testing.T) {
	leak.Check(t)
	const tries, headStart, slack = 3, 300 * time.Millisecond, 150 * time.Millisecond
	p := peer.Start(t, "ngtcp2.sh", peer.UDP)
	best := func(field string, tcpAlone bool) (took [3]time.Duration) {
		base := announcing(t, p, field)
		for range tries {
			s := session(t, func(c *urlsession.Configuration) {
				c.RootCAs, c.OmitsHTTP3, c.CachePolicy = p.Roots(t), tcpAlone, urlsession.ReloadIgnoringLocalCache
			})
			load(t, s, get(t, base+"/hello.txt"))        // tells
			if err := s.Flush(t.Context()); err != nil { // the next connects anew
				t.Error(err)
			}
			for i := range took {
				began := time.Now()
				data, resp := load(t, s, get(t, base+"/hello.txt"))
				if now := time.Since(began); took[i] == 0 || now < took[i] {
					took[i] = now
				}
				if data != "tcp\n" || resp.Proto != "h2" {
					t.Errorf("%s: request %d: %q by %s", field, i, data, resp.Proto)
				}
			}
		}

		return took
	}
	alone := best(`h3=":1"`, true)[0]
	for name, field := range map[string]string{"swallowed": `h3=":` + swallowing(t) + `"`, "refused": `h3=":1"`} {
		took := best(field, false)
		t.Logf("%s: %v; over TCP alone %v", name, took, alone)
		if took[0] < headStart || took[0] > alone+headStart+slack || slices.Max(took[1:]) > alone+slack {
			t.Errorf("%s: %v; over TCP alone %v", name, took, alone)
		}
	}
}

// swallowing is a UDP port that answers nothing.
func swallowing(t *testing.T) string {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_, port, _ := net.SplitHostPort(conn.LocalAddr().String())

	return port
}

// A server that is killed in the middle of a download fails it, with an error that is
// known, and what follows goes over TCP.
func TestPeerDiesInMidDownload(t *testing.T) {
	leak.Check(t)
	p := peer.Start(t, "ngtcp2.sh", peer.UDP)
	makeLarge(t, p)
	base := announcing(t, p, "clear")
	_, port, _ := net.SplitHostPort(base[len("https://"):])
	path := relayed(t, "127.0.0.1:"+port, p.Addr(0), 20<<20)
	defer path()
	s := session(t, func(c *urlsession.Configuration) { c.RootCAs = p.Roots(t) })
	body, err := s.Bytes(t.Context(), assuming(t, base+"/large.bin"))
	if err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, body)
	if _ = body.Close(); !errors.Is(err, io.ErrUnexpectedEOF) || body.Response().Proto != "h3" {
		t.Errorf("%d bytes by %s, %v", n, body.Response().Proto, err)
	}
	wantCode(t, err, urlsession.NetworkConnectionLost)
	began := time.Now()
	if data, resp := load(t, s, assuming(t, base+"/hello.txt")); data != "tcp\n" || resp.Proto != "h2" || time.Since(began) > 200*time.Millisecond {
		t.Errorf("the next: %q by %s after %v", data, resp.Proto, time.Since(began))
	}
}

// relayed passes datagrams between a port and a server, until so many bytes have come.
func relayed(t *testing.T, front, to string, bytes int) (stop func()) {
	t.Helper()
	in, err := net.ListenPacket("udp", front)
	if err != nil {
		t.Fatal(err)
	}
	out, err := net.Dial("udp", to)
	if err != nil {
		t.Fatal(err)
	}
	client := make(chan net.Addr, 1)
	done := make(chan struct{}, 2)
	go func() {
		defer func() { done <- struct{}{} }()
		buf := make([]byte, 64<<10)
		for {
			n, from, err := in.ReadFrom(buf)
			if err != nil {
				return
			}
			select {
			case client <- from:
			default:
			}
			_, _ = out.Write(buf[:n])
		}
	}()
	go func() {
		defer func() { done <- struct{}{} }()
		buf := make([]byte, 64<<10)
		var to net.Addr
		for total := 0; ; {
			n, err := out.Read(buf)
			if err != nil {
				return
			}
			if to == nil {
				to = <-client
			}
			if total += n; total < bytes {
				_, _ = in.WriteTo(buf[:n], to)
			}
		}
	}()

	return func() {
		in.Close()
		out.Close()
		<-done
		<-done
	}
}
