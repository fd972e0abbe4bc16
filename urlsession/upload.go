package urlsession

import (
	"context"
	"io"
	"strconv"

	"github.com/urlkit/urlkit/protocols"
)

// UploadTask sends a body (Apple's URLSessionUploadTask). What is answered arrives
// as that of a data task. It keeps the request's method: set POST or PUT.
type UploadTask struct {
	task

	streamed bool // the delegate gives the body
}

// UploadTask makes a task that sends body, in place of the request's own. It is
// suspended.
func (s *Session) UploadTask(req *Request, body *Body) *UploadTask {
	t := &UploadTask{}
	s.made(t, withBody(req, body), nil)

	return t
}

// UploadTaskWithHandler is UploadTask with a completion handler, as
// DataTaskWithHandler has one.
func (s *Session) UploadTaskWithHandler(req *Request, body *Body, handler func(data []byte, resp *Response, err error)) *UploadTask {
	t := &UploadTask{}
	s.made(t, withBody(req, body), handler)

	return t
}

// StreamedUploadTask makes a task whose body the delegate gives by
// NeedNewBodyStream, each time that it has to be sent. Its length is that of the
// request's Content-Length field, else unknown.
func (s *Session) StreamedUploadTask(req *Request) *UploadTask {
	t := &UploadTask{streamed: true}
	s.made(t, withBody(req, &Body{Length: declared(req)}), nil)
	t.toSend.Store(declared(req))

	return t
}

// Upload sends body, in place of the request's own, and returns the body of the
// answer as Data does. A server may answer before it has read all of the body.
func (s *Session) Upload(ctx context.Context, req *Request, body *Body) ([]byte, *Response, error) {
	req = withBody(req, body)
	if s.asks(ctx) {
		return s.data(ctx, &UploadTask{}, req)
	}

	return s.Data(ctx, req)
}

func withBody(req *Request, body *Body) *Request {
	sent := *req
	sent.Body = body

	return &sent
}

// declared is the length that the app's Content-Length field tells; -1: none.
func declared(req *Request) int64 {
	n, err := strconv.ParseInt(req.Header.Get("Content-Length"), 10, 64)
	if err != nil || n < 0 {
		return -1
	}

	return n
}

// unwatched is how much of a body in memory goes out without being counted, where
// nobody is told: it leaves with the request's head.
const unwatched = 64 << 10

// body is the request's body as it is sent: counted, and held while the task is
// suspended.
func (r *run) body(b *Body) *Body {
	t := r.task
	if u, ok := t.self.(*UploadTask); ok && u.streamed {
		b = &Body{Length: b.Length, Open: r.newStream}
	}
	length := b.KnownLength()
	short := b != nil && b.Open == nil && b.File == "" && len(b.Bytes) <= unwatched
	if length == 0 || short && r.told().DidSendBodyData == nil {
		return b
	}
	r.watched = true
	watched := Body{Length: length, Once: b.Once}
	r.hooks.Unsent = func(given *Body) *Body {
		if given == &watched {
			return b
		}

		return given
	}
	watched.Open = func(offset int64) (io.ReadCloser, error) {
		rc, err := b.OpenAt(offset)
		if err != nil {
			return nil, err
		}
		r.sends.Load().sent.Store(offset)

		return &sending{ReadCloser: rc, run: r, expected: length}, nil
	}

	return &watched
}

// newStream asks the delegate for a body.
func (r *run) newStream(offset int64) (io.ReadCloser, error) {
	need := r.told().NeedNewBodyStream
	switch {
	case need == nil:
		return nil, protocols.Errorf(RequestBodyStreamExhausted, "the delegate gives no body: NeedNewBodyStream is nil")
	case offset != 0:
		return nil, protocols.Errorf(RequestBodyStreamExhausted, "the delegate gives a body from its beginning, not from %d", offset)
	}
	answer, err := ask(r, func(ctx context.Context) newBody {
		stream, err := need(ctx, r.task.self)

		return newBody{stream, err}
	})
	if err == nil {
		err = answer.err
	}
	switch {
	case err != nil:
		answer.drop()

		return nil, err
	case answer.stream == nil:
		return nil, protocols.Errorf(RequestBodyStreamExhausted, "the delegate gave no body")
	}

	return answer.stream, nil
}

// newBody is an answer to NeedNewBodyStream.
type newBody struct {
	stream io.ReadCloser
	err    error
}

// drop closes a stream that comes too late.
func (b newBody) drop() {
	if b.stream != nil {
		_ = b.stream.Close()
	}
}

// sending is a request body on its way.
type sending struct {
	io.ReadCloser

	run      *run
	expected int64
}

func (s *sending) Read(p []byte) (int, error) {
	r := s.run
	if err := r.sends.Load().pass(r.ctx); err != nil {
		return 0, err
	}
	n, err := s.ReadCloser.Read(p)
	if n > 0 {
		s.sent(int64(n))
	}

	return n, err
}

// sent counts, and tells. What a call takes is no time without a byte moving.
func (s *sending) sent(n int64) {
	r := s.run
	total := r.sends.Load().sent.Add(n)
	if r.told().DidSendBodyData == nil {
		return
	}
	r.room.Pause()
	defer r.room.Continue()
	r.tell(func() { r.told().DidSendBodyData(r.sends.Load().self, n, total, s.expected) })
}
