package http

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	nethttp "net/http"
	"net/url"
	"slices"
	"sync"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/protocols"
)

// talk is a codec over a loopback connection in clear text, and the side of its
// server, which a test plays frame by frame.
type talk struct {
	*http2.Framer

	t       testing.TB
	codec   *codec2
	conn    net.Conn // the server's
	decoder *hpack.Decoder
	block   bytes.Buffer
	encoder *hpack.Encoder
	changes chan struct{} // one for each call of changed, as far as there is room
}

// newTalk begins a connection: its preface and settings are read, and the server's
// settings sent.
func newTalk(t testing.TB, config Config, settings ...http2.Setting) *talk {
	t.Helper()
	leak.Check(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	ours, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}

	return begun(t, ours, theirs, config, settings...)
}

func begun(t testing.TB, ours, theirs net.Conn, config Config, settings ...http2.Setting) *talk {
	t.Helper()
	config.fill()
	p := &talk{Framer: http2.NewFramer(theirs, theirs), t: t, conn: theirs, changes: make(chan struct{}, 10)}
	p.encoder = hpack.NewEncoder(&p.block)
	p.decoder = hpack.NewDecoder(4<<10, nil)
	socket := &socket{Conn: ours}
	p.codec = newCodec2(socket, socket, &config, func() {
		select {
		case p.changes <- struct{}{}:
		default:
		}
	})
	p.codec.begin()
	t.Cleanup(func() {
		_ = p.codec.Close()
		_ = theirs.Close()
	})
	preface := make([]byte, len(http2.ClientPreface))
	if _, err := io.ReadFull(theirs, preface); err != nil || string(preface) != http2.ClientPreface {
		t.Fatalf("%q, %v", preface, err)
	}
	until[*http2.WindowUpdateFrame](p)
	p.do(p.WriteSettings(settings...))
	until[*http2.SettingsFrame](p)

	return p
}

func (p *talk) do(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Error(err)
	}
}

// until gives the next frame of a kind; others are passed over.
func until[F http2.Frame](p *talk) F {
	p.t.Helper()
	for {
		frame, err := p.ReadFrame()
		if err != nil {
			p.t.Errorf("the client ended: %v", err)

			return *new(F)
		}
		if f, ok := frame.(F); ok {
			return f
		}
	}
}

// asked reads the head of the next request, and gives its stream and fields.
func (p *talk) asked() (uint32, []string) {
	p.t.Helper()
	f := until[*http2.HeadersFrame](p)
	if f == nil {
		p.t.FailNow()
	}
	block, last := slices.Clone(f.HeaderBlockFragment()), f.HeadersEnded()
	id := f.StreamID
	for !last {
		next := until[*http2.ContinuationFrame](p)
		block, last = append(block, next.HeaderBlockFragment()...), next.HeadersEnded()
	}
	fields, err := p.decoder.DecodeFull(block)
	p.do(err)
	names := make([]string, len(fields))
	for i, field := range fields {
		names[i] = field.Name + "=" + field.Value
	}

	return id, names
}

// answer writes a head in one frame.
func (p *talk) answer(stream uint32, end bool, fields ...string) {
	p.t.Helper()
	p.do(p.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: p.encoded(fields...), EndHeaders: true, EndStream: end}))
}

func (p *talk) encoded(fields ...string) []byte {
	p.block.Reset()
	for i := 0; i < len(fields); i += 2 {
		p.do(p.encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]}))
	}

	return slices.Clone(p.block.Bytes())
}

// outcome2 is how a request over a codec ended.
type outcome2 struct {
	resp *nethttp.Response
	body string
	err  error
}

// ask sends a request, and reads its answer.
func (p *talk) ask(ctx context.Context, method string, body *protocols.Body, header nethttp.Header) chan outcome2 {
	done := make(chan outcome2, 1)
	r := newAsk(ctx, method, body, header)
	go func() {
		resp, err := p.codec.RoundTrip(r)
		if err != nil {
			done <- outcome2{err: err}

			return
		}
		data, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		done <- outcome2{resp, string(data), err}
	}()

	return done
}

