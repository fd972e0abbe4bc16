// Command stream loads a URL of any length through Session.Bytes, in a process of
// its own, and prints how long the body was, its SHA-256, how it ended, and the
// most memory that the process ever had resident. Linux only.
package main

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/urlkit/urlkit/bench/internal/child"
	"github.com/urlkit/urlkit/bench/internal/memory"
	"github.com/urlkit/urlkit/bench/internal/origin"
	"github.com/urlkit/urlkit/storage/cache"
	"github.com/urlkit/urlkit/urlsession"
)

const (
	cutOrigin = "cut"
	reader    = "reader"
)

var roles = map[string]child.Role{cutOrigin: origin.Cut, reader: read}

func main() {
	child.Main(roles)
	authority := flag.String("cacert", "", "PEM `file` of the authority to trust; empty: the system's")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: stream [-cacert file] URL")
		os.Exit(2)
	}
	o := order{URL: flag.Arg(0)}
	if *authority != "" {
		var err error
		if o.CA, err = os.ReadFile(*authority); err != nil {
			fmt.Fprintln(os.Stderr, "stream:", err)
			os.Exit(1)
		}
	}
	r, err := load(o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "stream:", err)
		os.Exit(1)
	}
	fmt.Println(r)
	if r.Code != 0 {
		os.Exit(1)
	}
}

// order is what the reader receives.
type order struct {
	URL string
	CA  []byte // PEM; nil: the system's authorities
}

// result is what the reader saw.
type result struct {
	Protocol string // "http/1.1", "h2"
	Bytes    int64  // of the body
	SHA256   string // of the body, in hexadecimal
	Code     int    // of the error with which it ended; 0: a clean EOF
	Err      string
	Cut      bool  // the error says that the body was truncated
	Peak     int64 // bytes resident at most
}

func (r result) String() string {
	end := "whole"
	if r.Code != 0 {
		end = r.Err
	}

	return fmt.Sprintf("%s: %d bytes, SHA-256 %s, peak resident memory %.1f MB, %s",
		r.Protocol, r.Bytes, r.SHA256, float64(r.Peak)/1e6, end)
}

// load starts a reader and gives its result.
func load(o order) (r result, err error) {
	process, err := child.Start(reader)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, process.Stop()) }()
	if err := process.Send(o); err != nil {
		return r, err
	}

	return r, process.Receive(&r)
}

// read is the reader: it receives an order and sends a result.
func read(parent *child.Pipe) error {
	var o order
	if err := parent.Receive(&o); err != nil {
		return err
	}
	configuration := urlsession.EphemeralConfiguration()
	configuration.Cache = cache.None
	if o.CA != nil {
		configuration.RootCAs = x509.NewCertPool()
		if !configuration.RootCAs.AppendCertsFromPEM(o.CA) {
			return errors.New("the authority is no PEM certificate")
		}
	}
	session, err := urlsession.New(configuration, nil)
	if err != nil {
		return err
	}
	r, err := digest(session, o.URL)
	if err := errors.Join(err, session.Close()); err != nil {
		return err
	}
	if r.Peak, err = memory.Peak(); err != nil {
		return err
	}

	return parent.Send(r)
}

// digest reads a URL to its end, whole or not.
func digest(session *urlsession.Session, url string) (r result, err error) {
	req, err := urlsession.NewRequest("", url, nil)
	if err != nil {
		return r, err
	}
	stream, err := session.Bytes(context.Background(), req)
	if err != nil {
		return r, err
	}
	defer stream.Close()
	if !stream.Response().OK() {
		return r, fmt.Errorf("status %d", stream.Response().StatusCode)
	}
	r.Protocol = stream.Response().Proto
	sum := sha256.New()
	r.Bytes, err = io.CopyBuffer(sum, stream, make([]byte, 64<<10))
	r.SHA256 = hex.EncodeToString(sum.Sum(nil))
	if err == nil {
		return r, nil
	}
	var failure *urlsession.Error
	if !errors.As(err, &failure) {
		return r, fmt.Errorf("not a *urlsession.Error: %w", err)
	}
	r.Code, r.Err, r.Cut = int(failure.Code), err.Error(), errors.Is(err, io.ErrUnexpectedEOF)

	return r, nil
}
