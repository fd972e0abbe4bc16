package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/urlkit/urlkit/internal/engine"
	"github.com/urlkit/urlkit/internal/fault"
	"github.com/urlkit/urlkit/protocols"
)

var requestRows = []Row{
	{
		Name: "body-closed", Clause: 5, need: needBody, run: bodyClosed,
		Why: "the body is an open file more often than not, and failure is when it is forgotten",
	},
	{
		Name: "one-reader", Clause: 5, need: needBody, run: oneReader,
		Why: "two readers of one source steal each other's bytes",
	},
	{
		Name: "body-sent", Clause: 5, need: needBody, run: bodySent,
		Why: "the session sends the same request again after a challenge or a dead connection",
	},
	{
		Name: "body-failure", Clause: 13, need: needBody, run: bodyFailure,
		Why: "what was sent is not what the app has: success would be a lie, and the app's own error says why",
	},
	{
		Name: "request-unchanged", Clause: 6, need: needContent, run: requestUnchanged,
		Why: "the same request may be loading elsewhere at this moment",
	},
	{
		Name: "priority-unobserved", Clause: 6, need: needContent, run: priorityUnobserved,
		Why: "a task goes on being asked for after its load, and its observers would be kept with it",
	},
}

// sender is a request with a body.
type sender struct {
	method, url string
	data        []byte
	received    func() []byte // nil: nobody tells
}

// senders are the requests with a body that the fixture takes.
func (r *rig) senders() []sender {
	var all []sender
	if u := r.fixture.Upload; u.URL != "" {
		method := u.Method
		if method == "" {
			method = http.MethodPut
		}
		data := bytes.Repeat([]byte("conformance \x00\xff\r\n"), 6000)
		all = append(all, sender{method, u.URL, data, u.Received})
	}
	for _, c := range r.fixture.Content {
		if c.Body != nil {
			all = append(all, sender{method: c.Method, url: c.URL, data: c.Body})
		}
	}

	return all
}

// errSource is what a body of the suite's fails with.
var errSource = errors.New("the source of the request's body failed")

// source is a request body that is watched.
type source struct {
	data []byte
	fail bool // half-way

	mu     sync.Mutex
	open   int
	most   int
	opened int
}

func (s *source) body() *protocols.Body {
	return protocols.FuncBody(int64(len(s.data)), func(offset int64) (io.ReadCloser, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.opened++
		s.open++
		s.most = max(s.most, s.open)
		var rest io.Reader = bytes.NewReader(s.data[offset:])
		if s.fail {
			rest = io.MultiReader(io.LimitReader(rest, int64(len(s.data)/2)), failing{})
		}

		return &sourceReader{Reader: rest, of: s}, nil
	})
}

func (s *source) left() int {
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.open
}

func (s *source) readers() (opened, most int) {
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.opened, s.most
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errSource }

type sourceReader struct {
	io.Reader
	of   *source
	once sync.Once
}

// Close implements io.Closer.
func (s *sourceReader) Close() error {
	s.once.Do(func() {
		s.of.mu.Lock()
		defer s.of.mu.Unlock()
		s.of.open--
	})

	return nil
}

// accidents are ways in which a load with a body can go. The last is cancelled.
var accidents = []struct {
	name   string
	fault  fault.Fault
	cancel bool
}{
	{name: "a success"},
	{name: "a refused connection", fault: fault.Fault{Kind: fault.Deny}},
	{name: "a connection that breaks before the answer", fault: fault.Fault{Kind: fault.Reset}},
	{name: "a connection that breaks in the request", fault: fault.Fault{Kind: fault.Cut, Direction: fault.Writing, At: 40}},
	{name: "a cancelled load", fault: fault.Fault{Kind: fault.Stall}, cancel: true},
}

// accident runs one of them.
func (r *rig) accident(ctx context.Context, i int, req *protocols.Request) error {
	a := accidents[i]
	s, err := r.session(always(a.fault))
	if err != nil {
		return err
	}
	defer r.drop(s)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	run := s.run(ctx, req)
	if a.cancel {
		select {
		case <-s.dialer.stalled:
		case <-run.done:
		}
		cancel()
	}
	select {
	case <-run.done:
		return nil
	case <-ctx.Done():
		return r.await(run.done)
	}
}

