package publish

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"testing/iotest"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/protocols"
)

// content is a body of bytes that do not repeat.
func content(length int64) io.Reader {
	return io.LimitReader(rand.NewChaCha8([32]byte{}), length)
}

// uneven gives at most an odd number of bytes at a time.
type uneven struct{ io.Reader }

func (u uneven) Read(p []byte) (int, error) { return u.Reader.Read(p[:min(len(p), 99_991)]) }

func appendAll(f *File, r io.Reader) (total int64, err error) {
	for err == nil {
		var n int
		n, err = f.Append(r)
		total += int64(n)
	}
	if err == io.EOF {
		err = nil
	}

	return total, err
}

// lanesFree fails the test if a file has kept its lane.
func lanesFree(t *testing.T) {
	t.Helper()
	if n := len(lanes); n != 0 {
		t.Errorf("%d lanes are taken", n)
	}
}

// is fails the test unless a file has that content.
func is(t *testing.T, name string, want io.Reader) {
	t.Helper()
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for offset := 0; ; {
		var a, b [64 << 10]byte
		n, errA := io.ReadFull(file, a[:])
		m, errB := io.ReadFull(want, b[:])
		if !bytes.Equal(a[:n], b[:m]) || errA != errB {
			t.Fatalf("another content after %d bytes: %d (%v), want %d (%v)", offset, n, errA, m, errB)
		}
		if errA != nil {
			return
		}
		offset += n
	}
}

func TestAppend(t *testing.T) {
	leak.Check(t)
	folder := newFolder(t)
	name := filepath.Join(folder, "file")
	for _, length := range []int64{
		0, 1, appendBuffer - 1, appendBuffer, appendBuffer + 1, gatherAfter - 1, gatherAfter, gatherAfter + appendBuffer + 1,
		directStep - 1, directStep, directStep + 1, directStep + pieceSize, directStep + 2*pieceSize + 1, directStep + 5*pieceSize - 1,
	} {
		f := made(t, "")(Beside(name))
		n, err := appendAll(f, uneven{content(length)})
		if n != length || err != nil {
			t.Fatalf("%d bytes of %d, %v", n, length, err)
		}
		if length == directStep+1 && f.gathered.direct == nil {
			t.Logf("%d bytes do not go to the disk directly: not here, or not so fast", length)
		}
		if _, err := f.Publish(t.Context()); err != nil {
			t.Fatal(err)
		}
		is(t, name, content(length))
		lanesFree(t)
	}
}

// What is short does not wait: somebody may look at the progress, and nothing
// more may come.
func TestAppendAtOnce(t *testing.T) {
	f := made(t, "")(Temporary(newFolder(t)))
	for i, piece := range []string{"one", "two", "three"} {
		if n, err := f.Append(bytes.NewReader([]byte(piece))); n != len(piece) || err != nil {
			t.Fatal(n, err)
		}
		if got, want := read(t, f), "onetwothree"[:[]int{3, 6, 11}[i]]; got != want {
			t.Errorf("the file holds %q, want %q", got, want)
		}
	}
}

func TestAppendFails(t *testing.T) {
	leak.Check(t)
	folder := newFolder(t)
	cut := errors.New("cut")
	for _, length := range []int64{0, gatherAfter, directStep + pieceSize + 5} {
		f := made(t, "")(Beside(filepath.Join(folder, "file")))
		n, err := appendAll(f, io.MultiReader(content(length), iotest.ErrReader(cut)))
		if n != length || err != cut {
			t.Errorf("%d bytes of %d, %v", n, length, err)
		}
		f.Discard()
		if _, err := f.Append(content(1)); !errors.Is(err, protocols.CannotWriteToFile) || !errors.Is(err, fs.ErrClosed) {
			t.Errorf("appended afterwards: %v", err)
		}
		lanesFree(t)
	}
	holds(t, folder)
}

// TestLanes writes more files at once than may go to the disk directly.
func TestLanes(t *testing.T) {
	leak.Check(t)
	folder := newFolder(t)
	const length = directStep + pieceSize + 7
	files := make([]*File, cap(lanes)+1)
	for i := range files {
		files[i] = made(t, "")(Temporary(folder))
		if n, err := appendAll(files[i], content(length)); n != length || err != nil {
			t.Fatalf("%d bytes of %d, %v", n, length, err)
		}
	}
	if files[cap(lanes)].gathered.direct != nil && len(lanes) == cap(lanes) {
		t.Error("the last one has a lane as well")
	}
	for _, f := range files {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		is(t, f.Name(), content(length))
		f.Discard()
	}
	lanesFree(t)
}

// TestDirectRefused writes in the usual way what cannot be written directly, and
// tells what cannot be written at all.
func TestDirectRefused(t *testing.T) {
	leak.Check(t)
	name := filepath.Join(newFolder(t), "file")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	refuses, err := os.Open(name) // for reading
	if err != nil {
		t.Fatal(err)
	}
	defer refuses.Close()
	writable, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer writable.Close()
	for _, cached := range []*os.File{writable, refuses} {
		lanes <- struct{}{}
		file, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		d := &direct{file: file, cached: cached, spare: newPiece(), result: make(chan error, 1)}
		next, err := d.write(newPiece())
		if err != nil || len(next) != pieceSize {
			t.Errorf("a buffer of %d, %v", len(next), err)
		}
		_, err = d.write(next)
		end, closing := d.close()
		if failed := err != nil || closing != nil; failed != (cached == refuses) {
			t.Errorf("%v, %v", err, closing)
		}
		if cached == writable && end != 2*pieceSize {
			t.Errorf("ends at %d", end)
		}
		lanesFree(t)
	}
	is(t, name, bytes.NewReader(make([]byte, 2*pieceSize)))
}
