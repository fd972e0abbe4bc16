package urlsession_test

import (
	"bytes"
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/urlsession"
)

// priorities is a server of HTTP/2 that tells what it is told of priorities: by the heads
// of requests, and by frames. The frames u=1 and u=6 bring about a redirect and the end.
type priorities chan string

func (told priorities) serve(_ *http.Server, conn *tls.Conn, _ http.Handler) {
	defer conn.Close()
	if _, err := io.ReadFull(conn, make([]byte, len(http2.ClientPreface))); err != nil {
		return
	}
	frames := http2.NewFramer(conn, conn)
	frames.ReadMetaHeaders = hpack.NewDecoder(4<<10, nil)
	_ = frames.WriteSettings(http2.Setting{ID: http2.SettingNoRFC7540Priorities, Val: 1})
	var block bytes.Buffer
	answer := func(stream uint32, end bool, fields ...hpack.HeaderField) {
		block.Reset()
		encoder := hpack.NewEncoder(&block)
		for _, f := range fields {
			_ = encoder.WriteField(f)
		}
		_ = frames.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: end})
	}
	for {
		frame, err := frames.ReadFrame()
		if err != nil {
			return
		}
		switch f := frame.(type) {
		case *http2.MetaHeadersFrame:
			path, field := f.PseudoValue("path"), ""
			for _, h := range f.RegularFields() {
				if h.Name == "priority" {
					field = h.Value
				}
			}
			if path != "/redirect" {
				answer(f.StreamID, path == "/empty", hpack.HeaderField{Name: ":status", Value: "200"})
			}
			told <- path + " " + field
		case *http2.PriorityUpdateFrame:
			switch f.Priority {
			case "u=1":
				answer(f.PrioritizedStreamID, true, hpack.HeaderField{Name: ":status", Value: "302"}, hpack.HeaderField{Name: "location", Value: "/"})
			case "u=6":
				_ = frames.WriteData(f.PrioritizedStreamID, true, []byte("x"))
			}
			told <- f.Priority
		}
	}
}

// What is set while a task runs reaches the server, is what the request after a
// redirect begins with, and concerns nobody after the end.
func TestSetPriorityOfARunningTask(t *testing.T) {
	leak.Check(t)
	told := make(priorities, 10)
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate()}, NextProtos: []string{"h2"}}
	server.Config.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){"h2": told.serve}
	server.StartTLS()
	t.Cleanup(server.Close)
	s := session(t, nil)
	next := func(want string) {
		t.Helper()
		if got := <-told; got != want {
			t.Errorf("told %q, want %q", got, want)
		}
	}
	task := s.DataTask(get(t, server.URL+"/redirect"))
	task.Resume()
	next("/redirect ")
	task.SetPriority(urlsession.PriorityDefault)
	task.SetPriority(1)
	next("u=0")
	task.SetPriority(0.8)
	next("u=1")
	next("/ u=1")
	task.SetPriority(0)
	next("u=7")
	task.SetPriority(0.125)
	next("u=6")
	if err := wait(t, task); err != nil || task.CountOfBytesReceived() != 1 {
		t.Errorf("%v, %d bytes", err, task.CountOfBytesReceived())
	}
	task.SetPriority(1)
	if _, _, err := s.Data(t.Context(), get(t, server.URL+"/empty")); err != nil {
		t.Error(err)
	}
	next("/empty ")
}
