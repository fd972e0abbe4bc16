package fault

import (
	"errors"
	"io"
	"net"
	"sync"
)

// Serve answers each connection that l accepts with reply once a first byte has
// come in, whatever that was, ends its sending direction and reads until the
// peer closes. f hurts the connections as Listener does: Writing is what is
// sent. Serve returns nil when l is closed, with every connection closed and
// every goroutine of it ended.
func Serve(l net.Listener, reply []byte, f Fault) error {
	var (
		mu    sync.Mutex
		conns = make(map[net.Conn]bool)
		wg    sync.WaitGroup
	)
	defer wg.Wait()
	defer func() {
		mu.Lock()
		defer mu.Unlock()
		for c := range conns {
			_ = c.Close()
		}
	}()
	faulty := Listener(l, f)
	for {
		c, err := faulty.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		mu.Lock()
		conns[c] = true
		mu.Unlock()
		wg.Go(func() {
			answer(c, reply)
			mu.Lock()
			delete(conns, c)
			mu.Unlock()
			_ = c.Close()
		})
	}
}

func answer(c net.Conn, reply []byte) {
	if _, err := c.Read(make([]byte, 4096)); err != nil {
		return
	}
	if _, err := c.Write(reply); err == nil {
		if half, ok := c.(interface{ CloseWrite() error }); ok && half.CloseWrite() != nil {
			return
		}
	}
	// A close with input unread would be a reset, and could overtake the reply.
	if wrapped, ok := c.(interface{ Unwrap() net.Conn }); ok {
		_, _ = io.Copy(io.Discard, wrapped.Unwrap())
	}
}
