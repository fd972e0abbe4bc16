package engine_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/urlkit/urlkit/internal/engine"
	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/protocols"
)

// decoders undo gzip, and three codings of the tests: hexadecimal and base 64, and
// one that makes endless zeros of anything. They count those that are open.
func decoders(opened *atomic.Int32) map[string]engine.Decoder {
	counted := func(r io.Reader) *decoder {
		opened.Add(1)

		return &decoder{Reader: r, opened: opened}
	}

	return map[string]engine.Decoder{
		"gzip": func(r io.Reader) (io.ReadCloser, error) {
			z, err := gzip.NewReader(r)
			if err != nil {
				return nil, err
			}

			return counted(z), nil
		},
		"hex": func(r io.Reader) (io.ReadCloser, error) { return counted(hex.NewDecoder(r)), nil },
		"base64": func(r io.Reader) (io.ReadCloser, error) {
			return counted(base64.NewDecoder(base64.StdEncoding, r)), nil
		},
		"bomb": func(r io.Reader) (io.ReadCloser, error) {
			return counted(io.MultiReader(io.LimitReader(r, 1), endless{})), nil
		},
	}
}

// decoder fails when it is closed twice or read after Close.
type decoder struct {
	io.Reader
	opened *atomic.Int32
	closed atomic.Bool
}

func (d *decoder) Read(p []byte) (int, error) {
	if d.closed.Load() {
		return 0, errors.New("a decoder is read after Close")
	}

	return d.Reader.Read(p)
}

func (d *decoder) Close() error {
	if d.closed.Swap(true) {
		d.opened.Add(1000)
	}
	d.opened.Add(-1)

	return nil
}

func zipped(s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = io.WriteString(w, s)
	_ = w.Close()

	return b.String()
}

type decodeTest struct {
	name, coding, wire string
	status             int
	accept             string
	want               string
	code               protocols.Code
	is                 error
}

func TestDecode(t *testing.T) {
	leak.Check(t)
	text := strings.Repeat("some text ", 1000)
	gz := zipped(text)
	hexed := hex.EncodeToString([]byte(gz))
	tests := []decodeTest{
		{"gzip", "gzip", gz, 200, "", text, 0, nil},
		{"in any case, with an old name", " X-GZip ", gz, 200, "", text, 0, nil},
		{"identity", "identity", "plain", 200, "", "plain", 0, nil},
		{"two codings, the last undone first", "gzip, hex", hexed, 200, "", text, 0, nil},
		{"in the wrong order", "hex, gzip", hexed, 200, "", "", protocols.CannotDecodeRawData, nil},
		{"two fields", "base64|hex", hex.EncodeToString([]byte("dGV4dA==")), 200, "", "text", 0, nil},
		{"five codings", "hex,hex,hex,hex,hex", "00", 200, "", "", protocols.CannotDecodeContentData, nil},
		{"an unknown coding", "lzma", "x", 200, "", "", protocols.CannotDecodeContentData, nil},
		{"an unknown coding beneath", "lzma, gzip", gz, 200, "", "", protocols.CannotDecodeContentData, nil},
		{"an unknown coding that the app asked for", "lzma", "x", 200, "lzma", "x", 0, nil},
		{"a known coding that the app asked for", "gzip", gz, 200, "gzip", text, 0, nil},
		{"an error status", "gzip", gz, 500, "", text, 0, nil},
		{"a part", "gzip", gz, 206, "", gz, 0, nil},
		{"an empty body", "gzip", "", 200, "", "", 0, nil},
		{"corrupt at once", "gzip", "no gzip at all", 200, "", "", protocols.CannotDecodeRawData, nil},
		{"corrupt at the end", "gzip", gz[:len(gz)-1] + "!", 200, "", "", protocols.CannotDecodeRawData, nil},
		{"cut in the header", "gzip", gz[:5], 200, "", "", protocols.NetworkConnectionLost, io.ErrUnexpectedEOF},
		{"cut in the data", "gzip", gz[:40], 200, "", "", protocols.NetworkConnectionLost, io.ErrUnexpectedEOF},
		{"cut in the checksum", "gzip", gz[:len(gz)-1], 200, "", "", protocols.NetworkConnectionLost, io.ErrUnexpectedEOF},
		{"garbage behind", "gzip", gz + "garbage and more", 200, "", "", protocols.CannotDecodeRawData, nil},
		{"two members", "gzip", gz + gz, 200, "", text + text, 0, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, length := range []int64{-1, int64(len(tt.wire))} {
				checkDecode(t, tt, length)
			}
		})
	}
}

