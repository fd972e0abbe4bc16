package urlsession

import (
	"context"
	"io"
	"time"
)

// Delegate is what a session, or one task, tells and asks (Apple's
// URLSessionDelegate and its family). It is a struct of functions; each may be
// nil. A function that a task's own delegate leaves nil is taken from the
// session's.
//
// What the delegate is told (functions without a context) comes one call at a
// time for the whole session, on the goroutine of the task, or where
// Configuration.Queue says. It should return soon: the task, and what other tasks
// have to tell, waits meanwhile.
//
// What it is asked (functions with a context) comes in the task's order too, but
// may take as long as it likes, and may overlap calls for other tasks. ctx ends
// when the task is cancelled; the clocks of the load stand still. A question that is
// open then may outlive its task; its answer counts for nothing.
//
// All functions may call the session: make, resume, suspend and cancel tasks, and
// load by Data and its like. Wait, Close and Finish would wait for the call they
// are made from; they return ErrInCallback. A function that panics, or ends its
// goroutine as testing's FailNow does, makes its task fail with Unknown; of DidComplete
// Err tells, and the log.
type Delegate struct {
	// DidReceiveChallenge is asked for a credential where neither the URL nor the
	// store has one that was not refused. The task's own is asked first, but for
	// what concerns a connection (server trust, client certificate, and of an origin
	// NTLM and Negotiate): there the session's is. t is nil for a load by RoundTripper. nil:
	// the response with the challenge (a 401, say) is the result.
	//
	// Each TLS handshake asks for MethodServerTrust, with the evaluation's verdict in
	// c.Err; a delegate that does not know a method answers PerformDefaultHandling.
	// It is asked while the connection is made, so that it must not wait for a load
	// from that host. Loads that need the same credential at once ask one after another,
	// and get the first answer unless its Persistence is PersistenceNone: what is asked may
	// load by Data and its like what needs it too, but must not wait for a task that does.
	DidReceiveChallenge func(ctx context.Context, t Task, c *Challenge) (Disposition, *Credential)
	// WillPerformHTTPRedirection is asked before a redirect is followed, and gives
	// the request to load: next, changed or not. A nil answer refuses it: the
	// redirect itself becomes the result. nil: it is followed.
	WillPerformHTTPRedirection func(ctx context.Context, t Task, resp *Response, next *Request) *Request
	// WillBeginDelayedRequest is asked when a task with an EarliestBeginDate is to
	// begin, and gives the request to load; a nil answer cancels the task. nil: it
	// begins.
	WillBeginDelayedRequest func(ctx context.Context, t Task, req *Request) *Request
	// NeedNewBodyStream is asked for the body of an upload task that was made
	// without one, and again when it has to be sent again. nil, or a nil stream:
	// RequestBodyStreamExhausted. The session closes the stream.
	NeedNewBodyStream func(ctx context.Context, t Task) (io.ReadCloser, error)
	// DidReceiveResponse is asked how a data or upload task goes on at its
	// response's head, and at each part of a multipart/x-mixed-replace body, of which
	// ResponseBecomeDownload saves one and ends the load. nil: ResponseAllow.
	DidReceiveResponse func(ctx context.Context, t Task, resp *Response) ResponseDisposition
	// WillCacheResponse is asked before a response that may be stored is, once all of
	// its data has come, and gives what is stored: the proposal, or one with a stricter
	// StoragePolicy; nil: nothing. It is not asked of responses from the cache, nor of
	// redirects, which are not stored where it is there. t is nil for a load by
	// RoundTripper. nil: what may be stored is.
	WillCacheResponse func(ctx context.Context, t Task, proposed *CachedResponse) *CachedResponse

	// DidCreateTask is told of each task, before anything else of it. Of a blocking
	// call the session's may be told a little later.
	DidCreateTask func(t Task)
	// TaskIsWaitingForConnectivity is told once, where
	// Configuration.WaitsForConnectivity holds a task that has no way to its host.
	TaskIsWaitingForConnectivity func(t Task)
	// DidReceiveInformationalResponse is told of each interim response (1xx) but 101.
	DidReceiveInformationalResponse func(t Task, resp *Response)
	// DidSendBodyData is told as the request's body goes out: the bytes since the
	// last call, all so far, and the expected total; -1 unknown. When a body is sent
	// again its count begins anew.
	DidSendBodyData func(t Task, sent, total, expected int64)
	// DidReceiveData is told of the next bytes of a data or upload task, decoded.
	// data is lent: it is valid until the function returns, unless there is a Queue.
	DidReceiveData func(t Task, data []byte)
	// DidBecomeDownloadTask follows the answer ResponseBecomeDownload. t is
	// complete and says nothing more; d goes on.
	DidBecomeDownloadTask func(t *DataTask, d *DownloadTask)
	// DidWriteData is told as a download's body is written: the bytes since the last
	// call, all so far, and the expected total; -1 unknown. The bytes are decoded.
	DidWriteData func(t *DownloadTask, written, total, expected int64)
	// DidFinishDownloading is told of a download that is whole, whatever its status.
	// Where it is not moved, the file is removed when the function returns, unless
	// the task has a SaveTo; then f is already in its place. An error is the task's.
	DidFinishDownloading func(t *DownloadTask, f *TemporaryFile) error
	// DidFinishCollecting is told of a task's measurements, just before DidComplete
	// (Apple's didFinishCollecting).
	DidFinishCollecting func(t Task, m *TaskMetrics)
	// DidComplete is the last call for a task, made once. err is nil or an *Error.
	DidComplete func(t Task, err error)
	// DidBecomeInvalid is the last call of a session; only the session's delegate
	// gets it. err is nil but where closing a protocol failed.
	DidBecomeInvalid func(err error)

	// startsTasks: tasks begin when they are made.
	startsTasks bool
}

