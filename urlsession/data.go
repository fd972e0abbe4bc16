package urlsession

import (
	"context"
	"io"
	"sync"

	"github.com/urlkit/urlkit/internal/engine"
	"github.com/urlkit/urlkit/internal/multipart"
	"github.com/urlkit/urlkit/protocols"
)

// DataTask loads into memory, piece by piece (Apple's URLSessionDataTask): its
// delegate, or its completion handler, gets the body.
type DataTask struct{ task }

// DataTask makes a task whose body the delegate gets by DidReceiveData. It is
// suspended: Resume begins it. The request is copied.
//
// Of a body of the type multipart/x-mixed-replace the delegate gets each part by
// itself: DidReceiveResponse is asked again for each, with the part's own header
// fields, and its data follows. Whatever else gives a body, completion handlers and
// Session.Data among them, gives that one whole, with its boundaries.
func (s *Session) DataTask(req *Request) *DataTask {
	t := &DataTask{}
	s.made(t, req, nil)

	return t
}

// DataTaskWithHandler makes a task whose whole body handler gets, once. On success
// data is not nil and err is; resp is given also with an error if the head had
// arrived. A body of more than Configuration.MaximumDataLength is
// DataLengthExceedsMaximum. handler is called as the delegate's functions are.
func (s *Session) DataTaskWithHandler(req *Request, handler func(data []byte, resp *Response, err error)) *DataTask {
	t := &DataTask{}
	s.made(t, req, handler)

	return t
}

const dataBuffer = 64 << 10

var dataBuffers = sync.Pool{New: func() any { return new([dataBuffer]byte) }}

// consume takes the body.
func (r *run) consume(resp *protocols.Response, s *sink) error {
	switch {
	case s != nil:
		return r.download(resp.Body, s)
	case r.task.consumer != nil:
		return r.collect(resp)
	case resp.MIMEType == multipart.MIMEType && resp.Body != protocols.NoBody:
		if boundary, ok := multipart.Boundary(resp.Header.Get("Content-Type")); ok {
			return r.consumeParts(resp, boundary)
		}
	}

	return r.consumeBody(resp.Body)
}

// consumeBody asks how to go on at a response, and takes its body so.
func (r *run) consumeBody(body io.Reader) error {
	disposition, err := r.disposition()
	switch {
	case err != nil:
		return err
	case disposition == ResponseCancel:
		r.task.cancel(nil)

		return context.Canceled
	case disposition == ResponseBecomeDownload:
		return r.becomeDownload(body)
	}

	return r.read(body, func(data []byte) error {
		if r.told().DidReceiveData != nil {
			r.give(data, func(data []byte) { r.told().DidReceiveData(r.task.self, data) })
		}

		return nil
	})
}

func (r *run) disposition() (ResponseDisposition, error) {
	if r.told().DidReceiveResponse == nil {
		return ResponseAllow, nil
	}
	t := r.task

	return ask(r, func(ctx context.Context) ResponseDisposition {
		return r.told().DidReceiveResponse(ctx, t.self, t.Response())
	})
}

// collect reads the body into memory.
func (r *run) collect(resp *protocols.Response) error {
	const trusted = 1 << 20 // what is allocated at once on the word of a peer
	limit := r.task.session.maximum
	tooLong := func() error {
		return protocols.Errorf(DataLengthExceedsMaximum, "the body is longer than %d bytes", limit)
	}
	expected := resp.ContentLength
	if engine.Decoded(resp) {
		expected = -1
	}
	if resp.Body == protocols.NoBody { // the length is that of an answer to another method
		expected = 0
	}
	if limit >= 0 && expected > limit {
		return tooLong()
	}
	data := make([]byte, 0, min(max(expected, 0), trusted))
	err := r.read(resp.Body, func(more []byte) error {
		if limit >= 0 && int64(len(data)+len(more)) > limit {
			return tooLong()
		}
		data = append(data, more...)
		if r.direct && r.told().DidReceiveData != nil {
			r.give(more, func(more []byte) { r.told().DidReceiveData(r.task.self, more) })
		}

		return nil
	})
	if err == nil {
		r.data = data
	}

	return err
}

// read reads a body to its end, as long as the task is not suspended.
func (r *run) read(body io.Reader, take func([]byte) error) error {
	buffer, _ := dataBuffers.Get().(*[dataBuffer]byte)
	defer dataBuffers.Put(buffer)
	for {
		if err := r.held(); err != nil {
			return err
		}
		n, err := body.Read(buffer[:])
		if n > 0 {
			r.task.received.Add(int64(n))
			if err := take(buffer[:n]); err != nil {
				return err
			}
		}
		if err == io.EOF { // a Reader returns it bare
			r.atEnd()

			return nil
		}
		if err != nil {
			return err
		}
	}
}

// becomeDownload makes a download task of a data task, at its head. The data task
// is complete and says nothing more.
func (r *run) becomeDownload(body io.Reader) error {
	old, ok := r.task.self.(*DataTask)
	if !ok {
		return protocols.Errorf(UnsupportedURL, "only a data task can become a download")
	}
	engine.GoPastCache(r.head)
	d := &DownloadTask{}
	d.init(old.session, d, &old.request)
	r.become(old, d)
	s, err := newSink(r)
	if err != nil {
		return err
	}

	return r.download(body, s)
}

// become lets a download task go on in the place of a data task.
func (r *run) become(old *DataTask, d *DownloadTask) {
	defer func() { old.retire().ended(&old.task) }() // the body is the other's now
	r.tell(func() {
		r.handOver(&old.task, &d.task)
		if d.keeps.adopt(&d.task) {
			d.cancel(ErrSessionInvalidated)
		}
		if r.told().DidBecomeDownloadTask != nil {
			r.told().DidBecomeDownloadTask(old, d)
		}
	})
}

// handOver makes a run that of another task, in all that can be seen of it. Nobody
// else knows the other one yet.
func (r *run) handOver(from, to *task) {
	from.mu.Lock()
	defer from.mu.Unlock()
	to.state, to.suspends, to.gate = from.state, from.suspends, from.gate
	to.resumed, to.queued, to.keeps = true, true, from.keeps
	to.priority, to.description = from.priority, from.description
	to.delegate, to.current, to.response = from.delegate, from.current, from.response
	to.toReceive.Store(from.toReceive.Load())
	to.sent.Store(from.sent.Load())
	to.run, from.run, from.gate = r, nil, nil
	from.state = StateCompleted
	r.task = to
	r.sends.Store(to)
}