func bodyClosed(ctx context.Context, r *rig) error {
	for _, snd := range r.senders() {
		for i, a := range accidents {
			src := &source{data: snd.data}
			req, err := r.request(snd.method, snd.url, src.body())
			if err != nil {
				return err
			}
			_ = r.accident(ctx, i, req) // a load that cannot be cancelled is another row's business
			if !r.settles(func() bool { return src.left() == 0 }) {
				return fmt.Errorf("%s: after %s the request's body is still open", req, a.name)
			}
		}
	}

	return nil
}

func oneReader(ctx context.Context, r *rig) error {
	for _, snd := range r.senders() {
		for i, a := range accidents[:3] {
			src := &source{data: snd.data}
			req, err := r.request(snd.method, snd.url, src.body())
			if err != nil {
				return err
			}
			_ = r.accident(ctx, i, req)
			if _, most := src.readers(); most > 1 {
				return fmt.Errorf("%s: in %s %d readers of the request's body were open at once", req, a.name, most)
			}
		}
	}

	return nil
}

func bodySent(ctx context.Context, r *rig) error {
	for _, snd := range r.senders() {
		s, err := r.session(nil)
		if err != nil {
			return err
		}
		src := &source{data: snd.data}
		req, err := r.request(snd.method, snd.url, src.body())
		if err != nil {
			return err
		}
		var first outcome
		for i := range 2 {
			o := s.load(ctx, req)
			if o.err != nil {
				return fmt.Errorf("%s: sending %d: %w", req, i+1, o.err)
			}
			if snd.received != nil {
				if err := difference(snd.received(), snd.data); err != nil {
					return fmt.Errorf("%s: sending %d did not arrive: %w", req, i+1, err)
				}
			}
			if i == 0 {
				first = o
			}
			if snd.received == nil && !o.same(&first) {
				return fmt.Errorf("%s: sending %d was answered otherwise than the first", req, i+1)
			}
		}
	}

	return nil
}

func bodyFailure(ctx context.Context, r *rig) error {
	for _, snd := range r.senders() {
		s, err := r.session(nil)
		if err != nil {
			return err
		}
		src := &source{data: snd.data, fail: true}
		req, err := r.request(snd.method, snd.url, src.body())
		if err != nil {
			return err
		}
		run := s.run(ctx, req)
		if err := r.await(run.done); err != nil {
			return fmt.Errorf("%s: the load when the request's body failed: %w", req, err)
		}
		opened, _ := src.readers()
		switch {
		case opened == 0:
			return notApplicable("the protocol did not open the request's body")
		case run.err == nil && run.resp.OK():
			return fmt.Errorf("%s: the load succeeded although the request's body failed half-way", req)
		case run.err != nil && !errors.Is(run.err, errSource):
			return fmt.Errorf("%s: the error does not wrap that of the request's body: %w", req, run.err)
		}
	}

	return nil
}

func requestUnchanged(ctx context.Context, r *rig) error {
	reqs, err := r.probes()
	if err != nil {
		return err
	}
	for _, snd := range r.senders() {
		req, err := r.request(snd.method, snd.url, protocols.BytesBody(snd.data))
		if err != nil {
			return err
		}
		reqs = append(reqs, req)
	}
	s, err := r.session(nil)
	if err != nil {
		return err
	}
	for _, req := range reqs {
		o := s.load(ctx, req)
		if o.call == nil {
			continue
		}
		if err := o.call.changed(); err != nil {
			return fmt.Errorf("%s: %w", req, err)
		}
	}
	// Now the race detector may look: the same request, several times at once.
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() { s.load(ctx, reqs[0]) })
	}
	wg.Wait()

	return nil
}

func priorityUnobserved(ctx context.Context, r *rig) error {
	reqs, err := r.probes()
	if err != nil {
		return err
	}
	s, err := r.session(nil)
	if err != nil {
		return err
	}
	for _, req := range reqs {
		for _, read := range []bool{true, false} {
			changes := new(protocols.Reprioritization)
			o := s.start(ctx, req, &engine.Task{OneHop: true, Reprioritization: changes})
			changes.SetPriority(1)
			if read {
				o.finish()
			}
			_ = o.end() // what it says is another row's business
			if !r.settles(func() bool { return !changes.Observed() }) {
				return fmt.Errorf("%s: after the load somebody still observes its priority", req)
			}
		}
	}

	return nil
}
