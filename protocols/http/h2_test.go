package http

import (
	"context"
	"errors"
	"io"
	nethttp "net/http"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2"

	"github.com/urlkit/urlkit/protocols"
)

// What a request's head is on the wire of HTTP/2.
func TestHeadOnTheWire(t *testing.T) {
	tests := []struct {
		name, method string
		body         *protocols.Body
		header       nethttp.Header
		want         []string
	}{
		{"get", "", nil, nil, []string{":method=GET", ":scheme=https", ":path=/a", ":authority=example.com"}},
		{
			"fields", "GET", nil,
			nethttp.Header{
				"X-B": {" two ", "three"}, "Accept": {"*/*"}, "Cookie": {"a=b; c=d"}, "User-Agent": {""}, "Te": {"gzip", "Trailers"},
				"Connection": {"close, X-Hop"}, "X-Hop": {"x"}, "Keep-Alive": {"5"}, "Transfer-Encoding": {"chunked"}, "Content-Length": {"9"},
			},
			[]string{
				":method=GET", ":scheme=https", ":path=/a", ":authority=example.com",
				"accept=*/*", "cookie=a=b", "cookie=c=d", "te=Trailers", "x-b=two", "x-b=three",
			},
		},
		{"post", "POST", nil, nil, []string{":method=POST", ":scheme=https", ":path=/a", ":authority=example.com", "content-length=0"}},
		{
			"put", "PUT", protocols.StringBody("abc"), nil,
			[]string{":method=PUT", ":scheme=https", ":path=/a", ":authority=example.com", "content-length=3"},
		},
		{"connect", "CONNECT", nil, nil, []string{":method=CONNECT", ":authority=example.com"}},
		{
			"extended connect", "CONNECT", nil,
			nethttp.Header{protocolField: {"websocket"}},
			[]string{":method=CONNECT", ":scheme=https", ":path=/a", ":authority=example.com", ":protocol=websocket"},
		},
	}
	p := newTalk(t, Config{}, http2.Setting{ID: http2.SettingEnableConnectProtocol, Val: 1})
	for _, test := range tests {
		done := p.ask(t.Context(), test.method, test.body, test.header)
		stream, fields := p.asked()
		p.answer(stream, true, ":status", "200")
		if got := <-done; got.err != nil || !slices.Equal(fields, test.want) {
			t.Errorf("%s: %v\n got %q\nwant %q", test.name, got.err, fields, test.want)
		}
	}
}

// The heads are counted as they are on the wire, interim responses and trailers too.
func TestHeadBytes(t *testing.T) {
	p := newTalk(t, Config{})
	for range 2 {
		done := p.ask(t.Context(), "GET", nil, nethttp.Header{"X-A": {"some value"}})
		f := until[*http2.HeadersFrame](p)
		sent, id := int64(f.Length+9), f.StreamID
		received := int64(0)
		for i, fields := range [][]string{{":status", "103", "x", "y"}, {":status", "200"}, {"x-sum", "42"}} {
			block := p.encoded(fields...)
			received += int64(len(block) + 9)
			p.do(p.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block, EndHeaders: true, EndStream: i == 2}))
		}
		got := <-done
		if got.err != nil {
			t.Fatal(got.err)
		}
		if s := got.resp.Body.(*stream); s.sentHead != sent || s.gotHead.Load() != received {
			t.Errorf("sent %d, want %d; received %d, want %d", s.sentHead, sent, s.gotHead.Load(), received)
		}
	}
}

// A head that the peer cannot take is not sent, and costs nothing but its load.
func TestHeadThatIsNotSent(t *testing.T) {
	p := newTalk(t, Config{}, http2.Setting{ID: http2.SettingMaxHeaderListSize, Val: 500})
	for name, header := range map[string]nethttp.Header{
		"long": {"A": {strings.Repeat("x", 500)}}, "a line end": {"A": {"b\r\nc: d"}}, "a name": {"A b": {"c"}}, "a protocol": {protocolField: {"websocket"}},
	} {
		method := map[string]string{"a protocol": "CONNECT"}[name]
		if got := <-p.ask(t.Context(), method, nil, header); !errors.Is(got.err, protocols.BadURL) {
			t.Errorf("%s: %v", name, got.err)
		}
	}
	done := p.ask(t.Context(), "GET", nil, nil)
	stream, _ := p.asked()
	p.answer(stream, true, ":status", "204")
	if got := <-done; got.err != nil || stream != 1 {
		t.Errorf("stream %d, %v", stream, got.err)
	}
}

