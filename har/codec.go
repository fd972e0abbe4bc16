package har

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// node is what a codec reads or writes: an object of the format.
type node interface{ fields(c *codec) }

// codec reads the fields of one object, or writes them.
type codec struct {
	in    map[string]json.RawMessage // nil: it writes
	out   *bytes.Buffer
	wrote bool
	err   error // the first
}

const (
	required = true
	optional = false
)

var errObject = errors.New("an object is expected")

// read reads an object. null leaves it as it is.
func read(data []byte, into node) error {
	if isNull(data) {
		return nil
	}
	c := codec{}
	if err := json.Unmarshal(data, &c.in); err != nil {
		var kind *json.UnmarshalTypeError
		if errors.As(err, &kind) {
			err = errObject
		}

		return err
	}
	into.fields(&c)

	return c.err
}

// write appends an object to out.
func write(out *bytes.Buffer, from node) {
	c := codec{out: out}
	out.WriteByte('{')
	from.fields(&c)
	out.WriteByte('}')
}

func isNull(data []byte) bool {
	data = bytes.TrimSpace(data)

	return len(data) == 0 || string(data) == "null"
}

func (c *codec) reading() bool { return c.out == nil }

// value is what a field holds; nil: nothing.
func (c *codec) value(name string) json.RawMessage {
	data, ok := c.in[name]
	if !ok || isNull(data) {
		return nil
	}

	return bytes.TrimSpace(data)
}

func (c *codec) fail(name string, err error) {
	if c.err == nil && err != nil {
		c.err = fmt.Errorf("%s: %w", name, err)
	}
}

// name begins a field.
func (c *codec) name(name string) {
	if c.wrote {
		c.out.WriteByte(',')
	}
	c.wrote = true
	quote(c.out, name)
	c.out.WriteByte(':')
}

func quote(out *bytes.Buffer, s string) {
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	_ = e.Encode(s)             // a string can be encoded, and a Buffer be written to
	out.Truncate(out.Len() - 1) // its line break
}

// text is a string. A number or a truth value counts as its text.
func (c *codec) text(name string, v *string, need bool) {
	if !c.reading() {
		if need || *v != "" {
			c.name(name)
			quote(c.out, *v)
		}

		return
	}
	switch data := c.value(name); {
	case data == nil:
	case data[0] == '"':
		c.fail(name, json.Unmarshal(data, v))
	case data[0] == '{', data[0] == '[':
		c.fail(name, errors.New("a text is expected"))
	default:
		*v = string(data)
	}
}

var errNumber = errors.New("a number is expected")

// parse gives the number of a field; a text that is a number will do.
func (c *codec) parse(name string) (number float64, found bool) {
	data := c.value(name)
	if data == nil {
		return 0, false
	}
	text := string(data)
	if data[0] == '"' {
		if err := json.Unmarshal(data, &text); err != nil {
			c.fail(name, err)

			return 0, false
		}
	}
	if text = strings.TrimSpace(text); text == "" {
		return 0, false
	}
	number, err := strconv.ParseFloat(text, 64)
	switch {
	case err != nil && errors.Is(err, strconv.ErrRange):
		c.fail(name, errors.New("the number is too large"))
	case err != nil || math.IsNaN(number) || math.IsInf(number, 0):
		c.fail(name, errNumber)
	default:
		return number, true
	}

	return 0, false
}

// number is a number with a fraction.
func (c *codec) number(name string, v *float64) {
	if !c.reading() {
		c.name(name)
		value := *v
		if math.IsNaN(value) || math.IsInf(value, 0) {
			value = Unknown
		}
		c.out.Write(strconv.AppendFloat(c.out.AvailableBuffer(), value, 'f', -1, 64))

		return
	}
	if n, ok := c.parse(name); ok {
		*v = n
	}
}

// duration is an optional time; where it is not said it is Unknown.
func (c *codec) duration(name string, v *float64) {
	if c.reading() {
		*v = Unknown
	} else if *v < 0 {
		return
	}
	c.number(name, v)
}

// integer is a whole number.
func (c *codec) integer(name string, v *int64, need bool) {
	if !c.reading() {
		if need || *v != 0 {
			c.name(name)
			c.out.Write(strconv.AppendInt(c.out.AvailableBuffer(), *v, 10))
		}

		return
	}
	n, ok := c.parse(name)
	const most = 1 << 62
	switch {
	case !ok:
	case n < -most || n > most:
		c.fail(name, errors.New("the number is too large"))
	default:
		*v = int64(n)
	}
}

// size is a number of bytes; where it is not said it is Unknown.
func (c *codec) size(name string, v *int64) {
	if c.reading() {
		*v = Unknown
	}
	c.integer(name, v, required)
}

