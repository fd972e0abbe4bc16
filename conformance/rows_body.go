package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

var bodyRows = []Row{
	{
		Name: "bytes", Clause: 12, need: needContent, run: exactBytes,
		Why: "the bytes are what the load is for",
	},
	{
		Name: "length", Clause: 12, need: needContent, run: exactLength,
		Why: "progress, buffers and the check for truncation trust ContentLength",
	},
	{
		Name: "body-not-nil", Clause: 4, need: needContent, run: bodyNotNil,
		Why: "every reader closes the body without looking",
	},
	{
		Name: "head-first", Clause: 2, need: needContent, run: headFirst,
		Why: "a load that waits for its body cannot stream, show progress, or be refused at the head",
	},
	{
		Name: "back-pressure", Clause: 17, need: needLarge | needNetwork, run: backPressure,
		Why: "a suspended task is one that does not read: what is fetched meanwhile fills the memory",
	},
	{
		Name: "close-twice", Clause: 4, need: needContent, run: closeTwice,
		Why: "the session, a deferred call and a cancelled context may all close the same body",
	},
	{
		Name: "close-during-read", Clause: 4, need: needContent, run: closeDuringRead,
		Why: "closing is how a reader that waits is released",
	},
}

func exactBytes(ctx context.Context, r *rig) error {
	s, err := r.session(nil)
	if err != nil {
		return err
	}
	contents := append([]Content(nil), r.fixture.Content...)
	if r.fixture.Large.URL != "" {
		contents = append(contents, r.fixture.Large)
	}
	for i := range contents {
		c := &contents[i]
		req, err := r.ask(c)
		if err != nil {
			return err
		}
		o := s.start(ctx, req, oneHop)
		if o.err != nil {
			return fmt.Errorf("%s: %w", req, o.err)
		}
		if got := o.call.resp.MIMEType; c.MIMEType != "" && got != c.MIMEType {
			return errors.Join(fmt.Errorf("%s: the MIMEType is %q and should be %q", req, got, c.MIMEType), o.end())
		}
		if err := o.expect(c); err != nil {
			return fmt.Errorf("%s: %w", req, err)
		}
	}

	return nil
}

// expect reads the body and compares it with the content.
func (o *outcome) expect(c *Content) error {
	if c.Bytes == nil {
		o.finish()
		if o.err == nil && o.length != c.Size {
			return fmt.Errorf("the body has %d bytes and should have %d", o.length, c.Size)
		}

		return o.err
	}
	var got bytes.Buffer
	_, err := io.Copy(&got, o.resp.Body)
	if err = errors.Join(err, o.end()); err != nil {
		return err
	}

	return difference(got.Bytes(), c.Bytes)
}

func exactLength(ctx context.Context, r *rig) error {
	s, err := r.session(nil)
	if err != nil {
		return err
	}
	for i := range r.fixture.Content {
		c := &r.fixture.Content[i]
		req, err := r.ask(c)
		if err != nil {
			return err
		}
		o := s.load(ctx, req)
		if o.err != nil {
			return fmt.Errorf("%s: %w", req, o.err)
		}
		resp := &o.call.resp
		if c.Method == http.MethodHead || resp.StatusCode == http.StatusNotModified {
			continue // RFC 9110 §8.6: there it is the length of another response's body
		}
		if told := resp.KnownLength(); told >= 0 && told != o.length {
			return fmt.Errorf("%s: the ContentLength is %d and the body has %d bytes", req, told, o.length)
		}
	}

	return nil
}

func bodyNotNil(ctx context.Context, r *rig) error {
	reqs, err := r.probes()
	if err != nil {
		return err
	}
	s, err := r.session(nil)
	if err != nil {
		return err
	}
	for _, req := range reqs {
		o := s.load(ctx, req)
		if c := o.call; c != nil && !c.nothing && c.err == nil && c.resp.Body == nil {
			return fmt.Errorf("%s: the response's Body is nil (protocols.NoBody is the empty one)", req)
		}
	}

	return nil
}