func newAsk(ctx context.Context, method string, body *protocols.Body, header nethttp.Header) *nethttp.Request {
	r := nethttp.Request{Method: method, URL: &url.URL{Scheme: "https", Host: "example.com", Path: "/a"}, Header: header}
	if length := body.KnownLength(); length != 0 {
		r.Body, r.ContentLength = &upload{source: body}, length
	}

	return r.WithContext(ctx)
}

// ended gives the code with which the client ended a stream or the connection.
func (p *talk) ended() (code http2.ErrCode, connection bool) {
	for {
		frame, err := p.ReadFrame()
		if err != nil {
			p.t.Errorf("the client ended without a word: %v", err)

			return 0, false
		}
		switch f := frame.(type) {
		case *http2.RSTStreamFrame:
			return f.ErrCode, false
		case *http2.GoAwayFrame:
			return f.ErrCode, true
		}
	}
}

// hostile are sequences of frames that a server must not send, after the request on
// stream 1 has come.
var hostile = []struct {
	name       string
	on         func(p *talk)
	code       http2.ErrCode
	connection bool
}{
	{"data on stream 0", func(p *talk) { p.raw(http2.FrameData, 0, 0, "x") }, http2.ErrCodeProtocol, true},
	{"data before the head", func(p *talk) { p.do(p.WriteData(1, false, []byte("x"))) }, http2.ErrCodeProtocol, false},
	{"data on a stream that has not begun", func(p *talk) { p.do(p.WriteData(3, false, []byte("x"))) }, http2.ErrCodeProtocol, true},
	{"data on a stream of the server's", func(p *talk) { p.do(p.WriteData(2, false, []byte("x"))) }, http2.ErrCodeProtocol, true},
	{"a body longer than told", func(p *talk) {
		p.answer(1, false, ":status", "200", "content-length", "1")
		p.do(p.WriteData(1, false, []byte("xy")))
	}, http2.ErrCodeProtocol, false},
	{"padding longer than its frame", func(p *talk) { p.raw(http2.FrameData, http2.FlagDataPadded, 1, "\x05abc") }, http2.ErrCodeProtocol, true},
	{"padding of nothing", func(p *talk) { p.raw(http2.FrameData, http2.FlagDataPadded, 1, "") }, http2.ErrCodeProtocol, true},
	{"a head on stream 0", func(p *talk) { p.raw(http2.FrameHeaders, http2.FlagHeadersEndHeaders, 0, "\x88") }, http2.ErrCodeProtocol, true},
	{"a head on a stream that has not begun", func(p *talk) { p.answer(7, true, ":status", "200") }, http2.ErrCodeProtocol, true},
	{"a head that cannot be decoded", func(p *talk) { p.raw(http2.FrameHeaders, http2.FlagHeadersEndHeaders, 1, "\xff\xff\xff\xff\xff") }, http2.ErrCodeCompression, true},
	{"a head of nothing but padding", func(p *talk) {
		p.raw(http2.FrameHeaders, http2.FlagHeadersEndHeaders|http2.FlagHeadersPadded, 1, "\x20ab")
	}, http2.ErrCodeProtocol, true},
	{"half a field", func(p *talk) { p.raw(http2.FrameHeaders, http2.FlagHeadersEndHeaders, 1, "\x40\x05ab") }, http2.ErrCodeCompression, true},
	{"no status", func(p *talk) { p.answer(1, true, "a", "b") }, http2.ErrCodeProtocol, false},
	{"two statuses", func(p *talk) { p.answer(1, true, ":status", "200", ":status", "200") }, http2.ErrCodeProtocol, false},
	{"a status in letters", func(p *talk) { p.answer(1, true, ":status", "abc") }, http2.ErrCodeProtocol, false},
	{"a status with a sign", func(p *talk) { p.answer(1, true, ":status", "+200") }, http2.ErrCodeProtocol, false},
	{"a status after fields", func(p *talk) { p.answer(1, true, "a", "b", ":status", "200") }, http2.ErrCodeProtocol, false},
	{"a pseudo-header of requests", func(p *talk) { p.answer(1, true, ":status", "200", ":path", "/") }, http2.ErrCodeProtocol, false},
	{"capital letters", func(p *talk) { p.answer(1, true, ":status", "200", "Server", "x") }, http2.ErrCodeProtocol, false},
	{"a line end in a value", func(p *talk) { p.answer(1, true, ":status", "200", "a", "b\r\nc: d") }, http2.ErrCodeProtocol, false},
	{"an empty name", func(p *talk) { p.answer(1, true, ":status", "200", "", "b") }, http2.ErrCodeProtocol, false},
	{"Connection", func(p *talk) { p.answer(1, true, ":status", "200", "connection", "close") }, http2.ErrCodeProtocol, false},
	{"Transfer-Encoding", func(p *talk) { p.answer(1, true, ":status", "200", "transfer-encoding", "chunked") }, http2.ErrCodeProtocol, false},
	{"101", func(p *talk) { p.answer(1, false, ":status", "101") }, http2.ErrCodeProtocol, false},
	{"an interim response that ends", func(p *talk) { p.answer(1, true, ":status", "103") }, http2.ErrCodeProtocol, false},
	{"interim responses without end", func(p *talk) {
		for range 3 * maxInterim {
			p.answer(1, false, ":status", "103")
		}
	}, http2.ErrCodeEnhanceYourCalm, false},
	{"a length in letters", func(p *talk) { p.answer(1, true, ":status", "200", "content-length", "ten") }, http2.ErrCodeProtocol, false},
	{"a negative length", func(p *talk) { p.answer(1, true, ":status", "200", "content-length", "-1") }, http2.ErrCodeProtocol, false},
	{"two lengths", func(p *talk) { p.answer(1, true, ":status", "200", "content-length", "1", "content-length", "2") }, http2.ErrCodeProtocol, false},
	{"a second head", func(p *talk) {
		p.answer(1, false, ":status", "200")
		p.answer(1, false, ":status", "200")
	}, http2.ErrCodeProtocol, false},
	{"a trailer that does not end", func(p *talk) {
		p.answer(1, false, ":status", "200")
		p.answer(1, false, "a", "b")
	}, http2.ErrCodeProtocol, false},
	{"a status in the trailer", func(p *talk) {
		p.answer(1, false, ":status", "200")
		p.answer(1, true, ":status", "200")
	}, http2.ErrCodeProtocol, false},
	{"a long head", func(p *talk) { p.answer(1, true, ":status", "200", "a", string(make([]byte, 3<<10))) }, http2.ErrCodeEnhanceYourCalm, false},
	{"many fields", func(p *talk) {
		fields := []string{":status", "200"}
		for range 100 {
			fields = append(fields, "a", "b")
		}
		p.answer(1, true, fields...)
	}, http2.ErrCodeEnhanceYourCalm, false},
	{"a head that never ends", func(p *talk) {
		_ = p.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: p.encoded(":status", "200")})
		for range 1000 {
			if p.WriteContinuation(1, false, nil) != nil {
				return
			}
		}
	}, http2.ErrCodeEnhanceYourCalm, true},
	{"a continuation of nothing", func(p *talk) { p.do(p.WriteContinuation(1, true, nil)) }, http2.ErrCodeProtocol, true},
	{"a head that is interrupted", func(p *talk) {
		p.do(p.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: p.encoded(":status", "200")}))
		p.do(p.WritePing(false, [8]byte{}))
	}, http2.ErrCodeProtocol, true},
	{"a push", func(p *talk) {
		p.do(p.WritePushPromise(http2.PushPromiseParam{StreamID: 1, PromiseID: 2, BlockFragment: p.encoded(":path", "/"), EndHeaders: true}))
	}, http2.ErrCodeProtocol, true},
	{"pushes asked for", func(p *talk) { p.do(p.WriteSettings(http2.Setting{ID: http2.SettingEnablePush, Val: 1})) }, http2.ErrCodeProtocol, true},
	{"settings of 5 bytes", func(p *talk) { p.raw(http2.FrameSettings, 0, 0, "12345") }, http2.ErrCodeFrameSize, true},
	{"settings of a stream", func(p *talk) { p.raw(http2.FrameSettings, 0, 1, "") }, http2.ErrCodeProtocol, true},
	{"settings without end", func(p *talk) { p.do(p.WriteSettings(make([]http2.Setting, maxSettings+1)...)) }, http2.ErrCodeEnhanceYourCalm, true},
	{"a frame size too small", func(p *talk) { p.do(p.WriteSettings(http2.Setting{ID: http2.SettingMaxFrameSize, Val: 1})) }, http2.ErrCodeProtocol, true},
	{"an initial window too large", func(p *talk) {
		p.do(p.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 31}))
	}, http2.ErrCodeFlowControl, true},
	{"an initial window that makes another too large", func(p *talk) {
		p.do(p.WriteWindowUpdate(1, maxWindow-firstWindow))
		p.do(p.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: maxWindow}))
	}, http2.ErrCodeFlowControl, true},
	{"a window opened by nothing", func(p *talk) { p.raw(http2.FrameWindowUpdate, 0, 1, "\x00\x00\x00\x00") }, http2.ErrCodeProtocol, false},
	{"the connection's window opened by nothing", func(p *talk) { p.raw(http2.FrameWindowUpdate, 0, 0, "\x00\x00\x00\x00") }, http2.ErrCodeProtocol, true},
	{"a window too large", func(p *talk) { p.do(p.WriteWindowUpdate(1, maxWindow)) }, http2.ErrCodeFlowControl, false},
	{"the connection's window too large", func(p *talk) { p.do(p.WriteWindowUpdate(0, maxWindow)) }, http2.ErrCodeFlowControl, true},
	{"a ping of 7 bytes", func(p *talk) { p.raw(http2.FramePing, 0, 0, "1234567") }, http2.ErrCodeFrameSize, true},
	{"a reset of a stream that has not begun", func(p *talk) { p.do(p.WriteRSTStream(9, http2.ErrCodeCancel)) }, http2.ErrCodeProtocol, true},
	{"a frame that is too long", func(p *talk) { p.raw(http2.FrameData, 0, 1, string(make([]byte, maxFrame+1))) }, http2.ErrCodeFrameSize, true},
	{"more than the stream's window", func(p *talk) {
		p.answer(1, false, ":status", "200")
		for range windowOfStream/maxFrame + 1 {
			if p.WriteData(1, false, make([]byte, maxFrame)) != nil {
				return
			}
		}
	}, http2.ErrCodeFlowControl, false},
	{"frames without effect", func(p *talk) {
		p.answer(1, false, ":status", "200")
		for range 2*maxIdleFrames + 1 {
			if p.WriteData(1, false, nil) != nil {
				return
			}
		}
	}, http2.ErrCodeEnhanceYourCalm, true},
}

