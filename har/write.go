package har

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
)

// ErrClosed is what Write gives after Close or Discard.
var ErrClosed = errors.New("har: the log is closed")

// Options say how a log is written. The zero value redacts secrets.
type Options struct {
	// Log is what stands around the entries. Its Entries are written first.
	Log Log
	// Redaction says what is secret.
	Redaction Redaction
	// KeepsSecrets writes everything as it is.
	KeepsSecrets bool
}

// Writer writes a log entry by entry: it holds none. It is safe for concurrent use.
// What it has written is a log once it is closed.
type Writer struct {
	options Options

	mu      sync.Mutex
	out     *bufio.Writer
	file    *os.File // nil: it writes to an io.Writer
	path    string   // where the file is to be
	entries int
	closed  bool
	err     error // the first; what follows is not written
}

// NewWriter writes a log to w, which Close leaves open.
func NewWriter(w io.Writer, o Options) *Writer {
	writer := &Writer{options: o, out: bufio.NewWriterSize(w, 64<<10)}
	entries := writer.options.Log.Entries
	writer.options.Log.Entries = nil
	writer.begin()
	for i := range entries {
		if writer.err == nil {
			writer.err = writer.add(&entries[i])
		}
	}

	return writer
}

// Create writes a log to a file, which Close gives its name: it is whole, or not
// there, and what was there before stays as long. Others may not read it: recordings
// tell much. A path that names a folder or a device is an error.
func Create(path string, o Options) (*Writer, error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("har: %s is no regular file", path)
	}
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	folder, name := filepath.Split(path)
	if folder == "" {
		folder = "."
	}
	file, err := os.CreateTemp(folder, "."+name+".*.tmp") // for its owner only
	if err != nil {
		return nil, fmt.Errorf("har: %w", err)
	}
	w := NewWriter(file, o)
	w.file, w.path = file, path

	return w, nil
}

// begin writes what stands before the entries.
func (w *Writer) begin() {
	log := &w.options.Log
	if log.Version == "" {
		log.Version = Version
	}
	if !w.options.KeepsSecrets {
		*log = *w.options.Redaction.log(log)
	}
	var head bytes.Buffer
	write(&head, log)
	head.Truncate(head.Len() - 1) // the object goes on
	_, _ = w.out.WriteString(`{"log":`)
	_, _ = w.out.Write(head.Bytes())
	_, w.err = w.out.WriteString(`,"entries":[`)
}

// Write adds an entry, which is not changed. An error stays, and Close gives it too.
func (w *Writer) Write(e *Entry) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return ErrClosed
	}
	if w.err == nil {
		w.err = w.add(e)
	}

	return w.err
}

func (w *Writer) add(e *Entry) error {
	if !w.options.KeepsSecrets {
		e = w.options.Redaction.Entry(e)
	}
	var entry bytes.Buffer
	if w.entries > 0 {
		entry.WriteByte(',')
	}
	entry.WriteByte('\n')
	write(&entry, e)
	w.entries++
	_, err := w.out.Write(entry.Bytes())

	return err
}

// Entries is how many were written.
func (w *Writer) Entries() int {
	w.mu.Lock()
	defer w.mu.Unlock()

	return w.entries
}

// Close ends the log. A file that could not be written whole is removed. Only the
// first call does something.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil
	}
	w.closed = true
	if w.err == nil {
		_, w.err = w.out.WriteString("\n]}}\n")
	}
	if w.err == nil {
		w.err = w.out.Flush()
	}
	if w.file != nil {
		w.err = w.publish(w.err)
	}
	if w.err != nil {
		return fmt.Errorf("har: %w", w.err)
	}

	return nil
}

// publish gives the file its name.
func (w *Writer) publish(err error) error {
	if err == nil {
		err = w.file.Sync()
	}
	err = errors.Join(err, w.file.Close())
	if err == nil {
		err = os.Rename(w.file.Name(), w.path)
	}
	if err != nil {
		err = errors.Join(err, os.Remove(w.file.Name()))
	}

	return err
}

// Discard ends a log that nobody wants: its file is removed.
func (w *Writer) Discard() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	w.closed = true
	if w.file != nil {
		_ = w.file.Close()
		_ = os.Remove(w.file.Name())
	}
}

// MarshalJSON gives the entry as the format has it, secrets included.
func (e *Entry) MarshalJSON() ([]byte, error) {
	var out bytes.Buffer
	write(&out, e)

	return out.Bytes(), nil
}

// UnmarshalJSON reads an entry as a Reader does.
func (e *Entry) UnmarshalJSON(data []byte) error { return read(data, e) }

var (
	_ json.Marshaler   = (*Entry)(nil)
	_ json.Unmarshaler = (*Entry)(nil)
)
