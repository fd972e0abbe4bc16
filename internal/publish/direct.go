package publish

import (
	"os"
	"reflect"
	"time"
)

// What a fast download has after directStep goes past the system's cache: the disk
// takes it from the program's memory. Through the cache the system copies it, page
// by page, and that is most of what a download costs. It has to be on the disk in
// the end anyway, and much of it would drive out of the cache what others use.
const (
	// directStep is after how many bytes a file is considered, each time. Files that
	// are shorter stay in the cache, where who asked for them finds them.
	directStep = 16 << 20
	// directWithin is how long they may have taken.
	directWithin = 500 * time.Millisecond
	// pieceSize is what is written at once; two pieces are in use. With 1 MiB the disk
	// waits for the program.
	pieceSize = 4 << 20
	// alignment is what the disk wants memory to begin at: a multiple.
	alignment = 4 << 10
)

// lanes bounds how many files have pieces at a time in the whole process.
var lanes = make(chan struct{}, 4)

// direct writes pieces past the system's cache, one while the next is being filled.
type direct struct {
	file   *os.File // opened for that
	cached *os.File // the same file in the usual way
	offset int64    // of the next piece
	spare  []byte   // is filled next; nil: it is busy
	busy   []byte   // is being written; nil: none is
	result chan error
}

// newDirect begins at what was written so far; nil: the system cannot, or enough
// others do.
func newDirect(f *File) *direct {
	select {
	case lanes <- struct{}{}:
	default:
		return nil
	}
	file, err := f.openDirect()
	if err != nil {
		<-lanes

		return nil
	}

	return &direct{file: file, cached: f.file, offset: f.written, spare: newPiece(), result: make(chan error, 1)}
}

func newPiece() []byte {
	p := make([]byte, pieceSize+alignment)
	skip := -reflect.ValueOf(p).Pointer() % alignment

	return p[skip:][:pieceSize:pieceSize]
}

// write lets a full piece go and gives the one to be filled next. The error is that
// of the piece before.
func (d *direct) write(piece []byte) (next []byte, err error) {
	if err := d.wait(); err != nil {
		return piece, err
	}
	offset := d.offset
	d.offset += int64(len(piece))
	go func() { d.result <- d.put(piece, offset) }()
	next, d.spare, d.busy = d.spare, nil, piece

	return next, nil
}

// put writes a piece. What this way does not take, the usual one does, or it names
// the cause.
func (d *direct) put(piece []byte, offset int64) error {
	n, err := d.file.WriteAt(piece, offset)
	if err != nil {
		_, err = d.cached.WriteAt(piece[n:], offset+int64(n))
	}

	return err
}

// wait returns when no piece is being written any more.
func (d *direct) wait() error {
	if d.busy == nil {
		return nil
	}
	err := <-d.result
	d.spare, d.busy = d.busy, nil

	return err
}

// close waits, and tells where the file ends.
func (d *direct) close() (int64, error) {
	err := d.wait()
	_ = d.file.Close() // the sync that follows tells what went wrong
	<-lanes

	return d.offset, err
}
