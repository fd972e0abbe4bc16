package engine

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/urlkit/urlkit/protocols"
)

// continued is the body of a GET that goes on where it broke off, with Range and
// If-Range (RFC 9110 §13.1.5, §14.2), and never with bytes of another version. It
// stands beneath decoding: ranges are those of the bytes on the wire.
type continued struct {
	of      *load
	given   *protocols.Request // of the first hop
	codings []string

	tag, modified string // the version's validators (RFC 9110 §8.8)
	ifRange       string // and what If-Range can name of it

	partial bool  // the first response is a part
	length  int64 // the length of the first response; -1 unknown
	start   int64 // where the first response begins in the representation
	end     int64 // where it ends; -1 unknown
	total   int64 // of the representation; -1 unknown

	count  int64 // bytes given; the reader's own, as are those that follow
	broken error // what the piece ended with that was just given
	left   int64 // bytes of a continuation that are still to come; -1: the first response
	made   int   // continuations that were tried
	futile int   // those of them since a byte came

	mu      sync.Mutex // guards what follows, written by the reader
	closed  bool
	raw     io.ReadCloser
	hop     *hop // that raw belongs to
	resp    *protocols.Response
	before  int64 // bytes that came before raw
	decoded int64 // bytes that transactions before it were told to have given
}

// continuable puts a continued body into a response that can be continued, where
// the policy does so.
func (l *load) continuable(h *hop, resp *protocols.Response) {
	if l.engine.config.Retry.Continuations == 0 || l.task.OneHop || l.task.Brief || h.request.Method != http.MethodGet ||
		h.cached.isServed() || resp.Body == protocols.NoBody || resp.Upgraded != nil || resp.Messages != nil {
		return
	}
	rules := l.engine.cacheRules
	c := &continued{
		of: l, given: h.given, codings: contentCodings(resp.Header), ifRange: rules.StrongValidator(resp.Header),
		partial: resp.StatusCode == http.StatusPartialContent, length: resp.KnownLength(),
		raw: resp.Body, hop: h, resp: resp, left: -1,
	}
	c.tag, c.modified = rules.Validators(resp.Header)
	c.end, c.total = c.length, c.length
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusPartialContent:
		part, ok := rules.ContentRangeOf(resp.Header)
		if !ok || c.length >= 0 && c.length != part.End-part.Start {
			return // several ranges, or a lie
		}
		c.start, c.end, c.total = part.Start, part.End, part.Length
	default:
		return
	}
	if c.ifRange == "" || strings.EqualFold(resp.Header.Get("Accept-Ranges"), "none") {
		return
	}
	resp.Body, l.continued = c, c
}

func (c *continued) Read(p []byte) (int, error) {
	if c.broken != nil {
		if err := c.goOn(c.broken); err != nil {
			return 0, err
		}
	}
	for {
		n, err := c.raw.Read(p)
		if c.left >= 0 {
			if int64(n) > c.left {
				return 0, protocols.Errorf(protocols.BadServerResponse, "a range is longer than the server said")
			}
			c.left -= int64(n)
		}
		c.count += int64(n)
		if n > 0 {
			c.futile = 0
		}
		if err = c.ended(err); err == nil || err == io.EOF { //nolint:errorlint // a Reader returns io.EOF bare
			return n, err
		}
		if n > 0 {
			c.broken = err

			return n, nil
		}
		if err := c.goOn(err); err != nil {
			return 0, err
		}
	}
}

// ended makes an error of an end that came too early, and an end of an error that
// came too late.
func (c *continued) ended(err error) error {
	switch {
	case err == nil:
		return nil
	case c.end >= 0 && c.count == c.end-c.start && interrupted(err):
		err = io.EOF
	case err != io.EOF: //nolint:errorlint // a Reader returns io.EOF bare
		return err
	}
	if c.end >= 0 && c.count < c.end-c.start {
		return fmt.Errorf("the body ended after %d of %d bytes: %w", c.count, c.end-c.start, io.ErrUnexpectedEOF)
	}
	c.of.body.response.Trailer = c.resp.Trailer

	return err
}

