package protocols_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/urlkit/urlkit/protocols"
)

func TestSetContentType(t *testing.T) {
	tests := []struct{ value, mimeType, charset string }{
		{"text/html", "text/html", ""},
		{"Text/HTML; Charset=\"UTF-8\"", "text/html", "utf-8"},
		{"text/html; charset", "text/html", ""},
		{"text/plain; charset=a; charset=b", "text/plain", ""},
		{" Nonsense here ; x", "nonsense here", ""},
		{"", "", ""},
	}
	for _, test := range tests {
		r := protocols.Response{MIMEType: "old", TextEncodingName: "old"}
		if r.SetContentType(test.value); r.MIMEType != test.mimeType || r.TextEncodingName != test.charset {
			t.Errorf("%q gives %q, %q", test.value, r.MIMEType, r.TextEncodingName)
		}
	}
}

func TestKnownLength(t *testing.T) {
	body := io.NopCloser(strings.NewReader("x"))
	tests := []struct {
		length int64
		body   io.ReadCloser
		want   int64
	}{
		{0, protocols.NoBody, 0},
		{0, nil, 0},
		{0, body, -1},
		{-1, body, -1},
		{-7, protocols.NoBody, -1},
		{5, body, 5},
		{5, protocols.NoBody, 5},
	}
	for _, test := range tests {
		r := protocols.Response{ContentLength: test.length, Body: test.body}
		if got := r.KnownLength(); got != test.want {
			t.Errorf("%d with %v: %d, want %d", test.length, test.body, got, test.want)
		}
	}
}

func TestOK(t *testing.T) {
	for status, want := range map[int]bool{0: true, 199: false, 200: true, 299: true, 300: false, 404: false} {
		r := protocols.Response{StatusCode: status}
		if r.OK() != want {
			t.Errorf("%d: not %v", status, want)
		}
	}
}

type plain struct{}

func (plain) Load(context.Context, *protocols.Request) (*protocols.Response, error) {
	return nil, errors.ErrUnsupported
}

type claiming struct{ plain }

func (claiming) Claims(*protocols.Request) bool { return true }

type wrapping struct {
	plain
	inner protocols.URLProtocol
}

func (w wrapping) Unwrap() protocols.URLProtocol { return w.inner }

func TestAs(t *testing.T) {
	inner := claiming{}
	for name, p := range map[string]protocols.URLProtocol{
		"itself": inner, "wrapped": wrapping{inner: inner}, "wrapped twice": wrapping{inner: wrapping{inner: inner}},
	} {
		if c, ok := protocols.As[protocols.Claimer](p); !ok || c != protocols.Claimer(inner) {
			t.Errorf("%s: found %v, %v", name, c, ok)
		}
	}
	for name, p := range map[string]protocols.URLProtocol{"nothing": nil, "plain": plain{}, "wrapped": wrapping{inner: plain{}}, "around nothing": wrapping{}} {
		if c, ok := protocols.As[protocols.Claimer](p); ok || c != nil {
			t.Errorf("%s: found %v", name, c)
		}
	}
}

// known is a connection with facts, as Client.Dial makes it.
type known struct {
	net.Conn
	info *protocols.ConnInfo
}

func (k known) ConnInfo() *protocols.ConnInfo { return k.info }

type wrapped struct{ net.Conn }

func (w wrapped) Unwrap() net.Conn { return w.Conn }

func TestInfoOf(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	facts := &protocols.ConnInfo{Local: a.LocalAddr(), Proxied: true}
	for name, c := range map[string]net.Conn{
		"itself": known{a, facts}, "wrapped": wrapped{wrapped{known{a, facts}}}, "in TLS": tls.Client(wrapped{known{a, facts}}, &tls.Config{}),
	} {
		info := protocols.InfoOf(c)
		if info == nil || !info.Proxied || info.TLS != nil || info == facts {
			t.Errorf("%s: %+v", name, info)
		}
	}
	for name, c := range map[string]net.Conn{"unknown": a, "unknown, wrapped": wrapped{a}, "without facts": known{a, nil}} {
		info := protocols.InfoOf(c)
		if info == nil || info.Local != a.LocalAddr() || info.Remote != a.RemoteAddr() || info.Proxied {
			t.Errorf("%s: %+v", name, info)
		}
	}
	if protocols.InfoOf(nil) != nil {
		t.Error("no connection has facts")
	}
}

func TestTrace(t *testing.T) {
	var none *protocols.Trace
	none.Mark(protocols.FetchStart)
	none.Complete()
	if !none.Time(protocols.FetchStart).IsZero() {
		t.Error("no trace has a time")
	}
	synctest.Test(t, func(t *testing.T) {
		var trace protocols.Trace
		start := time.Now()
		trace.Mark(protocols.FetchStart)
		<-time.After(time.Second)
		trace.Mark(protocols.FetchStart)
		trace.Mark(protocols.ResponseEnd)
		trace.Mark(200)
		trace.Complete()
		trace.Mark(protocols.RequestStart)
		if at := trace.Time(protocols.FetchStart); !at.Equal(start) {
			t.Errorf("the second mark counts: %v", at)
		}
		if at := trace.Time(protocols.ResponseEnd); at.Sub(start) != time.Second {
			t.Errorf("marked at %v", at)
		}
		if !trace.Time(protocols.RequestStart).IsZero() || !trace.Time(200).IsZero() {
			t.Error("a complete trace listens, or an event that is none has a time")
		}
	})
}
