package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/urlkit/urlkit/bench/internal/child"
	"github.com/urlkit/urlkit/bench/internal/origin"
	"github.com/urlkit/urlkit/urlsession"
)

// order is what a client receives: one download.
type order struct {
	Way   string // the role's own choice, one of ways
	URL   string
	Path  string // of the file to make
	CA    []byte // PEM; nil: the system's authorities
	HTTP2 bool   // over TLS; else HTTP/1.1
}

// The ways in which a client downloads.
const (
	bySession  = "Session.Download"
	byCopy     = "io.Copy"
	byCopySync = "io.Copy + Sync"
)

var ways = map[string]func(o order) (protocol string, err error){
	bySession:  download,
	byCopy:     func(o order) (string, error) { return copyBody(o, (*os.File).Close) },
	byCopySync: func(o order) (string, error) { return copyBody(o, syncAndClose) },
}

// load is the client: it receives an order and sends the protocol that was spoken.
func load(parent *child.Pipe) error {
	var o order
	if err := parent.Receive(&o); err != nil {
		return err
	}
	protocol, err := ways[o.Way](o)
	if err != nil {
		return err
	}

	return parent.Send(protocol)
}

func download(o order) (protocol string, err error) {
	configuration := urlsession.EphemeralConfiguration()
	configuration.OmitsHTTP2 = !o.HTTP2
	if configuration.RootCAs, err = (origin.Address{CA: o.CA}).Roots(); err != nil {
		return "", err
	}
	session, err := urlsession.New(configuration, nil)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, session.Close()) }()
	req, err := urlsession.NewRequest(http.MethodGet, o.URL, nil)
	if err != nil {
		return "", err
	}
	resp, err := session.Download(context.Background(), req, o.Path)
	if err != nil {
		return "", err
	}
	if !resp.OK() {
		return "", fmt.Errorf("status %d", resp.StatusCode)
	}

	return resp.Proto, nil
}

// copyBody is what a program without a session does.
func copyBody(o order, closeFile func(*os.File) error) (protocol string, err error) {
	transport := &http.Transport{Protocols: new(http.Protocols), TLSClientConfig: new(tls.Config)}
	transport.Protocols.SetHTTP1(!o.HTTP2)
	transport.Protocols.SetHTTP2(o.HTTP2)
	if transport.TLSClientConfig.RootCAs, err = (origin.Address{CA: o.CA}).Roots(); err != nil {
		return "", err
	}
	client := &http.Client{Transport: transport}
	resp, err := client.Get(o.URL)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("status %d", resp.StatusCode)
	}
	file, err := os.Create(o.Path)
	if err != nil {
		return "", err
	}
	_, err = io.Copy(file, resp.Body)
	if err := errors.Join(err, closeFile(file)); err != nil {
		return "", err
	}
	if resp.ProtoMajor == 2 {
		return http2, nil
	}

	return http1, nil
}

func syncAndClose(file *os.File) error { return errors.Join(file.Sync(), file.Close()) }
