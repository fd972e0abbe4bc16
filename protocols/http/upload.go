package http

import (
	"errors"
	"io"
	"sync"
	"time"

	"github.com/urlkit/urlkit/protocols"
)

// patience is how long the end of a load waits for a Read of the request's body
// that its Close did not end.
const patience = time.Second

var errUploadClosed = errors.New("http: the request body is closed")

// upload is the request body as the codec reads it: opened at the first Read,
// closed once, at its end or before.
type upload struct {
	source *protocols.Body

	mu     sync.Mutex
	reader io.ReadCloser // nil: not open
	opened bool
	closed bool  // nothing is read any more
	end    error // what ended the reading by itself: io.EOF or a failure
	taken  int64 // bytes that were read
	busy   int   // calls into the app's body that are running
	quiet  chan struct{}
}

// Read opens the body when it is first called.
func (u *upload) Read(p []byte) (n int, err error) {
	u.mu.Lock()
	if err := u.over(); err != nil {
		u.mu.Unlock()

		return 0, err
	}
	open := !u.opened
	u.opened = true
	u.busy++
	reader := u.reader
	u.mu.Unlock()

	if open {
		reader, err = u.source.OpenAt(0)
	}
	if err == nil && (!open || u.keep(reader)) {
		n, err = reader.Read(p)
	}

	u.mu.Lock()
	u.taken += int64(n)
	if err != nil && !u.closed { // what a reader says once it is closed is no failure
		u.end = err
	}
	over := u.over()
	u.leave()
	u.mu.Unlock()
	if over == nil {
		return n, nil
	}
	_ = u.Close()
	if err == nil || u.end == nil {
		return 0, over
	}

	return n, over
}

// keep stores the opened reader; false: the body was closed meanwhile.
func (u *upload) keep(reader io.ReadCloser) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.reader = reader

	return !u.closed
}

// over is why nothing is to be read any more; nil: there may be more. The lock is
// held.
func (u *upload) over() error {
	switch {
	case u.end != nil:
		return u.end
	case u.closed:
		return errUploadClosed
	default:
		return nil
	}
}

// Close closes the reader if one is open and not closed yet.
func (u *upload) Close() error {
	u.mu.Lock()
	u.closed = true
	reader := u.reader
	u.reader = nil
	if reader == nil {
		u.mu.Unlock()

		return nil
	}
	u.busy++
	u.mu.Unlock()

	err := reader.Close()

	u.mu.Lock()
	u.leave()
	u.mu.Unlock()

	return err
}

// leave counts a call out. The lock is held.
func (u *upload) leave() {
	u.busy--
	if u.busy == 0 && u.quiet != nil {
		close(u.quiet)
		u.quiet = nil
	}
}

// finish closes the body and waits until nobody is in it: it may be opened anew
// afterwards.
func (u *upload) finish() {
	_ = u.Close()
	u.mu.Lock()
	if u.busy == 0 {
		u.mu.Unlock()

		return
	}
	if u.quiet == nil {
		u.quiet = make(chan struct{})
	}
	quiet := u.quiet
	u.mu.Unlock()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-quiet:
	case <-timer.C:
	}
}

// failure is what the body itself failed with, and whether it was opened.
func (u *upload) failure() (err error, opened bool) {
	if u == nil {
		return nil, false
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if errors.Is(u.end, io.EOF) {
		return nil, u.opened
	}

	return u.end, u.opened
}

// read tells whether the body was read to its end.
func (u *upload) read() bool {
	u.mu.Lock()
	defer u.mu.Unlock()

	return u.end == io.EOF || u.taken > 0 && u.taken == u.source.KnownLength() //nolint:errorlint // a Reader returns io.EOF bare
}
