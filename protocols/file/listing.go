package file

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/urlkit/urlkit/protocols"
)

// list answers with the entries of a folder.
func (l loader) list(ctx context.Context, req *protocols.Request, name string) (*protocols.Response, error) {
	entries, err := readFolder(ctx, name, l.config.MaxListing)
	if err != nil {
		return nil, err
	}
	resp := &protocols.Response{Header: make(http.Header, 2), ContentLength: -1, Body: protocols.NoBody}
	p := page(&htmlPage{folder: name})
	contentType := "text/html; charset=utf-8"
	if prefersJSON(req.Header) {
		p, contentType = &jsonPage{}, "application/json"
	}
	resp.Header.Set("Content-Type", contentType)
	resp.Header.Set("Vary", "Accept")
	resp.SetContentType(contentType)
	if !strings.EqualFold(req.Method, http.MethodHead) {
		resp.Body = &listing{ctx: ctx, page: p, entries: entries}
	}

	return resp, nil
}

// readFolder reads the entries of a folder in steps, and sorts them by name.
func readFolder(ctx context.Context, name string, limit int) ([]fs.DirEntry, error) {
	f, err := os.OpenFile(name, openFlags, 0)
	if err != nil {
		return nil, readError(err)
	}
	defer f.Close()
	var entries []fs.DirEntry
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		some, err := f.ReadDir(1024)
		entries = append(entries, some...)
		if limit > 0 && len(entries) > limit {
			return nil, protocols.Errorf(protocols.DataLengthExceedsMaximum, "the folder %s has more than %d entries", name, limit)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, readError(err)
		}
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })

	return entries, nil
}

// entry is what a listing says of a file. The names are those of the JSON form.
type entry struct {
	Name string `json:"name"`
	// Type is "file", "directory", "symlink" (which is not followed) or "other".
	Type string `json:"type"`
	// Size is in bytes, and 0 for what is no file.
	Size int64 `json:"size"`
	// Modified is left out where it cannot be read.
	Modified time.Time `json:"modified,omitzero"`
}

// describe looks at an entry; ok is false for one that is gone by now.
func describe(d fs.DirEntry) (e entry, ok bool) {
	e = entry{Name: d.Name(), Type: "other"}
	switch {
	case d.IsDir():
		e.Type = "directory"
	case d.Type().IsRegular():
		e.Type = "file"
	case d.Type()&fs.ModeSymlink != 0:
		e.Type = "symlink"
	}
	info, err := d.Info()
	if err != nil {
		return e, !errors.Is(err, fs.ErrNotExist) // a name may be readable, and nothing else
	}
	if e.Type == "file" {
		e.Size = info.Size()
	}
	e.Modified = info.ModTime().UTC().Truncate(time.Second)

	return e, true
}

// page is a form of a listing.
type page interface {
	begin(b *bytes.Buffer)
	entry(b *bytes.Buffer, e entry)
	end(b *bytes.Buffer)
}

// listing is a body that makes a page as it is read.
type listing struct {
	ctx     context.Context // it governs the body as well as the load
	page    page
	entries []fs.DirEntry // still to be shown
	buffer  bytes.Buffer
	begun   bool
	ended   bool
	closed  atomic.Bool
}

func (l *listing) Read(p []byte) (int, error) {
	if l.closed.Load() {
		return 0, os.ErrClosed
	}
	if err := l.ctx.Err(); err != nil {
		return 0, err
	}
	for l.buffer.Len() == 0 && !l.ended { // all of a few may be gone by now
		l.fill()
	}

	return l.buffer.Read(p)
}

// fill puts the next few entries into the buffer.
func (l *listing) fill() {
	if !l.begun {
		l.begun = true
		l.page.begin(&l.buffer)
	}
	some := l.entries[:min(64, len(l.entries))]
	l.entries = l.entries[len(some):]
	for _, d := range some {
		if e, ok := describe(d); ok {
			l.page.entry(&l.buffer, e)
		}
	}
	if len(l.entries) == 0 {
		l.ended = true
		l.page.end(&l.buffer)
	}
}

func (l *listing) Close() error {
	l.closed.Store(true)

	return nil
}