// flag is a truth value.
func (c *codec) flag(name string, v *bool) {
	if !c.reading() {
		if *v {
			c.name(name)
			c.out.WriteString("true")
		}

		return
	}
	switch text := strings.Trim(string(c.value(name)), `"`); text {
	case "", "false", "0":
	case "true", "1":
		*v = true
	default:
		c.fail(name, errors.New("true or false is expected"))
	}
}

// layouts are those in which moments are written: the format's own first.
var layouts = []string{
	time.RFC3339Nano, "2006-01-02T15:04:05.999999999Z0700", "2006-01-02T15:04:05.999999999",
	"2006-01-02 15:04:05.999999999Z07:00", "Mon, 02 Jan 2006 15:04:05 MST", "Mon, 02-Jan-2006 15:04:05 MST",
}

func parseTime(text string) (time.Time, error) {
	for _, layout := range layouts {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}

	return time.Time{}, fmt.Errorf("%.40q is no date", text)
}

// time is a moment.
func (c *codec) time(name string, v *time.Time, need bool) {
	var text string
	if !c.reading() {
		if text = v.Format("2006-01-02T15:04:05.000Z07:00"); need || !v.IsZero() {
			c.text(name, &text, need)
		}

		return
	}
	if c.text(name, &text, need); text == "" {
		return
	}
	t, err := parseTime(text)
	if err != nil {
		c.fail(name, err)
	}
	*v = t
}

// date is a moment that nothing depends on: what cannot be read is left out.
func (c *codec) date(name string, v *time.Time) {
	if !c.reading() {
		c.time(name, v, optional)

		return
	}
	var text string
	c.text(name, &text, optional)
	*v, _ = parseTime(text)
}

// notes are what every object may have; of custom fields those that are not known.
func (c *codec) notes(n *Notes, known ...string) {
	c.text("comment", &n.Comment, optional)
	c.custom(&n.Custom, known)
}

// custom are the fields whose names begin with "_", but for those that are known.
func (c *codec) custom(v *Custom, known []string) {
	if !c.reading() {
		for _, name := range slices.Sorted(maps.Keys(*v)) {
			if value := (*v)[name]; strings.HasPrefix(name, "_") && !slices.Contains(known, name) && json.Valid(value) {
				c.name(name)
				_ = json.Compact(c.out, value) // it is valid
			}
		}

		return
	}
	for name, value := range c.in {
		if !strings.HasPrefix(name, "_") || slices.Contains(known, name) {
			continue
		}
		if *v == nil {
			*v = make(Custom)
		}
		(*v)[name] = bytes.Clone(value)
	}
}

// object is an object that is always there.
func object[T any, P interface {
	*T
	node
}](c *codec, name string, v *T) {
	if !c.reading() {
		c.name(name)
		write(c.out, P(v))

		return
	}
	data := c.value(name)
	if data == nil {
		data = []byte("{}")
	}
	c.fail(name, read(data, P(v)))
}

// pointer is an object that may be missing.
func pointer[T any, P interface {
	*T
	node
}](c *codec, name string, v **T) {
	switch {
	case c.reading() && c.value(name) != nil:
		*v = new(T)
		object[T, P](c, name, *v)
	case !c.reading() && *v != nil:
		object[T, P](c, name, *v)
	}
}

// list is an array of objects.
func list[T any, P interface {
	*T
	node
}](c *codec, name string, v *[]T, need bool) {
	if !c.reading() {
		if !need && len(*v) == 0 {
			return
		}
		c.name(name)
		c.out.WriteByte('[')
		for i := range *v {
			if i > 0 {
				c.out.WriteByte(',')
			}
			write(c.out, P(&(*v)[i]))
		}
		c.out.WriteByte(']')

		return
	}
	data := c.value(name)
	if data == nil {
		return
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	if start, err := decoder.Token(); err != nil || start != json.Delim('[') {
		c.fail(name, errors.New("an array is expected"))

		return
	}
	for decoder.More() && c.err == nil {
		var item json.RawMessage
		place := name + "[" + strconv.Itoa(len(*v)) + "]"
		if len(*v) == maxItems {
			c.fail(name, fmt.Errorf("%w: more than %d items", ErrTooLarge, maxItems))

			return
		}
		*v = append(*v, *new(T))
		err := decoder.Decode(&item)
		if err == nil {
			err = read(item, P(&(*v)[len(*v)-1]))
		}
		c.fail(place, err)
	}
}

// maxItems bounds the lists of an entry: an empty object takes two bytes in a file,
// and a hundred times as much in memory.
const maxItems = 100_000
