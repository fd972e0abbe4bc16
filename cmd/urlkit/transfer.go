package main

import (
	"context"
	"errors"
	"io"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/urlsession"
)

// transfer is one URL and where its body goes.
type transfer struct {
	url     string // for people who asked for all: -v, --json
	brief   string // without the query, for all others
	request *urlsession.Request
	target  target
	err     error // why it cannot begin; nil: it can
}

// outcome is how a transfer ended.
type outcome struct {
	*transfer

	response *urlsession.Response // nil: no head came
	metrics  urlsession.TaskMetrics
	file     string // that holds the body now; "" none
	bytes    int64  // of the body, decoded
	err      error
}

// target is where a body goes.
type target struct {
	kind targetKind
	name string
}

type targetKind uint8

const (
	toStdout  targetKind = iota
	toNowhere            // with --json: it is read and dropped
	toFile               // name
	toRemote             // a name that the response suggests
	toDevice             // name, which is no regular file: it is written to, not replaced
)

// saves tells whether the body goes to a file, so that transfers may overlap and
// their progress can be shown.
func (t target) saves() bool { return t.kind == toFile || t.kind == toRemote || t.kind == toDevice }

// transfers makes one of each URL. What is wrong with one URL ends that one only.
func (o *options) transfers(ctx context.Context, urls []string, stdin io.Reader) ([]*transfer, error) {
	m, err := o.message.read(ctx, stdin)
	if err != nil {
		return nil, err
	}
	list := make([]*transfer, len(urls))
	for i, raw := range urls {
		upload := ""
		if len(o.message.uploads) > 0 {
			upload = o.message.uploads[i]
		}
		t := &transfer{url: showRaw(raw), brief: showRaw(raw)}
		list[i] = t
		if t.request, t.err = m.request(raw, upload); t.err != nil {
			continue
		}
		t.request.AssumesHTTP3Capable = o.session.http3
		t.url, t.brief = showURL(t.request.URL), printable(protocols.Redact(t.request.URL))
		if o.user != "" && t.request.URL.User != nil { // -u wins
			u := *t.request.URL
			u.User = nil
			t.request.URL = &u
		}
		t.target, t.err = o.target(i)
	}

	return list, nil
}

// target finds out where the body of a URL goes, by its place.
func (o *options) target(place int) (target, error) {
	out, ok := o.outputs.of(place)
	switch {
	case !ok && o.json:
		return target{kind: toNowhere}, nil
	case !ok, !out.remote && isStdout(out.name):
		return target{}, nil
	case out.remote:
		return target{kind: toRemote}, nil
	}
	name := out.name
	if o.createDirs {
		if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
			return target{}, failed(exitWrite, "--create-dirs: %w", err)
		}
	}
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, os.ErrNotExist):
		if _, err := os.Stat(filepath.Dir(name)); err != nil { // better said before anything is asked for
			return target{}, failed(exitWrite, "%w", err)
		}
	case err != nil:
		return target{}, failed(exitWrite, "%w", err)
	case info.IsDir():
		return target{}, failed(exitWrite, "%s is a folder", name)
	case !info.Mode().IsRegular():
		return target{toDevice, name}, nil
	default:
		// A link stays, and what it leads to is replaced.
		if name, err = filepath.EvalSymlinks(name); err != nil {
			return target{}, failed(exitWrite, "%w", err)
		}
	}

	return target{toFile, name}, nil
}

func isStdout(name string) bool { return name == "-" || name == "/dev/stdout" }

// isDevice tells whether a name stands for something that is written to, as
// /dev/null is, rather than replaced.
func isDevice(name string) bool {
	info, err := os.Stat(name)

	return err == nil && !info.IsDir() && !info.Mode().IsRegular()
}

// label is what the display calls a transfer.
func (t *transfer) label() string {
	switch {
	case t.target.name != "":
		return printable(t.target.name)
	case t.request == nil:
		return t.brief
	}
	if base := lastElement(t.request.URL); base != "" {
		return printable(base)
	}

	return t.brief
}

// lastElement is what follows the last slash of a URL's path.
func lastElement(u *url.URL) string {
	if u.Path == "" || strings.HasSuffix(u.Path, "/") {
		return ""
	}

	return path.Base(u.Path)
}
