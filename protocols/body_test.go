package protocols_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/urlkit/urlkit/protocols"
)

const text = "the body of a request"

func bodyFile(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "body")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}

	return path
}

// Every maker that can be opened anew gives the same bytes from any offset.
func TestBodyMakers(t *testing.T) {
	section := strings.NewReader("skipped" + text)
	if _, err := section.Seek(7, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	open := func(offset int64) (io.ReadCloser, error) {
		return io.NopCloser(iotest.OneByteReader(strings.NewReader(text[offset:] + "and more than its length"))), nil
	}
	bodies := map[string]struct {
		body       *protocols.Body
		replayable bool
	}{
		"bytes":                  {protocols.BytesBody([]byte(text)), true},
		"string":                 {protocols.StringBody(text), true},
		"file":                   {protocols.FileBody(bodyFile(t)), true},
		"function":               {protocols.FuncBody(int64(len(text)), open), true},
		"seeker at its position": {protocols.ReaderBody(section), true},
	}
	for name, b := range bodies {
		if b.body.Length != int64(len(text)) || b.body.Replayable() != b.replayable {
			t.Errorf("%s: length %d, replayable %v", name, b.body.Length, b.body.Replayable())
		}
		for _, offset := range []int64{0, 5, int64(len(text)), 0} {
			rc, err := b.body.OpenAt(offset)
			if err != nil {
				t.Fatalf("%s at %d: %v", name, offset, err)
			}
			got, err := io.ReadAll(rc)
			if string(got) != text[offset:] || errors.Join(err, rc.Close()) != nil {
				t.Errorf("%s at %d: %q, %v", name, offset, got, err)
			}
		}
		for _, offset := range []int64{-1, int64(len(text)) + 1} {
			if _, err := b.body.OpenAt(offset); err == nil {
				t.Errorf("%s at %d opens", name, offset)
			}
		}
	}
}

// A reader that cannot be sought is sent once, and closed if it can be.
func TestOneShotBody(t *testing.T) {
	closed := 0
	r := closer{iotest.OneByteReader(strings.NewReader(text)), &closed}
	body := protocols.ReaderBody(r)
	if body.Length != -1 || body.Replayable() {
		t.Errorf("length %d, replayable %v", body.Length, body.Replayable())
	}
	if _, err := body.OpenAt(1); !errors.Is(err, protocols.RequestBodyStreamExhausted) {
		t.Errorf("an offset gives %v", err)
	}
	var out bytes.Buffer
	req := newRequest(t, "PUT", "echo://host/", body)
	if err := req.WriteBody(&out); err != nil || out.String() != text || closed != 1 {
		t.Errorf("%q, %v, closed %d times", out.String(), err, closed)
	}
	if err := req.WriteBody(&out); !errors.Is(err, protocols.RequestBodyStreamExhausted) {
		t.Errorf("a second sending gives %v", err)
	}
	if b := protocols.ReaderBody(bytes.NewBufferString(text)); b.Length != int64(len(text)) {
		t.Errorf("the length of a buffer is %d", b.Length)
	}
	if protocols.ReaderBody(nil) != nil {
		t.Error("a nil reader is a body")
	}
}

type closer struct {
	io.Reader
	closed *int
}

func (c closer) Close() error { *c.closed++; return nil }

// A source that is shorter than its length is never a body that looks whole.
func TestShrinkingBody(t *testing.T) {
	path := bodyFile(t)
	body := protocols.FileBody(path)
	if err := os.Truncate(path, 7); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := newRequest(t, "PUT", "echo://host/", body).WriteBody(&out); !errors.Is(err, io.ErrUnexpectedEOF) || out.Len() != 7 {
		t.Errorf("%d bytes and %v", out.Len(), err)
	}
}

// A body written as a literal, without its Length, is sent whole.
func TestLiteralBodies(t *testing.T) {
	path := bodyFile(t)
	open := func(int64) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }
	for name, b := range map[string]struct {
		body   protocols.Body
		length int64
	}{
		"bytes": {protocols.Body{Bytes: []byte(text)}, int64(len(text))},
		"file":  {protocols.Body{File: path}, int64(len(text))},
		"open":  {protocols.Body{Open: open}, -1},
	} {
		if got := b.body.KnownLength(); got != b.length {
			t.Errorf("%s: length %d, want %d", name, got, b.length)
		}
		var out bytes.Buffer
		if err := newRequest(t, "PUT", "echo://host/", &b.body).WriteBody(&out); err != nil || out.String() != text {
			t.Errorf("%s: %q, %v", name, out.String(), err)
		}
		if _, err := b.body.OpenAt(int64(len(text)) + 1); err == nil && b.length >= 0 {
			t.Errorf("%s: an offset beyond the body opens", name)
		}
	}
}

func TestBodiesThatDoNotOpen(t *testing.T) {
	errOwn := errors.New("own")
	tests := []struct {
		name string
		body *protocols.Body
		want error
	}{
		{"missing file", protocols.FileBody(filepath.Join(t.TempDir(), "none")), fs.ErrNotExist},
		{"directory", protocols.FileBody(t.TempDir()), protocols.FileIsDirectory},
		{"failing function", protocols.FuncBody(-1, func(int64) (io.ReadCloser, error) { return nil, errOwn }), errOwn},
		{"function that gives nothing", protocols.FuncBody(-1, func(int64) (io.ReadCloser, error) { return nil, nil }), protocols.RequestBodyStreamExhausted},
	}
	for _, test := range tests {
		var out bytes.Buffer
		if err := newRequest(t, "PUT", "echo://host/", test.body).WriteBody(&out); !errors.Is(err, test.want) || out.Len() != 0 {
			t.Errorf("%s: %v", test.name, err)
		}
		if test.body.Length != -1 {
			t.Errorf("%s: length %d", test.name, test.body.Length)
		}
	}
}

func TestNoBody(t *testing.T) {
	req := newRequest(t, "GET", "echo://host/", nil)
	if rc, err := req.OpenBody(); rc != nil || err != nil {
		t.Errorf("no body opens: %v, %v", rc, err)
	}
	if err := req.WriteBody(nil); err != nil || !req.Body.Replayable() {
		t.Errorf("no body: %v", err)
	}
	for _, body := range []*protocols.Body{nil, {}} {
		rc, err := body.OpenAt(0)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(rc); len(got) != 0 || err != nil {
			t.Errorf("an empty body gives %q, %v", got, err)
		}
	}
}

// WriteBody closes the body in every outcome.
func TestWriteBodyCloses(t *testing.T) {
	errOwn := errors.New("own")
	closed := 0
	body := protocols.FuncBody(-1, func(int64) (io.ReadCloser, error) {
		return closer{io.MultiReader(strings.NewReader(text), iotest.ErrReader(errOwn)), &closed}, nil
	})
	if err := newRequest(t, "PUT", "echo://host/", body).WriteBody(io.Discard); !errors.Is(err, errOwn) || closed != 1 {
		t.Errorf("%v, closed %d times", err, closed)
	}
}