func headFirst(ctx context.Context, r *rig) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stuck, err := r.stuckInBody(ctx)
	if err != nil {
		return err
	}
	if stuck.size >= 0 && stuck.size < shortBody {
		return notApplicable("the fixture has no body of 64 KiB or more")
	}
	run := stuck.run(ctx)
	if err := r.await(run.head); err != nil {
		return errors.New("Load did not return while the body was under way")
	}
	if run.outcome.resp == nil {
		return run.outcome.err
	}

	return nil
}

func backPressure(ctx context.Context, r *rig) error {
	large := &r.fixture.Large
	if large.size() < MinimumLarge {
		return notApplicable(fmt.Sprintf("Fixture.Large has %d bytes: MinimumLarge is %d", large.size(), MinimumLarge))
	}
	s, err := r.session(nil)
	if err != nil {
		return err
	}
	req, err := r.ask(large)
	if err != nil {
		return err
	}
	o := s.start(ctx, req, oneHop)
	if o.err != nil {
		return o.err
	}
	// What is not fetched in a quarter of a second of silence is taken as not
	// wanted: a slow machine can make this row pass, never fail.
	for last, quiet := int64(-1), 0; quiet < 10; {
		fetched := s.dialer.fetched()
		if fetched > ReadAhead {
			return errors.Join(fmt.Errorf("%d bytes were fetched of a body that nobody reads", fetched), o.end())
		}
		if quiet++; fetched != last {
			last, quiet = fetched, 0
		}
		<-time.After(25 * time.Millisecond)
	}
	o.finish()
	if o.err == nil && o.length != large.size() {
		return fmt.Errorf("after a pause the body had %d bytes, not %d", o.length, large.size())
	}

	return o.err
}

func closeTwice(ctx context.Context, r *rig) error {
	s, err := r.session(nil)
	if err != nil {
		return err
	}
	req, err := r.ask(r.main())
	if err != nil {
		return err
	}
	for _, read := range []bool{true, false} {
		o := s.start(ctx, req, oneHop)
		if o.err != nil {
			return o.err
		}
		if read {
			o.finish()
		}
		if b := o.call.body; b != nil {
			err = r.closeOften(b.ReadCloser)
		}
		_ = o.end() // it is closed already, and may say so
		if err != nil {
			return err
		}
	}

	return nil
}

// closeOften closes a body three times, and then from several goroutines.
func (r *rig) closeOften(b io.Closer) error {
	var mu sync.Mutex
	var results []error
	shut := func() {
		var err error
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("Close panicked when called again: %v", p)
			}
			mu.Lock()
			defer mu.Unlock()
			results = append(results, err)
		}()
		err = b.Close()
	}
	if err := r.within(func() {
		for range 3 {
			shut()
		}
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(shut)
		}
		wg.Wait()
	}); err != nil {
		return fmt.Errorf("Close, called again: %w", err)
	}
	mu.Lock()
	defer mu.Unlock()
	for _, err := range results {
		if err != nil && !saysClosed(err) && (results[0] == nil || err.Error() != results[0].Error()) {
			return fmt.Errorf("Close is not idempotent: %w", err)
		}
	}

	return nil
}

// saysClosed tells whether an error says no more than that Close was called before.
func saysClosed(err error) bool {
	return errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrClosed) || errors.Is(err, io.ErrClosedPipe)
}

func closeDuringRead(ctx context.Context, r *rig) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stuck, err := r.stuckInBody(ctx)
	if err != nil {
		return err
	}
	run := stuck.run(ctx)
	if err := stuck.reached(run); err != nil {
		return err
	}
	raw := run.call.body
	if raw == nil {
		return notApplicable("the response that stalls has no body")
	}
	if err := r.within(func() { _ = raw.ReadCloser.Close() }); err != nil {
		return fmt.Errorf("Close during a Read: %w", err)
	}
	if err := r.await(run.done); err != nil {
		return fmt.Errorf("the Read when Close was called: %w", err)
	}
	if errors.Is(raw.ended(), io.EOF) && !errors.Is(raw.ended(), io.ErrUnexpectedEOF) {
		return errors.New("the Read that Close released gave io.EOF, as if the body were complete")
	}

	return nil
}
