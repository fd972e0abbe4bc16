package http

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/net/http2"
)

// settle takes the peer's settings.
func (c *codec2) settle(f *http2.SettingsFrame) error {
	if f.IsAck() {
		return c.in.idle.add()
	}
	if c.in.settled {
		if err := c.in.idle.add(); err != nil {
			return err
		}
	}
	if f.NumSettings() > maxSettings {
		return violation{http2.ErrCodeEnhanceYourCalm, "too many settings"}
	}
	c.mu.Lock()
	limit, told := c.limit, false
	if !c.in.settled {
		c.peer.reprioritizes = false
	}
	err := f.ForeachSetting(func(s http2.Setting) error {
		told = told || s.ID == http2.SettingMaxConcurrentStreams

		return c.apply(s)
	})
	if !c.in.settled && !told {
		c.limit = untoldLimit
	}
	c.in.settled = true
	if err == nil {
		err = c.reply(c.out.frames.WriteSettingsAck)
	}
	c.room.Broadcast()
	different := c.limit != limit
	c.send()
	if different && err == nil {
		c.changed()
	}

	return err
}

// maxSettings bounds those in a frame: each may concern all streams.
const maxSettings = 100

// untoldLimit is the limit of a peer that names none (RFC 9113 §6.5.2).
const untoldLimit = 1000

// apply takes one setting. The lock is held.
func (c *codec2) apply(s http2.Setting) error {
	if err := s.Valid(); err != nil {
		var code http2.ConnectionError
		if errors.As(err, &code) {
			return violation{http2.ErrCode(code), "an invalid setting"}
		}

		return violation{http2.ErrCodeProtocol, "an invalid setting"}
	}
	switch s.ID {
	case http2.SettingEnablePush:
		if s.Val != 0 {
			return violation{http2.ErrCodeProtocol, "a server that asks for pushes"}
		}
	case http2.SettingMaxConcurrentStreams:
		c.limit = int(min(s.Val, maxWindow))
	case http2.SettingMaxFrameSize:
		c.peer.frame = int(min(s.Val, maxFrame))
	case http2.SettingMaxHeaderListSize:
		c.peer.headerList = uint64(s.Val)
	case http2.SettingHeaderTableSize:
		c.out.heads.SetMaxDynamicTableSizeLimit(s.Val)
	case http2.SettingNoRFC7540Priorities:
		if s.Val > 1 {
			return violation{http2.ErrCodeProtocol, "an invalid setting"}
		}
		c.peer.reprioritizes = s.Val == 1
	case http2.SettingEnableConnectProtocol:
		c.peer.connect = s.Val == 1
	case http2.SettingInitialWindowSize:
		delta := int64(s.Val) - c.peer.window
		c.peer.window = int64(s.Val)
		for _, stream := range c.streams {
			if stream.window += delta; stream.window > maxWindow {
				return violation{http2.ErrCodeFlowControl, "a window that is too large"}
			}
		}
	default: // not known: no meaning
	}

	return nil
}

// reply queues an answer that the peer can have as many of as it likes, within
// bounds. The lock is held.
func (c *codec2) reply(write func() error) error {
	if c.out.replies++; c.out.replies > maxReplies {
		return violation{http2.ErrCodeEnhanceYourCalm, "questions without end, and no answer read"}
	}

	return write()
}

// ping answers a ping, or takes the answer to one.
func (c *codec2) ping(f *http2.PingFrame) error {
	if f.IsAck() {
		c.mu.Lock()
		c.out.seen = max(c.out.seen, c.watch.mark)
		c.mu.Unlock()

		return c.in.idle.add()
	}
	if err := c.in.idle.add(); err != nil {
		return err
	}
	data := f.Data
	c.mu.Lock()
	err := c.reply(func() error { return c.out.frames.WritePing(true, data) })
	c.send()

	return err
}

