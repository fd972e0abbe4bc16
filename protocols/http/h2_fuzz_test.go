package http

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/urlkit/urlkit/protocols"
)

// frames gives the bytes of what write writes.
func frames(write func(f *http2.Framer, head func(fields ...string) []byte)) []byte {
	var out, block bytes.Buffer
	framer := http2.NewFramer(&out, nil)
	framer.AllowIllegalWrites = true
	encoder := hpack.NewEncoder(&block)
	write(framer, func(fields ...string) []byte {
		block.Reset()
		for i := 0; i < len(fields); i += 2 {
			_ = encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
		}

		return bytes.Clone(block.Bytes())
	})

	return out.Bytes()
}

func fuzzSeeds() [][]byte {
	head := func(f *http2.Framer, stream uint32, end bool, block []byte) {
		_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block, EndHeaders: true, EndStream: end})
	}

	return [][]byte{
		nil, []byte("HTTP/1.1 400 Bad Request\r\n\r\n"),
		frames(func(f *http2.Framer, h func(...string) []byte) { head(f, 1, true, h(":status", "204")) }),
		frames(func(f *http2.Framer, h func(...string) []byte) {
			_ = f.WriteSettings(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 1}, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 3})
			head(f, 1, false, h(":status", "103", "link", "x"))
			head(f, 1, false, h(":status", "200", "content-length", "4", "trailer", "x"))
			_ = f.WriteDataPadded(1, false, []byte("body"), make([]byte, 7))
			head(f, 1, true, h("x", "y"))
			_ = f.WriteWindowUpdate(3, 10)
			head(f, 3, true, h(":status", "200"))
		}),
		frames(func(f *http2.Framer, h func(...string) []byte) {
			block := h(":status", "200", "a", "b")
			_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block[:2], PadLength: 3})
			_ = f.WriteContinuation(1, true, block[2:])
			_ = f.WriteData(1, false, []byte("part"))
			_ = f.WriteRSTStream(1, http2.ErrCodeInternal)
			_ = f.WriteGoAway(1, http2.ErrCodeEnhanceYourCalm, []byte("calm"))
		}),
		frames(func(f *http2.Framer, _ func(...string) []byte) {
			_ = f.WritePing(false, [8]byte{1})
			_ = f.WriteSettingsAck()
			_ = f.WritePriority(1, http2.PriorityParam{StreamDep: 3})
			_ = f.WriteRSTStream(1, http2.ErrCodeRefusedStream)
			_ = f.WriteRawFrame(0x77, 3, 9, []byte("unknown"))
			_ = f.WriteGoAway(0, http2.ErrCodeNo, nil)
		}),
	}
}

// FuzzHTTP2 answers two requests with arbitrary bytes after the server's settings: both
// end, with a whole answer or an error, nothing panics, and nothing is held.
func FuzzHTTP2(f *testing.F) {
	for _, seed := range fuzzSeeds() {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		ours, theirs := net.Pipe()
		config := Config{MaximumHeaderBytes: 1 << 10}
		config.fill()
		socket := &socket{Conn: ours}
		c := newCodec2(socket, socket, &config, func() {})
		go func() {
			defer theirs.Close()
			go func() { _, _ = io.Copy(io.Discard, theirs) }()
			if http2.NewFramer(theirs, nil).WriteSettings() == nil {
				_, _ = theirs.Write(data)
			}
		}()
		c.begin()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		results := make(chan error, 2)
		for _, body := range []*protocols.Body{nil, protocols.ReaderBody(bytes.NewReader(make([]byte, 10)))} {
			r := newAsk(ctx, "PUT", body, nil)
			go func() {
				resp, err := c.RoundTrip(r)
				if err == nil {
					var n int64
					n, err = io.Copy(io.Discard, resp.Body)
					if err == nil && resp.ContentLength >= 0 && n != resp.ContentLength && resp.StatusCode != 304 && resp.StatusCode != 204 {
						t.Errorf("%d bytes of %d without an error", n, resp.ContentLength)
					}
					_ = resp.Body.Close()
				}
				results <- err
			}()
		}
		for range 2 {
			if err := <-results; errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("hangs on %q", data)
			}
		}
		_ = c.Close()
		if n := c.unread.Load(); n != 0 {
			t.Errorf("%d bytes count as unread", n)
		}
	})
}