// Heads that take several frames, both ways; interim responses; padding; a trailer.
func TestLongExchange(t *testing.T) {
	p := newTalk(t, Config{})
	p.AllowIllegalWrites = true // nothing of it is; the framer does not pad heads otherwise
	long := strings.Repeat("0123456789~", 5<<10)
	done := p.ask(t.Context(), "GET", nil, nethttp.Header{"X-Long": {long}})
	stream, fields := p.asked()
	if !slices.Contains(fields, "x-long="+long) {
		t.Errorf("the head came as %.200q", fields)
	}
	p.answer(stream, false, ":status", "103", "link", "x")
	block := p.encoded(":status", "200", "x-long", long, "trailer", "x-sum", "content-length", "8", "set-cookie", "a", "set-cookie", "b")
	p.do(p.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block[:10], PadLength: 9}))
	for rest := block[10:]; len(rest) > 0; {
		n := min(len(rest), 10<<10)
		p.do(p.WriteContinuation(stream, n == len(rest), rest[:n]))
		rest = rest[n:]
	}
	p.do(p.WriteDataPadded(stream, false, []byte("body"), make([]byte, 200)))
	p.do(p.WriteData(stream, false, nil))
	p.do(p.WriteDataPadded(stream, false, []byte("body"), nil))
	p.answer(stream, true, "x-sum", "42", "x-late", "43")
	got := <-done
	if got.err != nil || got.body != "bodybody" || got.resp.Header.Get("X-Long") != long || got.resp.ContentLength != 8 {
		t.Fatalf("%v, %q", got.err, got.body)
	}
	if cookies := got.resp.Header["Set-Cookie"]; !slices.Equal(cookies, []string{"a", "b"}) {
		t.Errorf("cookies %q", cookies)
	}
	if trailer := got.resp.Trailer; trailer.Get("X-Sum") != "42" || trailer.Get("X-Late") != "43" || got.resp.Header["Trailer"] != nil {
		t.Errorf("trailer %v, header %v", trailer, got.resp.Header["Trailer"])
	}
}

// A peer that keeps no table of fields is sent none to keep.
func TestHeaderTableSize(t *testing.T) {
	p := newTalk(t, Config{}, http2.Setting{ID: http2.SettingHeaderTableSize, Val: 0})
	p.decoder.SetAllowedMaxDynamicTableSize(0)
	for range 3 {
		done := p.ask(t.Context(), "GET", nil, nethttp.Header{"X-Own": {"value"}})
		stream, fields := p.asked()
		p.answer(stream, true, ":status", "200")
		if got := <-done; got.err != nil || !slices.Contains(fields, "x-own=value") {
			t.Errorf("%v, %q", got.err, fields)
		}
	}
}

// How many requests a connection takes is what its peer says, also later on.
func TestLimitChanges(t *testing.T) {
	p := newTalk(t, Config{}, http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 1})
	<-p.changes
	done := p.ask(t.Context(), "GET", nil, nil)
	stream, _ := p.asked()
	var none unbegun
	if got := <-p.ask(t.Context(), "GET", nil, nil); !errors.As(got.err, &none) {
		t.Errorf("one too many: %v", got.err)
	}
	p.do(p.WriteSettings(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 2}))
	<-p.changes
	if p.codec.Limit() != 2 || p.codec.Available() != 1 {
		t.Errorf("limit %d, %d available", p.codec.Limit(), p.codec.Available())
	}
	second := p.ask(t.Context(), "GET", nil, nil)
	other, _ := p.asked()
	p.answer(other, true, ":status", "200")
	p.answer(stream, true, ":status", "200")
	if a, b := <-done, <-second; a.err != nil || b.err != nil {
		t.Error(a.err, b.err)
	}
}

// The numbers of streams come to an end; another connection has new ones.
func TestStreamsRunOut(t *testing.T) {
	l, client, url := startFrames(t, func(p *peer, stream uint32) { p.ok(stream) })
	get(t, l, url)
	l.pool.mu.Lock()
	for _, h := range l.pool.hosts {
		codec := h.shared.wire.(*codec2)
		codec.mu.Lock()
		codec.nextID = maxStreamID
		codec.mu.Unlock()
	}
	l.pool.mu.Unlock()
	for want := range int32(3) {
		get(t, l, url)
		if n := client.dials.Load(); n != min(want+1, 2) {
			t.Errorf("load %d: %d connections", want, n)
		}
	}
}

// A connection that holds much of what nobody has read takes no new request.
func TestFullOfUnread(t *testing.T) {
	l, client, url := startFrames(t, func(p *peer, stream uint32) { p.ok(stream) })
	get(t, l, url)
	l.pool.mu.Lock()
	for _, h := range l.pool.hosts {
		h.shared.wire.(*codec2).unread.Add(maxUnread/2 + 1)
	}
	l.pool.mu.Unlock()
	get(t, l, url)
	if n := client.dials.Load(); n != 2 {
		t.Errorf("%d connections", n)
	}
}