// grow opens a window for what is sent.
func (c *codec2) grow(f *http2.WindowUpdateFrame) error {
	n := int64(f.Increment)
	if f.StreamID == 0 {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.window += n; c.window > maxWindow {
			return violation{http2.ErrCodeFlowControl, "a window that is too large"}
		}
		c.room.Broadcast()

		return nil
	}
	s, err := c.find(f.StreamID, 0)
	if s == nil {
		return err
	}
	c.mu.Lock()
	s.window += n
	over := s.window > maxWindow
	c.room.Broadcast()
	c.mu.Unlock()
	if over {
		s.refuse(violation{http2.ErrCodeFlowControl, "a window that is too large"})
	}

	return nil
}

// resetError is the error of a stream that the peer reset.
type resetError struct{ code http2.ErrCode }

func (e resetError) Error() string {
	return fmt.Sprintf("http: the server reset the stream (%v)", e.code)
}

// endStream ends a stream that the peer does not go on with.
func (c *codec2) endStream(f *http2.RSTStreamFrame) error {
	s, err := c.find(f.StreamID, 0)
	if s == nil {
		return err
	}
	s.fail(resetError{f.ErrCode}, false)
	c.mu.Lock()
	c.drop(s)
	c.mu.Unlock()

	return nil
}

// goneError is the error of a request that the peer says it did not act on (RFC 9113
// §6.8).
type goneError struct{ code http2.ErrCode }

func (e goneError) Error() string { return fmt.Sprintf("http: the server goes away (%v)", e.code) }

// goAway ends the streams that the peer will not serve; the others go on.
func (c *codec2) goAway(f *http2.GoAwayFrame) error {
	c.mu.Lock()
	c.shut.Store(true)
	var refused []*stream
	for id, s := range c.streams {
		if id > f.LastStreamID {
			refused = append(refused, s)
		}
	}
	for _, s := range refused {
		c.drop(s)
	}
	c.mu.Unlock()
	c.changed() // before those who will ask again
	for _, s := range refused {
		s.fail(goneError{f.ErrCode}, false)
	}

	return nil
}

// watch sees to it that a peer that has fallen silent is asked whether it lives.
// Guarded by the codec's lock.
type watch struct {
	timer *time.Timer
	armed bool
	asked time.Duration // since the connection's birth; 0: it was not
	mark  int64         // of the output: the end of the question
}

const (
	// pingAfter is how long a connection with requests may be silent before it is asked
	// whether it still lives.
	pingAfter = 30 * time.Second
	// pingPatience is how long it may take to say anything.
	pingPatience = 15 * time.Second
)

var errSilent = fmt.Errorf("http: the server has not answered a ping for %v", pingPatience)

// keepWatch begins to watch a connection that has a request. One that has been silent
// for long is asked at once. The lock is held.
func (c *codec2) keepWatch() {
	if c.watch.armed {
		return
	}
	now := time.Since(c.born)
	next := pingAfter
	c.watch.asked = 0
	if now-time.Duration(c.heard.Load()) >= pingAfter {
		c.ask(now)
		next = pingPatience
	}
	c.watch.armed = true
	if c.watch.timer == nil {
		c.watch.timer = time.AfterFunc(next, c.look)
	} else {
		c.watch.timer.Reset(next)
	}
}

func (w *watch) stop() {
	if w.timer != nil {
		w.timer.Stop()
	}
}

// ask queues a ping. The lock is held.
func (c *codec2) ask(now time.Duration) {
	c.watch.asked = now
	_ = c.out.frames.WritePing(false, [8]byte{})
	c.watch.mark = c.out.total()
}

// look asks a silent peer, and gives up one that did not answer. Anything that it
// says is an answer.
func (c *codec2) look() {
	c.mu.Lock()
	if c.err != nil || len(c.streams) == 0 {
		c.watch.armed = false
		c.mu.Unlock()

		return
	}
	now, heard := time.Since(c.born), time.Duration(c.heard.Load())
	if heard >= c.watch.asked {
		c.watch.asked = 0
	}
	next := pingAfter - (now - heard)
	switch {
	case c.watch.asked > 0 && now-c.watch.asked >= pingPatience:
		c.mu.Unlock()
		c.fail(errSilent)

		return
	case c.watch.asked > 0:
		next = pingPatience - (now - c.watch.asked)
	case next <= 0:
		c.ask(now)
		next = pingPatience
	}
	c.watch.timer.Reset(next)
	c.send()
}
