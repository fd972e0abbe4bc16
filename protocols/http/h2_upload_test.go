package http

import (
	"bytes"
	"errors"
	"io"
	nethttp "net/http"
	"testing"

	"golang.org/x/net/http2"

	"github.com/urlkit/urlkit/protocols"
)

// received reads the body of a request, whose windows it opens by a little at a time.
func (p *talk) received(stream uint32, step int) (body []byte) {
	p.t.Helper()
	for {
		f := until[*http2.DataFrame](p)
		if f == nil {
			return body
		}
		body = append(body, f.Data()...)
		if f.StreamEnded() {
			return body
		}
		if len(f.Data()) > 0 {
			p.do(p.WriteWindowUpdate(stream, uint32(step)))
			p.do(p.WriteWindowUpdate(0, uint32(step)))
		}
	}
}

// A body goes out as far as the windows of its stream and of the connection are open,
// in frames that the peer takes, whatever becomes of the windows meanwhile.
func TestUploadThroughSmallWindows(t *testing.T) {
	p := newTalk(t, Config{}, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	want := make([]byte, 200<<10)
	for i := range want {
		want[i] = byte(i * 7 >> 3)
	}
	for _, body := range []*protocols.Body{protocols.BytesBody(want), protocols.ReaderBody(bytes.NewReader(want)), protocols.BytesBody(want[:9])} {
		done := p.ask(t.Context(), "PUT", body, nil)
		stream, _ := p.asked()
		p.do(p.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1}))
		if f := until[*http2.DataFrame](p); len(f.Data()) != 1 || f.Data()[0] != want[0] {
			t.Fatalf("%d bytes went through a window of one", len(f.Data()))
		}
		// Smaller than what was sent: the window is below zero until it is opened again.
		p.do(p.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}))
		p.do(p.WriteWindowUpdate(stream, 5001))
		p.do(p.WriteWindowUpdate(0, 5000))
		got := append([]byte{want[0]}, p.received(stream, 5000)...)
		if length := body.KnownLength(); length >= 0 && !bytes.Equal(got, want[:length]) || length < 0 && !bytes.Equal(got, want) {
			t.Errorf("%d bytes came, or they differ", len(got))
		}
		p.answer(stream, true, ":status", "200")
		if got := <-done; got.err != nil {
			t.Error(got.err)
		}
	}
}

// The longest frames are those that the peer takes.
func TestUploadInLongFrames(t *testing.T) {
	for setting, longest := range map[uint32]int{16 << 10: 16 << 10, 1 << 20: uploadPiece} {
		p := newTalk(t, Config{}, http2.Setting{ID: http2.SettingMaxFrameSize, Val: setting}, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 20})
		p.do(p.WriteWindowUpdate(0, 1<<20))
		p.do(p.WritePing(false, [8]byte{}))
		until[*http2.PingFrame](p) // the client has come so far
		done := p.ask(t.Context(), "PUT", protocols.BytesBody(make([]byte, 300<<10)), nil)
		stream, _ := p.asked()
		seen := 0
		for {
			f := until[*http2.DataFrame](p)
			if seen = max(seen, len(f.Data())); f.StreamEnded() {
				break
			}
		}
		if seen != longest {
			t.Errorf("frames of %d bytes, the peer takes %d", seen, setting)
		}
		p.answer(stream, true, ":status", "200")
		if got := <-done; got.err != nil {
			t.Error(got.err)
		}
	}
}

// An answer may come before the request's end, which nobody wants then: the server says
// so (RFC 9113 §8.1), or the client does.
func TestEarlyAnswer(t *testing.T) {
	p := newTalk(t, Config{})
	for _, said := range []bool{true, false} {
		body, _ := endless()
		done := p.ask(t.Context(), "PUT", body.body(-1), nil)
		stream, _ := p.asked()
		p.answer(stream, false, ":status", "413")
		p.do(p.WriteData(stream, true, []byte("enough")))
		if said {
			p.do(p.WriteRSTStream(stream, http2.ErrCodeNo))
		}
		if got := <-done; got.err != nil || got.body != "enough" || got.resp.StatusCode != 413 {
			t.Errorf("%v, %q", got.err, got.body)
		}
		if !said {
			if f := until[*http2.RSTStreamFrame](p); f.StreamID != stream || f.ErrCode != http2.ErrCodeCancel {
				t.Errorf("%v", f)
			}
		}
		eventually(t, "the body is closed", func() bool {
			body.mu.Lock()
			defer body.mu.Unlock()

			return body.closed == body.open
		})
	}
}

// A body that is shorter than promised, or fails, resets its stream: the server must
// not take it for the whole.
func TestUploadThatFails(t *testing.T) {
	p := newTalk(t, Config{})
	failing := errors.New("the disk is gone")
	for _, want := range []error{io.ErrUnexpectedEOF, failing} {
		body := protocols.FuncBody(5000, func(int64) (io.ReadCloser, error) {
			var rest io.Reader = bytes.NewReader(nil)
			if errors.Is(want, failing) {
				rest = failingReader{failing}
			}

			return io.NopCloser(io.MultiReader(bytes.NewReader(make([]byte, 4000)), rest)), nil
		})
		done := p.ask(t.Context(), "PUT", body, nil)
		stream, _ := p.asked()
		if f := until[*http2.RSTStreamFrame](p); f.StreamID != stream || f.ErrCode != http2.ErrCodeCancel {
			t.Errorf("%v: %v", want, f)
		}
		if got := <-done; !errors.Is(got.err, want) {
			t.Errorf("%v, want %v", got.err, want)
		}
	}
}

// A body that fails after the head of the answer has come is what the answer's body
// ends with.
func TestUploadThatFailsLate(t *testing.T) {
	failing := errors.New("the disk is gone")
	l, _, server := start(t, "h2", Config{}, func(w nethttp.ResponseWriter, r *nethttp.Request) {
		_ = nethttp.NewResponseController(w).Flush()
		_, _ = io.Copy(io.Discard, r.Body)
	})
	r, w := io.Pipe()
	resp, err := l.Load(t.Context(), newRequest(t, "PUT", server.URL, protocols.ReaderBody(r)))
	if err != nil {
		t.Fatal(err)
	}
	w.CloseWithError(failing)
	if _, err := io.ReadAll(resp.Body); !errors.Is(err, failing) {
		t.Errorf("%v", err)
	}
	_ = resp.Body.Close()
}

// Goodbye is said to a peer that reads, and its streams' numbers are none of ours.
func TestGoodbye(t *testing.T) {
	p := newTalk(t, Config{})
	done := p.ask(t.Context(), "GET", nil, nil)
	stream, _ := p.asked()
	p.answer(stream, true, ":status", "200")
	<-done
	go func() { _ = p.codec.Close() }()
	if f := until[*http2.GoAwayFrame](p); f.ErrCode != http2.ErrCodeNo || f.LastStreamID != 0 {
		t.Errorf("%v", f)
	}
	if got := <-p.ask(t.Context(), "GET", nil, nil); got.err == nil {
		t.Error("a closed connection took a request")
	}
}
