package http

import (
	"errors"
	"net"
	"testing"
)

// TLS is given in pieces what the system gave at once, and an error that came with
// it comes after it.
func TestSocketReadsAhead(t *testing.T) {
	failure := errors.New("the end")
	s := &socket{Conn: &oneRead{data: []byte("abcdef"), err: failure}, secure: true}
	for _, want := range []string{"abcd", "ef"} {
		p := make([]byte, 4)
		n, err := s.Read(p)
		if string(p[:n]) != want || (want == "ef") != errors.Is(err, failure) {
			t.Errorf("%q, %v, want %q", p[:n], err, want)
		}
		if ended, known := s.Ended(); want == "abcd" && !(ended && known) {
			t.Error("bytes that nobody asked for count as nothing")
		}
	}
	if s.received.Load() != 6 || s.buffer != nil {
		t.Errorf("%d bytes, buffer %v", s.received.Load(), s.buffer)
	}
}

// oneRead gives all of it, and its error, in the first Read.
type oneRead struct {
	net.Conn

	data []byte
	err  error
}

func (o *oneRead) Read(p []byte) (int, error) { return copy(p, o.data), o.err }
