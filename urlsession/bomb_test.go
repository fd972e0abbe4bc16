package urlsession_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/urlsession"
)

// nested is a few kilobytes in four layers of gzip. The innermost decodes to next
// to nothing, from a great many empty members: nothing comes out at the top while
// the layers beneath work.
var nested = sync.OnceValue(func() []byte { return packed(packed(emptyMembers())) })

// emptyMembers is two layers: 24 MB of members that decode to nothing, in members
// of their own that decode to those.
func emptyMembers() []byte {
	return bytes.Repeat(packed(bytes.Repeat(packed(nil), 1<<10)), 1<<10)
}

func packed(data []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, err := w.Write(data)
	if err := errors.Join(err, w.Close()); err != nil {
		panic(err)
	}

	return out.Bytes()
}

const stackedFour = "?coding=gzip,gzip,gzip,gzip"

// A layer in the middle is held to the bound too.
func TestStackedBomb(t *testing.T) {
	leak.Check(t)
	s := session(t, nil)
	bomb := nested()
	if len(bomb) > 16<<10 {
		t.Fatalf("the bomb has %d bytes", len(bomb))
	}
	for _, wire := range []string{"http/1.1", "h2"} {
		_, _, err := s.Data(t.Context(), get(t, serve(t, wire, coded(bomb))+stackedFour))
		wantCode(t, err, urlsession.CannotDecodeRawData)
	}
}

// endless is as small, and its innermost layer takes minutes to decode to nothing.
var endless = sync.OnceValue(func() []byte { return packed(bytes.Repeat(packed(emptyMembers()), 1<<10)) })

// Without a bound it is the app that ends such a load: a decoder that is at work
// stops, though it needs no more of the body.
func TestStackedBombEnds(t *testing.T) {
	leak.Check(t)
	base := serve(t, "http/1.1", coded(endless()))
	unbounded := func(c *urlsession.Configuration) { c.MaximumExpansion, c.ResourceTimeout = -1, 50*time.Millisecond }
	began := time.Now()
	_, _, err := session(t, unbounded).Data(t.Context(), get(t, base+stackedFour))
	wantCode(t, err, urlsession.TimedOut)
	s := session(t, func(c *urlsession.Configuration) { c.MaximumExpansion = -1 })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, _, err = s.Data(ctx, get(t, base+stackedFour))
	wantCode(t, err, urlsession.TimedOut, context.DeadlineExceeded)
	gone, leave := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, leave)
	_, _, err = s.Data(gone, get(t, base+stackedFour))
	wantCode(t, err, urlsession.Cancelled, context.Canceled)
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("three loads of 50 ms took %v", took)
	}
}

// Layers that decode to something ordinary are no bomb.
func TestStackedFour(t *testing.T) {
	leak.Check(t)
	data := []byte("four times")
	for range 4 {
		data = packed(data)
	}
	if got, _ := load(t, session(t, nil), get(t, serve(t, "h2", coded(data))+stackedFour)); got != "four times" {
		t.Errorf("decoded %q", got)
	}
}