// ResponseDisposition says how a task goes on after its response's head (Apple's
// URLSession.ResponseDisposition). The zero value goes on.
type ResponseDisposition uint8

const (
	// ResponseAllow goes on.
	ResponseAllow ResponseDisposition = iota
	// ResponseCancel ends the task with Cancelled.
	ResponseCancel
	// ResponseBecomeDownload makes a download task of a data task.
	ResponseBecomeDownload
)

// Raw is Apple's number for the disposition; -1 for a value that is none.
func (d ResponseDisposition) Raw() int {
	switch d {
	case ResponseAllow:
		return 1
	case ResponseCancel:
		return 0
	case ResponseBecomeDownload:
		return 2
	default:
		return -1
	}
}

// State is where a task stands (Apple's URLSessionTask.State). The zero value is
// that of a new task.
type State uint8

const (
	// StateSuspended: made and not resumed, or suspended.
	StateSuspended State = iota
	// StateRunning: it loads, or waits for its turn.
	StateRunning
	// StateCanceling: it was cancelled and is not complete yet.
	StateCanceling
	// StateCompleted: nothing more comes of it.
	StateCompleted
)

// String gives the name in lower case.
func (s State) String() string {
	switch s {
	case StateSuspended:
		return "suspended"
	case StateRunning:
		return "running"
	case StateCanceling:
		return "canceling"
	case StateCompleted:
		return "completed"
	default:
		return "invalid"
	}
}

// Raw is Apple's number for the state; -1 for a value that is none.
func (s State) Raw() int {
	switch s {
	case StateSuspended:
		return 1
	case StateRunning:
		return 0
	case StateCanceling:
		return 2
	case StateCompleted:
		return 3
	default:
		return -1
	}
}

// Task is a load that can be watched and steered (Apple's URLSessionTask): a
// *DataTask, an *UploadTask or a *DownloadTask. It is made suspended, and
// completes exactly once. All methods are safe for concurrent use, and none but
// Wait waits for anything.
type Task interface {
	// Identifier is unique in the session, from 1 up.
	Identifier() int
	// OriginalRequest is what the task was made from; CurrentRequest what it loads
	// now: another after a redirect. Both are copies.
	OriginalRequest() *Request
	CurrentRequest() *Request
	// Response is the head of the response; nil: none came yet.
	Response() *Response
	// Err is what the task failed with, an *Error; nil: nothing, so far.
	Err() error
	// State is where the task stands.
	State() State

	// Resume lets the task begin or go on. It undoes one Suspend.
	Resume()
	// Suspend holds the task: nothing more is read, no more of a body is sent, and its
	// clocks stand still. A request that is about to go out to its response's head may
	// still do so, with a body in memory of up to 64 KiB. Each Suspend needs a Resume.
	Suspend()
	// Cancel ends the task with Cancelled, whether it was resumed or not.
	Cancel()
	// Done is closed when the task is complete and its last callback has returned.
	Done() <-chan struct{}
	// Wait waits for Done, and gives Err. When ctx ends it gives up waiting with
	// ctx.Err(); the task goes on. Inside a call that the same session's delegate is
	// told, or a question of the same task, it is ErrInCallback.
	Wait(ctx context.Context) error

	// Progress tells how far the task is.
	Progress() *Progress
	// CountOfBytesSent and CountOfBytesReceived are bytes of the bodies so far;
	// received ones are decoded.
	CountOfBytesSent() int64
	CountOfBytesReceived() int64
	// CountOfBytesExpectedToSend and CountOfBytesExpectedToReceive are the totals;
	// -1 unknown. What is to be received is 0 before the response's head, and
	// unknown for a body that is decoded.
	CountOfBytesExpectedToSend() int64
	CountOfBytesExpectedToReceive() int64

	// Priority is between 0 and 1; a new task has that of its request, or 0.5. Of
	// the tasks that wait for the same host that with the highest begins first, and
	// those of equal priority begin in the order in which they were resumed. A server
	// is told of it, and over HTTP/2 of a change while the task runs, if it wants to
	// know (RFC 9218).
	Priority() float64
	SetPriority(priority float64)
	// EarliestBeginDate is before when the task does not begin; zero: at once. Set
	// it before the first Resume.
	EarliestBeginDate() time.Time
	SetEarliestBeginDate(at time.Time)
	// Description is a label of the app's own.
	Description() string
	SetDescription(description string)
	// Delegate is the task's own delegate; nil: it has none, or is complete.
	// SetDelegate is an error after the first Resume.
	Delegate() *Delegate
	SetDelegate(d *Delegate) error

	core() *task
}

// The priorities that have a name (Apple's URLSessionTask constants).
const (
	PriorityLow     = 0.25
	PriorityDefault = 0.5
	PriorityHigh    = 0.75
)
