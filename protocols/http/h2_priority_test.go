package http

import (
	"io"
	"net"
	nethttp "net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"golang.org/x/net/http2"

	"github.com/urlkit/urlkit/protocols"
)

// prioritized begins a request whose priority may change, as a connection does.
func (p *talk) prioritized(req *protocols.Request) chan outcome2 {
	done := make(chan outcome2, 1)
	r := newAsk(p.t.Context(), "GET", nil, nil)
	r.Header, _ = fields(req, nil)
	go func() {
		resp, err := p.codec.load(r, urgencyIn(r.Header, req))
		if err == nil {
			_, err = io.ReadAll(resp.Body)
			_ = resp.Body.Close()
		}
		done <- outcome2{resp: resp, err: err}
	}()

	return done
}

// updates gives what PRIORITY_UPDATE frames tell of a stream before a ping is answered.
func (p *talk) updates(stream uint32) (told []string) {
	p.t.Helper()
	p.do(p.WritePing(false, [8]byte{1}))
	for {
		frame, err := p.ReadFrame()
		if err != nil {
			p.t.Fatal(err)
		}
		switch f := frame.(type) {
		case *http2.PriorityUpdateFrame:
			if f.PrioritizedStreamID != stream {
				p.t.Errorf("stream %d instead of %d is told of", f.PrioritizedStreamID, stream)
			}
			told = append(told, f.Priority)
		case *http2.PingFrame:
			return told
		}
	}
}

var extensible = http2.Setting{ID: http2.SettingNoRFC7540Priorities, Val: 1}

// A change of the priority is told as long as there is more to come, where the urgency
// is another one.
func TestPriorityUpdate(t *testing.T) {
	p := newTalk(t, Config{}, extensible)
	var changes protocols.Reprioritization
	req := &protocols.Request{Priority: 0.75, Reprioritization: &changes}
	done := p.prioritized(req)
	stream, head := p.asked()
	if !slices.Contains(head, "priority=u=2") {
		t.Errorf("the head is %q", head)
	}
	for _, step := range []struct {
		priority float64
		want     []string
	}{{0.75, nil}, {1, []string{"u=0"}}, {0.99, nil}, {0.5, []string{"u=3"}}, {0.001, []string{"u=7"}}} {
		changes.SetPriority(step.priority)
		if got := p.updates(stream); !slices.Equal(got, step.want) {
			t.Errorf("priority %v is told as %q, want %q", step.priority, got, step.want)
		}
	}
	p.answer(stream, false, ":status", "200")
	changes.SetPriority(0.25)
	if got := p.updates(stream); !slices.Equal(got, []string{"u=5"}) {
		t.Errorf("after the head %q", got)
	}
	p.do(p.WriteData(stream, true, []byte("x")))
	if got := <-done; got.err != nil {
		t.Error(got.err)
	}
	changes.SetPriority(1)
	if got := p.updates(stream); got != nil || changes.Observed() {
		t.Errorf("after the end %q, observed %v", got, changes.Observed())
	}

	// The next request begins with what is so now.
	done = p.prioritized(req)
	stream, head = p.asked()
	if !slices.Contains(head, "priority=u=0") {
		t.Errorf("the head is %q", head)
	}
	p.do(p.WriteRSTStream(stream, http2.ErrCodeInternal))
	if got := <-done; got.err == nil {
		t.Error("a stream that was reset succeeds")
	}
	changes.SetPriority(0.5)
	if got := p.updates(stream); got != nil || changes.Observed() {
		t.Errorf("after a reset %q, observed %v", got, changes.Observed())
	}
}

// A peer that goes by other signals is not told, nor is one whose priority the app
// tells by itself. What a request begins with holds for a change that came too early.
func TestNoPriorityUpdate(t *testing.T) {
	for name, test := range map[string]struct {
		settings []http2.Setting
		header   nethttp.Header
	}{
		"a peer that says nothing":     {},
		"a peer that goes by RFC 7540": {settings: []http2.Setting{{ID: http2.SettingNoRFC7540Priorities, Val: 0}}},
		"the app's own field":          {settings: []http2.Setting{extensible}, header: nethttp.Header{"Priority": {"u=1, i"}}},
	} {
		p := newTalk(t, Config{}, test.settings...)
		var changes protocols.Reprioritization
		done := p.prioritized(&protocols.Request{Header: test.header, Reprioritization: &changes})
		stream, _ := p.asked()
		changes.SetPriority(1)
		if got := p.updates(stream); got != nil {
			t.Errorf("%s: told %q", name, got)
		}
		p.answer(stream, true, ":status", "204")
		<-done
		if changes.Observed() {
			t.Errorf("%s: observed after the end", name)
		}
	}
}

