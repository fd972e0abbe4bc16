package urlsession_test

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/urlsession"
)

// encoders make coded bodies, by the value of Content-Encoding.
var encoders = map[string]func(io.Writer) io.WriteCloser{
	"gzip":    func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) },
	"deflate": func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) },
	"br":      func(w io.Writer) io.WriteCloser { return brotli.NewWriter(w) },
	"zstd": func(w io.Writer) io.WriteCloser {
		z, err := zstd.NewWriter(w, zstd.WithWindowSize(1<<20))
		if err != nil {
			panic(err)
		}

		return z
	},
	"bare deflate": func(w io.Writer) io.WriteCloser {
		f, err := flate.NewWriter(w, flate.DefaultCompression)
		if err != nil {
			panic(err)
		}

		return f
	},
}

func encode(t testing.TB, coding string, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := encoders[coding](&out)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}

	return out.Bytes()
}

// coded serves a body as it is, with the Content-Encoding of the path.
func coded(body []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", r.URL.Query().Get("coding"))
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = w.Write(body)
	})
}

func TestDecode(t *testing.T) {
	leak.Check(t)
	text := []byte(strings.Repeat("a compressible text; ", 5000))
	s := session(t, nil)
	for name := range encoders {
		t.Run(name, func(t *testing.T) {
			body := encode(t, name, text)
			coding := strings.TrimPrefix(name, "bare ")
			base := serve(t, "h2", coded(body))
			data, resp := load(t, s, get(t, base+"?coding="+coding))
			if data != string(text) {
				t.Errorf("%d bytes decoded, want %d", len(data), len(text))
			}
			if resp.Header.Get("Content-Encoding") != coding || resp.ContentLength != int64(len(body)) {
				t.Errorf("the head no longer speaks of the wire: %v, length %d", resp.Header, resp.ContentLength)
			}
			// The same body cut, corrupted and followed by more.
			base = serve(t, "http/1.1", coded(body[:len(body)/2]))
			_, _, err := s.Data(t.Context(), get(t, base+"?coding="+coding))
			wantCode(t, err, urlsession.NetworkConnectionLost, io.ErrUnexpectedEOF)
			base = serve(t, "http/1.1", coded(append(bytes.Clone(body), "more than there should be"...)))
			_, _, err = s.Data(t.Context(), get(t, base+"?coding="+coding))
			wantCode(t, err, urlsession.CannotDecodeRawData)
			base = serve(t, "http/1.1", coded([]byte("this is not compressed at all")))
			_, _, err = s.Data(t.Context(), get(t, base+"?coding="+coding))
			wantCode(t, err, urlsession.CannotDecodeRawData)
		})
	}
}

func TestDecodeStackedAndUnknown(t *testing.T) {
	leak.Check(t)
	s := session(t, nil)
	stacked := encode(t, "br", encode(t, "gzip", []byte("twice")))
	if data, _ := load(t, s, get(t, serve(t, "h2", coded(stacked))+"?coding=gzip,br")); data != "twice" {
		t.Errorf("decoded %q", data)
	}
	base := serve(t, "h2", coded([]byte("as it is")))
	_, _, err := s.Data(t.Context(), get(t, base+"?coding=compress"))
	wantCode(t, err, urlsession.CannotDecodeContentData)
	req := get(t, base+"?coding=compress")
	req.Header.Set("Accept-Encoding", "compress")
	if data, _ := load(t, s, req); data != "as it is" {
		t.Errorf("an app that asks for a coding got %q", data)
	}
}

func TestDecompressionBomb(t *testing.T) {
	leak.Check(t)
	s := session(t, nil)
	zeros := make([]byte, 64<<20)
	for _, coding := range []string{"gzip", "br", "zstd"} {
		base := serve(t, "http/1.1", coded(encode(t, coding, zeros)))
		_, _, err := s.Data(t.Context(), get(t, base+"?coding="+coding))
		wantCode(t, err, urlsession.CannotDecodeRawData)
	}
	lax := session(t, func(c *urlsession.Configuration) { c.MaximumExpansion = -1 })
	base := serve(t, "http/1.1", coded(encode(t, "gzip", zeros)))
	if data, _ := load(t, lax, get(t, base+"?coding=gzip")); len(data) != len(zeros) {
		t.Errorf("without a bound %d bytes came", len(data))
	}
	short := session(t, func(c *urlsession.Configuration) { c.MaximumDataLength = 1 << 20 })
	base = serve(t, "http/1.1", coded(encode(t, "gzip", zeros[:2<<20])))
	_, _, err := short.Data(t.Context(), get(t, base+"?coding=gzip"))
	wantCode(t, err, urlsession.DataLengthExceedsMaximum)
}
