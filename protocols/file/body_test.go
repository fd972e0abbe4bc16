package file

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/urlkit/urlkit/internal/leak"
)

// plainWriter hides what a writer can do besides Write.
type plainWriter struct{ io.Writer }

func TestTruncated(t *testing.T) {
	leak.CheckFiles(t)
	const size = 1 << 20
	for _, plain := range []bool{false, true} {
		name := write(t, "x.bin", strings.Repeat("x", size))
		open := func() io.ReadCloser {
			resp, err := load(t.Context(), "GET", fileURL(name, false), nil)
			if err != nil {
				t.Fatal(err)
			}

			return resp.Body
		}
		read, copied := open(), open()
		if _, err := io.ReadFull(read, make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(name, size-1); err != nil {
			t.Fatal(err)
		}
		rest, err := io.ReadAll(read)
		if len(rest) != size-11 || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("Read: %d bytes, %v", len(rest), err)
		}
		var sink bytes.Buffer
		w := io.Writer(&sink)
		if plain {
			w = plainWriter{w}
		}
		n, err := io.Copy(w, copied)
		if n != size-1 || sink.Len() != size-1 || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("Copy: %d bytes, %d arrived, %v", n, sink.Len(), err)
		}
		if err := errors.Join(read.Close(), copied.Close()); err != nil {
			t.Error(err)
		}
	}
}

func TestGrowing(t *testing.T) {
	name := write(t, "x.txt", "hello")
	for _, throughWriteTo := range []bool{false, true} {
		resp, err := load(t.Context(), "GET", fileURL(name, false), nil)
		if err != nil {
			t.Fatal(err)
		}
		want := resp.ContentLength
		f, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString(", world"); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if throughWriteTo {
			var sink strings.Builder
			if n, err := io.Copy(&sink, resp.Body); n != want || err != nil || int64(sink.Len()) != want {
				t.Errorf("Copy: %d bytes, %v", n, err)
			}
			_ = resp.Body.Close()
		} else if got := content(t, resp); got != "hello" {
			t.Errorf("%q", got)
		}
	}
}

func TestCopyToFile(t *testing.T) {
	leak.CheckFiles(t)
	want := strings.Repeat("0123456789abcdef", copyStep/16) + "tail" // more than one step
	resp, err := load(t.Context(), "GET", fileURL(write(t, "x.bin", want), false), nil, "Range", "bytes=1-")
	if err != nil {
		t.Fatal(err)
	}
	target, err := os.Create(write(t, "target", ""))
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	if n, err := io.Copy(target, resp.Body); n != int64(len(want)-1) || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Error(err)
	}
	got, err := os.ReadFile(target.Name())
	if err != nil || string(got) != want[1:] {
		t.Errorf("the copy has %d bytes and is another one, %v", len(got), err)
	}
}

func TestBodyEnds(t *testing.T) {
	leak.CheckFiles(t)
	leak.Check(t)
	ctx, cancel := context.WithCancel(t.Context())
	u := fileURL(write(t, "x.bin", strings.Repeat("x", 1<<16)), false)
	open := func() io.ReadCloser {
		resp, err := load(ctx, "GET", u, nil)
		if err != nil {
			t.Fatal(err)
		}

		return resp.Body
	}
	cut, raced := open(), open()
	var group sync.WaitGroup
	group.Go(func() {
		_, err := io.Copy(plainWriter{io.Discard}, raced)
		if err != nil && !errors.Is(err, os.ErrClosed) {
			t.Errorf("Copy while closing: %v", err)
		}
	})
	if err := errors.Join(raced.Close(), raced.Close()); err != nil {
		t.Errorf("Close: %v", err)
	}
	group.Wait()
	if n, err := cut.Read(nil); n != 0 || err != nil {
		t.Errorf("Read of nothing: %d, %v", n, err)
	}
	if _, err := io.ReadFull(cut, make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if n, err := cut.Read(make([]byte, 100)); n != 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("Read after the end of ctx: %d, %v", n, err)
	}
	if n, err := io.Copy(io.Discard, cut); n != 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("Copy after the end of ctx: %d, %v", n, err)
	}
	if err := cut.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	for _, method := range []string{"GET", "PUT"} {
		if _, err := load(ctx, method, u, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("%s after the end of ctx: %v", method, err)
		}
	}
}