func checkDecode(t *testing.T, tt decodeTest, length int64) {
	t.Helper()
	var opened atomic.Int32
	e := open(t, engine.Config{Decoders: decoders(&opened)}, scheme("https", protocols.Encrypted,
		func(context.Context, protocols.Client, *protocols.Request) (*protocols.Response, error) {
			r := reply(tt.status, tt.wire)
			r.ContentLength, r.Body = length, &content{Reader: strings.NewReader(tt.wire)}
			r.Header["Content-Encoding"] = strings.Split(tt.coding, "|")

			return r, nil
		}))
	req := request(t, "GET", "https://a.example/")
	if tt.accept != "" {
		req.Header.Set("Accept-Encoding", tt.accept)
	}
	body, _, err := fetch(e, req, nil)
	switch {
	case tt.code == 0 && (err != nil || body != tt.want):
		t.Errorf("length %d: %d bytes, %v", length, len(body), err)
	case tt.code != 0:
		if got := failure(t, err, tt.code); got.Phase != "body" || tt.is != nil && !errors.Is(err, tt.is) {
			t.Errorf("length %d: %v", length, err)
		}
	}
	if n := opened.Load(); n != 0 {
		t.Errorf("length %d: %d decoders are open, or closed twice", length, n)
	}
}

func TestExpansionIsBounded(t *testing.T) {
	for expansion, most := range map[int]int64{0: 17 << 20, 1 << 15: 33 << 20} {
		var opened atomic.Int32
		e := open(t, engine.Config{Decoders: decoders(&opened), Expansion: expansion}, scheme("https", protocols.Encrypted,
			func(context.Context, protocols.Client, *protocols.Request) (*protocols.Response, error) {
				return reply(200, strings.Repeat("x", 1<<10), "Content-Encoding", "bomb"), nil
			}))
		resp, err := e.Load(t.Context(), request(t, "GET", "https://a.example/"), nil)
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, resp.Body)
		failure(t, err, protocols.CannotDecodeRawData)
		if n > most || opened.Load() != 0 {
			t.Errorf("expansion %d: %d bytes came, %d decoders are open", expansion, n, opened.Load())
		}
		if _, again := resp.Body.Read(make([]byte, 1)); !errors.Is(again, protocols.CannotDecodeRawData) {
			t.Errorf("the next Read gives %v", again)
		}
	}
}

// A decoder is closed once, wherever Close comes.
func TestCloseClosesDecoders(t *testing.T) {
	leak.Check(t)
	wire := zipped(strings.Repeat("some text ", 100000))
	for _, read := range []int{0, 1, 100} {
		var opened atomic.Int32
		e := open(t, engine.Config{Decoders: decoders(&opened)}, scheme("https", protocols.Encrypted,
			func(context.Context, protocols.Client, *protocols.Request) (*protocols.Response, error) {
				return reply(200, wire, "Content-Encoding", "gzip"), nil
			}))
		resp, err := e.Load(t.Context(), request(t, "GET", "https://a.example/"), nil)
		if err != nil {
			t.Fatal(err)
		}
		if !engine.Decoded(resp) {
			t.Error("Decoded says no")
		}
		if _, err := io.ReadFull(resp.Body, make([]byte, read)); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := resp.Body.Close(); err != nil {
				t.Error(err)
			}
		}
		if opened.Load() != 0 {
			t.Errorf("after %d bytes: %d decoders are open, or closed twice", read, opened.Load())
		}
	}
}

// Close during a Read that then succeeds leaves no decoder open either.
func TestCloseDuringADecodingRead(t *testing.T) {
	leak.Check(t)
	var opened atomic.Int32
	gate := &gated{entered: make(chan struct{}), goOn: make(chan struct{})}
	e := open(t, engine.Config{Decoders: decoders(&opened)}, scheme("https", protocols.Encrypted,
		func(context.Context, protocols.Client, *protocols.Request) (*protocols.Response, error) {
			r := reply(200, "", "Content-Encoding", "hex")
			r.ContentLength, r.Body = -1, gate

			return r, nil
		}))
	resp, err := e.Load(t.Context(), request(t, "GET", "https://a.example/"), nil)
	if err != nil {
		t.Fatal(err)
	}
	read := make(chan int)
	go func() {
		n, _ := resp.Body.Read(make([]byte, 1))
		read <- n
	}()
	<-gate.entered
	if err := resp.Body.Close(); err != nil {
		t.Error(err)
	}
	close(gate.goOn)
	if n := <-read; n != 1 || opened.Load() != 0 {
		t.Errorf("the Read gave %d bytes; %d decoders are open", n, opened.Load())
	}
}

// gated is a body whose Read succeeds once it is let go on, Close or not.
type gated struct{ entered, goOn chan struct{} }

func (g *gated) Read(p []byte) (int, error) {
	close(g.entered)
	<-g.goOn

	return copy(p, "6162"), nil
}

func (g *gated) Close() error { return nil }