// A change between the making of the head and its sending is not lost, and one of a
// request that cannot be sent concerns nobody.
func TestEarlyPriorityUpdate(t *testing.T) {
	p := newTalk(t, Config{}, extensible)
	var changes protocols.Reprioritization
	req := &protocols.Request{Reprioritization: &changes}
	r := newAsk(t.Context(), "GET", nil, nil)
	u := urgencyIn(r.Header, req)
	changes.SetPriority(1)
	done := make(chan error, 1)
	go func() {
		resp, err := p.codec.load(r, u)
		if err == nil {
			_ = resp.Body.Close()
		}
		done <- err
	}()
	stream, _ := p.asked()
	if got := p.updates(stream); !slices.Equal(got, []string{"u=0"}) {
		t.Errorf("told %q", got)
	}
	p.answer(stream, true, ":status", "204")
	if err := <-done; err != nil {
		t.Error(err)
	}
	r = newAsk(t.Context(), "CONNECT", nil, nethttp.Header{protocolField: {"websocket"}})
	if _, err := p.codec.load(r, urgencyIn(r.Header, req)); err == nil || changes.Observed() {
		t.Errorf("%v, observed %v", err, changes.Observed())
	}
}

// The setting is 0 or 1.
func TestPrioritiesSetting(t *testing.T) {
	p := newTalk(t, Config{})
	p.do(p.WriteSettings(http2.Setting{ID: http2.SettingNoRFC7540Priorities, Val: 2}))
	if code, connection := p.ended(); code != http2.ErrCodeProtocol || !connection {
		t.Errorf("ended with %v, connection %v", code, connection)
	}
}

// Changes without end to a peer that does not read take no memory without end.
func TestPriorityUpdatesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		p := begun(t, ours, theirs, Config{}, extensible)
		var changes protocols.Reprioritization
		done := p.prioritized(&protocols.Request{Reprioritization: &changes})
		stream, _ := p.asked()
		synctest.Wait()
		for i := range maxQueued / 10 {
			changes.SetPriority([]float64{0.1, 1}[i%2])
		}
		p.codec.mu.Lock()
		queued := len(p.codec.out.queue)
		p.codec.mu.Unlock()
		if queued > maxQueued+100 || queued < maxQueued/2 {
			t.Errorf("%d bytes are queued", queued)
		}
		p.answer(stream, true, ":status", "204")
		if got := <-done; got.resp == nil || got.resp.StatusCode != 204 {
			t.Errorf("%+v", got)
		}
	})
}

// Priorities may change from all sides while loads begin and end.
func TestPrioritiesFromAllSides(t *testing.T) {
	for _, kind := range kinds {
		l, _, server := start(t, kind, Config{MaximumConnectionsPerHost: 2}, serveKilobyte)
		var loads sync.WaitGroup
		for range 8 {
			loads.Go(func() {
				for range 10 {
					var changes protocols.Reprioritization
					var sets sync.WaitGroup
					for i := range 2 {
						sets.Go(func() {
							for n := range 20 {
								changes.SetPriority(float64(n+10*i+1) / 32)
							}
						})
					}
					req := newRequest(t, "GET", server.URL, nil)
					req.Reprioritization = &changes
					if _, body, err := fetch(t.Context(), l, req); err != nil || body != kilobyte {
						t.Errorf("%s: %d bytes, %v", kind, len(body), err)
					}
					sets.Wait()
					if changes.Observed() {
						t.Errorf("%s: observed after the end", kind)
					}
				}
			})
		}
		loads.Wait()
		l.pool.mu.Lock()
		for _, h := range l.pool.hosts {
			if h.waiting.first != nil || h.waiting.last != nil || h.waiting.len() != 0 {
				t.Errorf("%s: somebody waits for ever", kind)
			}
		}
		l.pool.mu.Unlock()
	}
}