// goOn gets the next piece of a body that broke off, or gives the reason why there
// is none beside what broke it.
func (c *continued) goOn(cause error) error {
	c.broken = nil
	if !interrupted(cause) || c.of.ctx.Err() != nil {
		return cause
	}
	_ = c.raw.Close()
	c.report(ending{received: c.count, decoded: c.of.body.given.Load(), err: cause})
	var after time.Duration
	for {
		if most := c.of.engine.config.Retry.Continuations; most >= 0 && c.made >= most {
			return cause
		}
		pause, ok := c.of.delay(c.futile, after)
		if !ok || c.of.rest(pause, nil) != nil {
			return cause
		}
		c.made++
		c.futile++
		h, resp, err := c.next()
		r := &c.of.engine.config.Retry
		switch {
		case err != nil && interrupted(err):
			after = 0
		case err != nil:
			return uncontinued(cause, err)
		case slices.Contains(r.Statuses, resp.StatusCode):
			after = retryAfter(resp.Header, time.Now())
			h.drain(resp)
			if r.LongestRetryAfter >= 0 && after > r.LongestRetryAfter {
				return cause
			}
		default:
			left, err := c.fits(resp)
			if err != nil {
				return uncontinued(cause, h.reject(resp, "body", err))
			}

			return c.take(h, resp, left)
		}
	}
}

// uncontinued is what broke a body off, with the reason why it does not go on: in
// words only, so that the error's code is that of the first.
func uncontinued(cause, why error) error {
	return fmt.Errorf("%w (not continued: %s)", cause, why.Error())
}

// interrupted tells whether the network broke a load off, rather than one of its
// ends.
func interrupted(err error) bool { return slices.Contains(retryCodes, Classify(err)) }

// next loads the rest.
func (c *continued) next() (*hop, *protocols.Response, error) {
	l := c.of
	req := *c.given
	req.Header = canonicalHeader(c.given.Header).Clone()
	if req.Header == nil {
		req.Header = make(http.Header)
	}
	for _, name := range []string{"Range", "If-Range", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"} {
		req.Header.Del(name)
	}
	if from := c.start + c.count; from > 0 || c.partial {
		to := ""
		if c.end >= 0 {
			to = strconv.FormatInt(c.end-1, 10)
		}
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-%s", from, to))
		req.Header.Set("If-Range", c.ifRange)
		if len(c.codings) > 0 {
			req.Header.Set("Accept-Encoding", strings.Join(c.codings, ", ")) // none goes with a Range by itself
		}
	}
	h := new(hop)
	h.init(l, l.ctx, nil, &req)
	h.reason = RetryContinuation
	if err := h.lookup(); err != nil {
		return h, nil, h.refuse("lookup", err)
	}
	if err := h.gate(); err != nil {
		return h, nil, h.refuse("policy", err)
	}
	h.route()
	h.attachCookies()
	if err := l.authorize(h); err != nil {
		return h, nil, h.refuse("challenge", err)
	}
	resp, err := h.load()
	l.touch()

	return h, resp, err
}

// fits gives the length of the piece, or what is wrong with it: it must begin where
// the body broke off, end where that was to end, and be of the same version. A whole
// body will do where no byte was given of one.
func (c *continued) fits(resp *protocols.Response) (int64, error) {
	rules, length := c.of.engine.cacheRules, resp.KnownLength()
	tag, modified := rules.Validators(resp.Header)
	// A piece need not repeat its date, but its tag (RFC 9110 §15.3.7).
	if tag != c.tag || tag == "" && modified != "" && modified != c.modified || !slices.Equal(contentCodings(resp.Header), c.codings) {
		return 0, errors.New("the server has another version now")
	}
	switch resp.StatusCode {
	case http.StatusOK:
		if c.partial || c.count > 0 || length != c.length || modified != c.modified {
			return 0, errors.New("the server sends the whole body")
		}

		return length, nil
	case http.StatusPartialContent:
		part, ok := rules.ContentRangeOf(resp.Header)
		end := c.end
		if end < 0 {
			end = part.Length
		}
		if !ok || part.Start != c.start+c.count || part.End != end || c.total >= 0 && part.Length != c.total ||
			length >= 0 && length != part.End-part.Start {
			return 0, fmt.Errorf("the server sends another range: %.100q", resp.Header.Get("Content-Range"))
		}
		c.end = end

		return part.End - part.Start, nil
	default:
		return 0, fmt.Errorf("the server answers %d", resp.StatusCode)
	}
}

// take makes a piece the one that is read.
func (c *continued) take(h *hop, resp *protocols.Response, left int64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.raw, c.hop, c.resp, c.before, c.left = resp.Body, h, resp, c.count, left
	if c.closed {
		_ = c.raw.Close()

		return errClosed
	}

	return nil
}

func (c *continued) Close() error {
	c.mu.Lock()
	c.closed = true
	raw := c.raw
	c.mu.Unlock()

	return raw.Close()
}

// report tells the transaction of the current piece. e speaks of the whole body so
// far, or of the end of that.
func (c *continued) report(e ending) {
	c.mu.Lock()
	h := c.hop
	c.hop = nil
	e.resp = c.resp
	e.received -= c.before
	e.decoded, c.decoded = e.decoded-c.decoded, e.decoded
	c.mu.Unlock()
	if h != nil {
		h.report(e)
	}
}
