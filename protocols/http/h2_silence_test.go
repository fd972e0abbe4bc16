package http

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	nethttp "net/http"
	"net/http/httptrace"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"

	"github.com/urlkit/urlkit/protocols"
)

// piped is a talk over a pipe in a bubble of synctest, where time is the test's.
func piped(t *testing.T) *talk {
	ours, theirs := net.Pipe()

	return begun(t, ours, theirs, Config{})
}

// A silent peer is asked after 30 seconds, and given up 15 seconds later, with an error
// that says so.
func TestSilentPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := piped(t)
		start := time.Now()
		done := p.ask(t.Context(), "GET", nil, nil)
		p.asked()
		if until[*http2.PingFrame](p); time.Since(start) != pingAfter {
			t.Errorf("asked after %v", time.Since(start))
		}
		if got := <-done; !errors.Is(got.err, errSilent) || !lost(got.err) || time.Since(start) != pingAfter+pingPatience {
			t.Errorf("%v after %v", got.err, time.Since(start))
		}
	})
}

// A peer that answers goes on being asked.
func TestSlowPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := piped(t)
		done := p.ask(t.Context(), "GET", nil, nil)
		stream, _ := p.asked()
		for range 5 {
			f := until[*http2.PingFrame](p)
			p.do(p.WritePing(true, f.Data))
		}
		p.answer(stream, true, ":status", "200")
		if got := <-done; got.err != nil {
			t.Error(got.err)
		}
	})
}

// A connection without requests is left alone; one that was silent for long is asked
// with its next request.
func TestLongIdlePeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := piped(t)
		for i := range 2 {
			done := p.ask(t.Context(), "GET", nil, nil)
			stream, _ := p.asked()
			if i > 0 {
				if until[*http2.PingFrame](p); time.Since(p.codec.born) != time.Hour {
					t.Errorf("asked after %v", time.Since(p.codec.born))
				}
			}
			p.answer(stream, true, ":status", "200")
			if got := <-done; got.err != nil {
				t.Error(got.err)
			}
			<-time.After(time.Hour - time.Since(p.codec.born))
		}
	})
}

// A peer that does not read holds up neither a load that is cancelled nor the end of
// the connection.
func TestDeafPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := piped(t)
		for _, body := range []*protocols.Body{nil, protocols.StringBody("short"), protocols.BytesBody(make([]byte, 1<<20))} {
			ctx, cancel := context.WithCancel(t.Context())
			done := p.ask(ctx, "PUT", body, nil)
			synctest.Wait()
			cancel()
			if got := <-done; !errors.Is(got.err, context.Canceled) {
				t.Error(got.err)
			}
		}
		for i := range uint64(2 * maxReplies) {
			if p.WritePing(false, [8]byte([]byte(fmt.Sprintf("%08d", i)))) != nil {
				break
			}
		}
		synctest.Wait()
		<-time.After(lastWords)
		if p.codec.Err() == nil {
			t.Error("pings without end, and no answer read: it goes on")
		}
	})
}

// A peer that answers what it has not read makes the connection believe that a write
// takes no time. It does not hold up a load that is cancelled for long.
func TestAnswersUnread(t *testing.T) {
	p := newTalk(t, Config{})
	_ = p.conn.(*net.TCPConn).SetReadBuffer(4 << 10)
	written, text := make(chan struct{}, 1), make([]byte, 6<<10)
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		WroteRequest: func(httptrace.WroteRequestInfo) { written <- struct{}{} },
	})
	for id := uint32(1); ; id += 2 {
		if id > 10_000 {
			t.Fatal("everything is written, and nothing read")
		}
		for i := range text {
			text[i] = byte('a' + rand.IntN(26))
		}
		ctx, cancel := context.WithCancel(ctx)
		done := p.ask(ctx, "GET", nil, nethttp.Header{"X-Text": {string(text)}})
		select {
		case <-written:
			p.answer(id, true, ":status", "200")
			if got := <-done; got.err != nil {
				t.Fatal(got.err)
			}
			cancel()
		case <-time.After(100 * time.Millisecond):
			cancel()
			select {
			case got := <-done:
				if !errors.Is(got.err, context.Canceled) {
					t.Error(got.err)
				}
			case <-time.After(10 * time.Second):
				t.Error("a load that was cancelled does not end")
			}

			return
		}
	}
}
