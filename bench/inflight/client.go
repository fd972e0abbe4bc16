package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"github.com/urlkit/urlkit/bench/internal/child"
	"github.com/urlkit/urlkit/bench/internal/memory"
	"github.com/urlkit/urlkit/bench/internal/origin"
	"github.com/urlkit/urlkit/storage/cache"
	"github.com/urlkit/urlkit/urlsession"
)

// order is what the client receives first.
type order struct {
	Address  origin.Address
	Requests int
}

// patience is longer than a server needs to hold all requests.
const patience = 5 * time.Minute

// load is the client: it answers an order when all loads have been started, any
// value after it with a result, and sends the number of connections that carried
// the requests when all have been answered.
func load(parent *child.Pipe) error {
	var o order
	if err := parent.Receive(&o); err != nil {
		return err
	}
	roots, err := o.Address.Roots()
	if err != nil {
		return err
	}
	configuration := urlsession.EphemeralConfiguration()
	configuration.RootCAs = roots
	configuration.RequestTimeout = patience
	configuration.Cache = cache.None // which would ask the origin once for all
	session, err := urlsession.New(configuration, nil)
	if err != nil {
		return err
	}
	ctx := context.Background()
	if _, err := get(ctx, session, o.Address.HTTPS+"ready"); err != nil {
		return errors.Join(err, session.Close())
	}
	err = hold(ctx, parent, session, o)

	return errors.Join(err, session.Close())
}

func hold(ctx context.Context, parent *child.Pipe, session *urlsession.Session, o order) error {
	r := result{Requests: o.Requests}
	runtime.GC()
	debug.FreeOSMemory()
	var err error
	if r.Before, err = memory.Resident(); err != nil {
		return err
	}
	f := &flight{connections: make(map[string]int)}
	f.start(ctx, session, o)
	if err := parent.Send(true); err != nil {
		return err
	}
	var now bool
	if err := parent.Receive(&now); err != nil {
		return err
	}
	if r.After, err = memory.Resident(); err != nil {
		return err
	}
	runtime.GC()
	debug.FreeOSMemory()
	if r.Collected, err = memory.Resident(); err != nil {
		return err
	}
	if err := parent.Send(r); err != nil {
		return err
	}
	f.group.Wait()
	if err := errors.Join(f.errs...); err != nil {
		return err
	}
	if err := parent.Send(len(f.connections)); err != nil {
		return err
	}

	return parent.UntilEnd()
}

// flight is the requests in flight.
type flight struct {
	group sync.WaitGroup

	mu          sync.Mutex
	errs        []error
	connections map[string]int // requests by the connection on which the server saw them
}

func (f *flight) start(ctx context.Context, session *urlsession.Session, o order) {
	for range o.Requests {
		f.group.Go(func() {
			connection, err := get(ctx, session, o.Address.HTTPS)
			f.mu.Lock()
			defer f.mu.Unlock()
			f.connections[connection]++
			if err != nil && len(f.errs) < 5 { // the first ones explain the rest
				f.errs = append(f.errs, err)
			}
		})
	}
}

// get loads a URL, and says on which connection the server saw it.
func get(ctx context.Context, session *urlsession.Session, url string) (string, error) {
	req, err := urlsession.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	_, resp, err := session.Data(ctx, req)
	if err != nil {
		return "", err
	}
	if !resp.OK() {
		return "", fmt.Errorf("status %d", resp.StatusCode)
	}

	return resp.Header.Get(origin.ConnectionHeader), nil
}