// raw writes a frame that the framer would refuse.
func (p *talk) raw(kind http2.FrameType, flags http2.Flags, stream uint32, payload string) {
	p.AllowIllegalWrites = true
	_ = p.WriteRawFrame(kind, flags, stream, []byte(payload))
	p.AllowIllegalWrites = false
}

// What a server must not send ends its stream or the connection with the code that
// RFC 9113 has for it, and the load with an error of its kind.
func TestHostileFrames(t *testing.T) {
	for _, test := range hostile {
		t.Run(test.name, func(t *testing.T) {
			p := newTalk(t, Config{MaximumHeaderBytes: 2 << 10})
			gate, outcome := make(chan struct{}), make(chan error, 1)
			r := newAsk(t.Context(), "GET", nil, nil)
			go func() {
				resp, err := p.codec.RoundTrip(r)
				if err == nil {
					<-gate // nobody reads meanwhile
					_, err = io.ReadAll(resp.Body)
				}
				outcome <- err
			}()
			p.asked()
			var playing sync.WaitGroup
			playing.Go(func() { test.on(p) })
			if code, connection := p.ended(); code != test.code || connection != test.connection {
				t.Errorf("ended with %v, connection %v, want %v, %v", code, connection, test.code, test.connection)
			}
			close(gate)
			err := <-outcome
			playing.Wait()
			var bad violation
			if !errors.As(err, &bad) && !errors.Is(err, errInterim) {
				t.Errorf("the load gave %v", err)
			}
			if p.codec.shut.Load() != test.connection {
				t.Errorf("the connection takes requests: %v", !p.codec.shut.Load())
			}
		})
	}
}
