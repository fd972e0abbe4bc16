package urlsession

import (
	"errors"
	"os"
	"sync"
)

// Event is what a task tells, as a value: for programs that were written against a
// wrapper of URLSession whose delegate is a stream of events. It is one of
// SessionCompleted, DownloadProgress, DownloadCompleted and UploadProgress.
type Event interface{ event() }

// SessionCompleted is the end of a task, whatever its name says; it comes after
// DownloadCompleted.
type SessionCompleted struct {
	// TaskIdentifier is the task's.
	TaskIdentifier int
	// Success: the task ended without an error, whatever its status.
	Success bool
	// ErrorCode is that of the error; 0: none.
	ErrorCode Code
	// Message is the error's text; "" without one.
	Message string
	// StatusCode is that of the response; 0: none came, or it has none.
	StatusCode int
	// ResponseText is the body of a data or upload task, its first MiB.
	ResponseText string
}

// DownloadProgress is a part of a download that was written.
type DownloadProgress struct {
	// TaskIdentifier is the task's.
	TaskIdentifier int
	// BytesWritten are those since the last event, TotalBytesWritten all so far.
	BytesWritten, TotalBytesWritten int64
	// TotalBytesExpectedToWrite is the length of the whole; -1 unknown.
	TotalBytesExpectedToWrite int64
}

// DownloadCompleted is a download that is whole. The file is the app's from then
// on: a file of its own in a new folder among the temporary files, or where SaveTo
// says that DidCreateTask has set.
type DownloadCompleted struct {
	// TaskIdentifier is the task's.
	TaskIdentifier int
	// Path is where the file is.
	Path string
}

// UploadProgress is a part of a request's body that went out.
type UploadProgress struct {
	// TaskIdentifier is the task's.
	TaskIdentifier int
	// BytesSent are those since the last event, TotalBytesSent all so far.
	BytesSent, TotalBytesSent int64
	// TotalBytesExpectedToSend is the length of the whole; -1 unknown.
	TotalBytesExpectedToSend int64
}

func (SessionCompleted) event()  {}
func (DownloadProgress) event()  {}
func (DownloadCompleted) event() {}
func (UploadProgress) event()    {}

// maxResponseText bounds SessionCompleted.ResponseText.
const maxResponseText = 1 << 20

// Events makes a session's delegate that gives emit what happens as values, one at a
// time. Tasks of a session with this delegate start by themselves when they are
// made. Its functions may be wrapped, and those that are nil set, before New.
func Events(emit func(Event)) *Delegate {
	w := &wrapper{emit: emit, texts: make(map[int][]byte)}

	return &Delegate{
		startsTasks: true,
		DidSendBodyData: func(t Task, sent, total, expected int64) {
			emit(UploadProgress{t.Identifier(), sent, total, expected})
		},
		DidWriteData: func(t *DownloadTask, written, total, expected int64) {
			emit(DownloadProgress{t.Identifier(), written, total, expected})
		},
		DidReceiveData:       w.received,
		DidFinishDownloading: w.downloaded,
		DidComplete:          w.completed,
	}
}

// wrapper keeps the text of responses until their tasks complete.
type wrapper struct {
	emit func(Event)

	mu    sync.Mutex
	texts map[int][]byte
}

func (w *wrapper) received(t Task, data []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	text := w.texts[t.Identifier()]
	w.texts[t.Identifier()] = append(text, data[:min(len(data), maxResponseText-len(text))]...)
}

func (w *wrapper) downloaded(t *DownloadTask, f *TemporaryFile) error {
	if !f.published {
		folder, err := os.MkdirTemp("", "urlkit-download-")
		if err != nil {
			return err
		}
		name := "download"
		if resp := t.Response(); resp != nil {
			name = resp.SuggestedFilename()
		}
		if err := f.MoveTo(folder + string(os.PathSeparator) + name); err != nil {
			return errors.Join(err, os.Remove(folder))
		}
	}
	w.emit(DownloadCompleted{t.Identifier(), f.Path()})

	return nil
}

func (w *wrapper) completed(t Task, err error) {
	w.mu.Lock()
	text := w.texts[t.Identifier()]
	delete(w.texts, t.Identifier())
	w.mu.Unlock()
	e := SessionCompleted{TaskIdentifier: t.Identifier(), Success: err == nil, ResponseText: string(text)}
	if err != nil {
		e.Message = err.Error()
		e.ErrorCode = Unknown
		var coded *Error
		if errors.As(err, &coded) {
			e.ErrorCode = coded.Code
		}
	}
	if resp := t.Response(); resp != nil {
		e.StatusCode = resp.StatusCode
	}
	w.emit(e)
}
