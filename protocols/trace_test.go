package protocols_test

import (
	"net/http"
	"testing"

	"github.com/urlkit/urlkit/protocols"
)

// A nil trace takes everything and holds nothing; one that is complete is deaf.
func TestTraceIsDeafOnceComplete(t *testing.T) {
	tell := func(t *protocols.Trace, bytes int64, header http.Header, reused bool) {
		t.Mark(protocols.RequestStart)
		t.Tell(protocols.RequestBodyBytesSent, bytes)
		t.SetHeader(header)
		t.SetConnection(&protocols.ConnInfo{Proxied: reused}, reused)
	}
	var none *protocols.Trace
	tell(none, 1, http.Header{}, true)
	none.Complete()
	if c, reused := none.Connection(); c != nil || reused || none.Header() != nil || none.Bytes(protocols.RequestBodyBytesSent) != -1 || !none.Time(protocols.RequestStart).IsZero() {
		t.Error("a nil trace holds something")
	}
	trace := new(protocols.Trace)
	if c, _ := trace.Connection(); c != nil || trace.Bytes(protocols.ResponseBodyBytes) != -1 {
		t.Error("an empty trace holds something")
	}
	tell(trace, 1, http.Header{"A": {"1"}}, false)
	tell(trace, 2, http.Header{"A": {"2"}}, true)
	first := trace.Time(protocols.RequestStart)
	trace.Complete()
	tell(trace, 3, http.Header{"A": {"3"}}, false)
	c, reused := trace.Connection()
	if !reused || !c.Proxied || trace.Header().Get("A") != "2" || trace.Bytes(protocols.RequestBodyBytesSent) != 2 || trace.Time(protocols.RequestStart) != first {
		t.Errorf("%v, %v, %v, %d", c, reused, trace.Header(), trace.Bytes(protocols.RequestBodyBytesSent))
	}
}
