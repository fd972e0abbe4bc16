package origin

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/urlkit/urlkit/bench/internal/child"
)

// patience is how long Held waits for its requests.
const patience = 2 * time.Minute

// ConnectionHeader is the response field in which Held says on which of its
// connections, counted from 1, a request came.
const ConnectionHeader = "X-Connection"

// Held receives the number of requests that it shall hold. It answers /ready at
// once, and any other path not before so many requests are there and its parent
// has sent a value. It sends an Address, then how many arrived: fewer when they
// did not come within two minutes.
func Held(parent *child.Pipe) error {
	var number int
	if err := parent.Receive(&number); err != nil {
		return err
	}
	h := &held{number: number, complete: make(chan struct{}), release: make(chan struct{})}
	address, stop, err := serve(h, func(server *http.Server) {
		server.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: max(number, 1)}
		server.ConnContext = h.count
	})
	if err != nil {
		return err
	}
	defer stop()
	if err := parent.Send(address); err != nil {
		return err
	}
	select {
	case <-h.complete:
	case <-time.After(patience):
	}
	if err := parent.Send(h.arrived()); err != nil {
		return err
	}
	var now bool
	if err := parent.Receive(&now); err != nil {
		if errors.Is(err, io.EOF) {
			return nil
		}

		return err
	}
	close(h.release)

	return parent.UntilEnd()
}

type held struct {
	number            int
	complete, release chan struct{}

	mu          sync.Mutex
	here        int
	connections int
}

type connectionKey struct{}

func (h *held) count(ctx context.Context, _ net.Conn) context.Context {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.connections++

	return context.WithValue(ctx, connectionKey{}, strconv.Itoa(h.connections))
}

func (h *held) arrived() int {
	h.mu.Lock()
	defer h.mu.Unlock()

	return h.here
}

func (h *held) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	connection, _ := r.Context().Value(connectionKey{}).(string)
	w.Header().Set(ConnectionHeader, connection)
	if r.URL.Path != "/ready" {
		h.mu.Lock()
		if h.here++; h.here == h.number {
			close(h.complete)
		}
		h.mu.Unlock()
		select {
		case <-h.release:
		case <-r.Context().Done():
			return
		}
	}
	_, _ = io.WriteString(w, "held\n")
}
