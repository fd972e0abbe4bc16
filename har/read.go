package har

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Limits bound what a Reader takes, whoever wrote it. 0 is the default, a negative
// value no limit.
type Limits struct {
	// Bytes is the length of the whole log; 4 GiB.
	Bytes int64
	// EntryBytes is the length of one entry, and of any other value around the entries;
	// 64 MiB. A Reader may hold up to ten times as much.
	EntryBytes int64
	// Entries is their number; a million.
	Entries int
}

// The defaults of Limits.
const (
	DefaultBytes      = 4 << 30
	DefaultEntryBytes = 64 << 20
	DefaultEntries    = 1_000_000
)

var (
	// ErrTooLarge is beneath the errors of a log that exceeds its Limits.
	ErrTooLarge = errors.New("the log is too large")
	errNoLog    = errors.New(`there is no "log"`)
)

// Reader reads a log entry by entry. It is for one goroutine.
type Reader struct {
	meter   meter
	decoder *json.Decoder
	limits  Limits
	log     Log
	state   int
	entries int
	listed  bool // "entries" was there
	err     error
}

// The states of a Reader: where it stands.
const (
	atStart   = iota
	inLog     // between fields of "log"
	inEntries // between entries
	atEnd
)

// NewReader reads from r.
func NewReader(r io.Reader, limits Limits) *Reader {
	orDefault := func(v *int64, fallback int64) {
		if *v == 0 {
			*v = fallback
		} else if *v < 0 {
			*v = 1<<63 - 1
		}
	}
	orDefault(&limits.Bytes, DefaultBytes)
	orDefault(&limits.EntryBytes, DefaultEntryBytes)
	if limits.Entries == 0 {
		limits.Entries = DefaultEntries
	}
	reader := &Reader{limits: limits, meter: meter{r: r, total: limits.Bytes}}
	reader.decoder = json.NewDecoder(&reader.meter)

	return reader
}

// Read reads a whole log into memory.
func Read(r io.Reader, limits Limits) (*Log, error) {
	reader := NewReader(r, limits)
	var entries []Entry
	for {
		e, err := reader.Next()
		if errors.Is(err, io.EOF) {
			log := reader.Log()
			log.Entries = entries

			return log, nil
		}
		if err != nil {
			return nil, err
		}
		entries = append(entries, *e)
	}
}

// Log is what stands around the entries: all of it once Next has given io.EOF. Its
// Entries are empty.
func (r *Reader) Log() *Log {
	log := r.log

	return &log
}

// Next gives the next entry; io.EOF: there is none. Any other error stays: a log that
// is cut off is io.ErrUnexpectedEOF, one beyond the limits ErrTooLarge.
func (r *Reader) Next() (*Entry, error) {
	if r.err == nil && r.state == atStart {
		r.err = r.start()
	}
	for r.err == nil {
		switch {
		case r.state == atEnd:
			r.err = io.EOF
		case r.state == inLog:
			r.err = r.field()
		case !r.decoder.More():
			r.state = inLog
			_, r.err = r.token()
		default:
			e, err := r.entry()
			if err == nil {
				return e, nil
			}
			r.err = err
		}
	}
	if r.err != io.EOF { //nolint:errorlint // its own
		return nil, fmt.Errorf("har: %w", r.err)
	}

	return nil, io.EOF
}

func (r *Reader) entry() (*Entry, error) {
	if r.entries++; r.limits.Entries > 0 && r.entries > r.limits.Entries {
		return nil, fmt.Errorf("%w: more than %d entries", ErrTooLarge, r.limits.Entries)
	}
	data, err := r.value()
	e := new(Entry)
	if err == nil {
		err = read(data, e)
	}
	if err != nil {
		return nil, fmt.Errorf("entry %d: %w", r.entries, err)
	}

	return e, nil
}

// start goes to the first field of "log".
func (r *Reader) start() error {
	if err := r.skipMark(); err != nil {
		return err
	}
	if err := r.open('{'); err != nil {
		return err
	}
	for r.decoder.More() {
		name, err := r.token()
		if err != nil {
			return err
		}
		if name == "log" {
			r.state = inLog

			return r.open('{')
		}
		if _, err := r.value(); err != nil {
			return err
		}
	}

	return r.missing(errNoLog)
}

// missing is what ended a reading too soon: the log is cut off or broken, else err.
func (r *Reader) missing(err error) error {
	if _, failed := r.token(); failed != nil {
		return failed
	}

	return err
}

// skipMark skips a byte order mark, which some write.
func (r *Reader) skipMark() error {
	mark := []byte("\xef\xbb\xbf")
	r.meter.left = r.limits.EntryBytes
	start := make([]byte, len(mark))
	n, err := io.ReadFull(&r.meter, start)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	if start = start[:n]; bytes.HasPrefix(mark, start) { // or it is cut off
		start = nil
	}
	r.decoder = json.NewDecoder(io.MultiReader(bytes.NewReader(start), &r.meter))

	return nil
}

// field reads a field of "log", or comes to its end.
func (r *Reader) field() error {
	if !r.decoder.More() {
		r.state = atEnd

		return r.rest()
	}
	name, err := r.token()
	if err != nil {
		return err
	}
	if name == "entries" {
		if r.listed {
			return errors.New("there are two lists of entries")
		}
		r.listed = true

		return r.openEntries()
	}
	text, _ := name.(string)
	data, err := r.value()
	if err != nil {
		return err
	}
	named, err := json.Marshal(map[string]json.RawMessage{text: data})
	if err != nil {
		return err
	}

	return read(named, &r.log)
}

// rest reads what follows the last field of "log".
func (r *Reader) rest() error {
	_, err := r.token()
	for err == nil && r.decoder.More() {
		if _, err = r.token(); err == nil {
			_, err = r.value()
		}
	}
	if err == nil {
		_, err = r.token()
	}

	return err
}

func (r *Reader) openEntries() error {
	token, err := r.token()
	switch {
	case err != nil:
		return err
	case token == json.Delim('['):
		r.state = inEntries

		return nil
	case token == nil: // null
		return nil
	default:
		return errors.New("entries: an array is expected")
	}
}

// token gives the next token.
func (r *Reader) token() (json.Token, error) {
	r.meter.left = r.limits.EntryBytes
	token, err := r.decoder.Token()

	return token, cutOff(err)
}

func (r *Reader) open(delim json.Delim) error {
	token, err := r.token()
	if err == nil && token != delim {
		err = errObject
	}

	return err
}

// value gives the next value.
func (r *Reader) value() (json.RawMessage, error) {
	r.meter.left = r.limits.EntryBytes
	var data json.RawMessage
	err := r.decoder.Decode(&data)

	return data, cutOff(err)
}

// cutOff tells an end that comes too soon.
func cutOff(err error) error {
	if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return io.ErrUnexpectedEOF
	}

	return err
}

// meter bounds what is read: of one value, and of all.
type meter struct {
	r           io.Reader
	left, total int64
}

func (m *meter) Read(p []byte) (int, error) {
	if m.total <= 0 {
		var one [1]byte
		if n, err := m.r.Read(one[:]); n == 0 && err != nil {
			return 0, err
		}

		return 0, fmt.Errorf("%w: it is longer than its limit", ErrTooLarge)
	}
	if m.left <= 0 {
		return 0, fmt.Errorf("%w: a value is longer than its limit", ErrTooLarge)
	}
	p = p[:min(int64(len(p)), m.left, m.total)]
	n, err := m.r.Read(p)
	m.left -= int64(n)
	m.total -= int64(n)

	return n, err
}