// A body that nobody reads holds the window of its stream, and no more: the
// connection's opens again as bytes come. Reading opens the stream's.
func TestWindowsOfUnreadBodies(t *testing.T) {
	p := newTalk(t, Config{})
	r := newAsk(t.Context(), "GET", nil, nil)
	answered := make(chan *nethttp.Response, 1)
	go func() {
		resp, err := p.codec.RoundTrip(r)
		if err != nil {
			t.Error(err)
		}
		answered <- resp
	}()
	stream, _ := p.asked()
	p.answer(stream, false, ":status", "200")
	resp := <-answered
	go func() {
		for range windowOfStream / maxFrame {
			_ = p.WriteData(stream, false, make([]byte, maxFrame))
		}
	}()
	eventually(t, "all of it has come", func() bool { return p.codec.unread.Load() == windowOfStream })
	p.codec.mu.Lock()
	owed, allowed := p.codec.receive.owed, p.codec.receive.allowed
	p.codec.mu.Unlock()
	if owed+allowed != windowOfConnection {
		t.Errorf("%d bytes of the connection's window are held", windowOfConnection-owed-allowed)
	}
	if _, err := io.CopyN(io.Discard, resp.Body, windowOfStream/2); err != nil {
		t.Fatal(err)
	}
	for more := uint32(0); more < windowOfStream/2; {
		f := until[*http2.WindowUpdateFrame](p)
		if f.StreamID != stream {
			t.Fatalf("the window of %d opens", f.StreamID)
		}
		more += f.Increment
	}
	if n := p.codec.unread.Load(); n != windowOfStream/2 {
		t.Errorf("%d bytes count as unread", n)
	}
	_ = resp.Body.Close()
	if n := p.codec.unread.Load(); n != 0 {
		t.Errorf("%d bytes count as unread after Close", n)
	}
	if code, _ := p.ended(); code != http2.ErrCodeCancel {
		t.Errorf("ended with %v", code)
	}
}

// Beyond the bound the connection's window opens as bodies are read.
func TestUnreadWithholdsTheConnection(t *testing.T) {
	p := newTalk(t, Config{})
	p.codec.unread.Store(maxUnread + 1)
	p.codec.mu.Lock()
	err := p.codec.took(windowOfConnection)
	if err != nil || p.codec.receive.withheld != windowOfConnection {
		t.Errorf("%v, %d bytes are withheld", err, p.codec.receive.withheld)
	}
	if err := p.codec.took(1); err == nil {
		t.Error("more than the window was taken")
	}
	p.codec.mu.Unlock()
	p.codec.consumed(maxUnread+1, &stream{}, 0)
	if f := until[*http2.WindowUpdateFrame](p); f.StreamID != 0 || f.Increment < windowOfConnection {
		t.Errorf("the window of %d opens by %d", f.StreamID, f.Increment)
	}
}

// Cancelling tells the peer at once, wherever the exchange stands, and whether anybody
// reads or not.
func TestCancelResets(t *testing.T) {
	p := newTalk(t, Config{})
	for _, where := range []string{"before the head", "nobody reads", "somebody reads", "closed"} {
		ctx, cancel := context.WithCancel(t.Context())
		r := newAsk(ctx, "GET", nil, nil)
		outcome, answered := make(chan error, 1), make(chan io.Closer, 1)
		go func() {
			resp, err := p.codec.RoundTrip(r)
			if err == nil {
				answered <- resp.Body
				if where == "somebody reads" {
					_, err = resp.Body.Read(make([]byte, 1))
				} else {
					<-ctx.Done()
					_, err = resp.Body.Read(make([]byte, 1))
				}
			}
			outcome <- err
		}()
		stream, _ := p.asked()
		if where != "before the head" {
			p.answer(stream, false, ":status", "200")
			if body := <-answered; where == "closed" {
				_ = body.Close()
			}
		}
		if where != "closed" {
			cancel()
		}
		if f := until[*http2.RSTStreamFrame](p); f.StreamID != stream || f.ErrCode != http2.ErrCodeCancel {
			t.Errorf("%s: %v", where, f)
		}
		cancel()
		if err := <-outcome; !errors.Is(err, context.Canceled) && !errors.Is(err, errBodyClosed) {
			t.Errorf("%s: %v", where, err)
		}
		p.do(p.WriteData(stream, true, []byte("late"))) // which is no fault
	}
	if p.codec.Err() != nil {
		t.Error("the connection ended too")
	}
}
