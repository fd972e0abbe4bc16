package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/urlkit/urlkit/urlsession"
)

// messageOptions say what is sent.
type messageOptions struct {
	method    string
	head      bool
	headers   []string
	data      []string
	uploads   []string
	byteRange string
	agent     string
	referer   string

	changed func(flag string) bool // tells a flag that is empty from one that is not there
}

func (o *messageOptions) register(flags *pflag.FlagSet) {
	o.changed = flags.Changed
	flags.StringVarP(&o.method, "request", "X", "", "the `METHOD`; without it GET, POST with -d, PUT with -T, HEAD with -I")
	flags.StringArrayVarP(&o.headers, "header", "H", nil, "a header field, 'NAME: VALUE'; 'NAME:' sends none, 'NAME;' an empty one; `LINE` @FILE reads lines")
	flags.StringArrayVarP(&o.data, "data", "d", nil, "send `DATA` as a form does; @FILE and @- read it, without line ends; several are joined by &")
	flags.StringArrayVarP(&o.uploads, "upload-file", "T", nil, "send `FILE`, once for each URL; - is standard input; a URL that ends in / gets its name")
	flags.BoolVarP(&o.head, "head", "I", false, "ask for the head only, and print it")
	flags.StringVarP(&o.byteRange, "range", "r", "", "ask for a part, `RANGE` like 0-99, 500- or -500")
	flags.StringVarP(&o.agent, "user-agent", "A", "", "the User-Agent field, `AGENT`; \"\" sends none")
	flags.StringVarP(&o.referer, "referer", "e", "", "the Referer field, a `URL`")
}

func (o *messageOptions) validate(urls int) error {
	kinds := 0
	for _, chosen := range []bool{len(o.data) > 0, len(o.uploads) > 0, o.head} {
		if chosen {
			kinds++
		}
	}
	switch {
	case kinds > 1:
		return failed(exitUsage, "choose one of -d, -T and -I")
	case len(o.uploads) > 0 && len(o.uploads) != urls:
		return failed(exitUsage, "-T is for one URL each: there are %d of it, and %d URLs", len(o.uploads), urls)
	}
	if o.stdin() > 1 {
		return failed(exitUsage, "standard input can be sent only once")
	}

	return nil
}

// stdin is how many flags send standard input.
func (o *messageOptions) stdin() int {
	stdin := 0
	for _, name := range slices.Concat(o.data, o.uploads) {
		if name == "@-" && len(o.data) > 0 || name == "-" && len(o.uploads) > 0 {
			stdin++
		}
	}

	return stdin
}

// message is what is the same for all URLs, read once.
type message struct {
	method string
	header http.Header
	data   []byte // of -d; nil: none
	stdin  io.Reader
}

func (o *messageOptions) read(ctx context.Context, stdin io.Reader) (*message, error) {
	m := &message{method: o.method, header: make(http.Header), stdin: stdin}
	var err error
	if len(o.data) > 0 {
		if m.data, err = readData(ctx, o.data, stdin); err != nil {
			return nil, err
		}
		m.header.Set("Content-Type", "application/x-www-form-urlencoded")
	} else if len(o.uploads) > 0 {
		m.header["Content-Type"] = nil // the session takes a POST for a form's
	}
	byteRange := o.byteRange
	if byteRange != "" {
		byteRange = "bytes=" + byteRange
	}
	for _, field := range []struct{ flag, name, value string }{
		{"user-agent", "User-Agent", o.agent},
		{"referer", "Referer", o.referer},
		{"range", "Range", byteRange},
	} {
		switch {
		case !o.changed(field.flag):
		case field.value == "":
			m.header[field.name] = nil // there and empty, so that the session adds none
		default:
			m.header.Set(field.name, field.value)
		}
	}
	if err := setFields(ctx, m.header, o.headers); err != nil {
		return nil, err
	}
	if m.method == "" {
		switch {
		case o.head:
			m.method = http.MethodHead
		case len(o.data) > 0:
			m.method = http.MethodPost
		case len(o.uploads) > 0:
			m.method = http.MethodPut
		}
	}

	return m, nil
}

// request is the message to one URL; upload is its -T, "" for none.
func (m *message) request(rawURL, upload string) (*urlsession.Request, error) {
	body := (*urlsession.Body)(nil)
	switch {
	case m.data != nil:
		body = urlsession.BytesBody(m.data)
	case upload == "-":
		body = urlsession.ReaderBody(m.stdin)
	case upload != "":
		info, err := os.Stat(upload)
		if err == nil && info.IsDir() {
			err = fmt.Errorf("%s is a folder", upload)
		}
		if err != nil {
			return nil, failed(exitRead, "-T: %w", err)
		}
		body = urlsession.FileBody(upload)
	}
	req, err := urlsession.NewRequest(m.method, rawURL, body)
	if err != nil {
		return nil, err
	}
	req.Header = m.header.Clone()
	if upload != "" && upload != "-" && strings.HasSuffix(req.URL.Path, "/") {
		u := *req.URL
		u.Path += filepath.Base(upload)
		if u.RawPath != "" {
			u.RawPath += url.PathEscape(filepath.Base(upload))
		}
		req.URL = &u
	}

	return req, nil
}

// readData joins the values of -d as curl does: what comes from a file loses its
// line ends and zeros.
func readData(ctx context.Context, values []string, stdin io.Reader) ([]byte, error) {
	pieces := make([][]byte, 0, len(values))
	for _, value := range values {
		name, isFile := strings.CutPrefix(value, "@")
		if !isFile {
			pieces = append(pieces, []byte(value))

			continue
		}
		data, err := within(ctx, func() ([]byte, error) { return readNamed(name, stdin) })
		if err != nil {
			return nil, failed(exitRead, "-d: %w", err)
		}
		pieces = append(pieces, slices.DeleteFunc(data, func(c byte) bool { return c == '\r' || c == '\n' || c == 0 }))
	}

	return bytes.Join(pieces, []byte("&")), nil
}

// readNamed reads a file, or standard input by the name "-".
func readNamed(name string, stdin io.Reader) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(stdin)
	}

	return os.ReadFile(name)
}

// setFields reads the values of -H. Those that name the same field add up, and win
// over what other flags set.
func setFields(ctx context.Context, header http.Header, lines []string) error {
	given := make(http.Header)
	for _, line := range lines {
		if name, isFile := strings.CutPrefix(line, "@"); isFile {
			data, err := within(ctx, func() ([]byte, error) { return os.ReadFile(name) })
			if err != nil {
				return failed(exitRead, "-H: %w", err)
			}
			for inner := range strings.Lines(string(data)) {
				if inner = strings.TrimRight(inner, "\r\n"); inner == "" {
					continue
				}
				if err := setField(given, inner); err != nil {
					return err
				}
			}

			continue
		}
		if err := setField(given, line); err != nil {
			return err
		}
	}
	for name, values := range given {
		header[name] = values
	}

	return nil
}

func setField(header http.Header, line string) error {
	name, value, found := strings.Cut(line, ":")
	if empty, ok := strings.CutSuffix(line, ";"); !found && ok {
		header.Add(empty, "")

		return nil
	}
	name = strings.TrimSpace(name)
	if !found || name == "" {
		return failed(exitUsage, "-H: %w", errors.New("a line has neither the form 'NAME: VALUE' nor 'NAME;'")) // it may be a secret
	}
	if value = strings.TrimSpace(value); value == "" {
		header[http.CanonicalHeaderKey(name)] = nil

		return nil
	}
	header.Add(name, value)

	return nil
}
