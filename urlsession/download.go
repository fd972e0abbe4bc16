package urlsession

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/urlkit/urlkit/internal/engine"
	"github.com/urlkit/urlkit/internal/publish"
	"github.com/urlkit/urlkit/protocols"
)

// DownloadTask loads into a file (Apple's URLSessionDownloadTask). Whatever the
// status is, the body is the file: look at Response.
type DownloadTask struct {
	task

	// SaveTo is where the file is to be: whole, or not there. It is written beside
	// that name, synced, and renamed. "": in the folder for temporary files; the
	// delegate moves it. Set it before the first Resume.
	SaveTo string
}

// DownloadTask makes a task that loads into a file. It is suspended. A URL that
// names a folder is FileIsDirectory.
func (s *Session) DownloadTask(req *Request) *DownloadTask {
	t := &DownloadTask{}
	s.made(t, req, nil)

	return t
}

// DownloadTaskWithHandler makes a task that loads into a temporary file, which is
// removed when handler returns if it was not moved. handler is called once; f is
// nil where err is not.
func (s *Session) DownloadTaskWithHandler(req *Request, handler func(f *TemporaryFile, resp *Response, err error)) *DownloadTask {
	t := &DownloadTask{}
	s.made(t, req, handler)

	return t
}

// Download loads a request into a file at path, replacing what is there: whole, or
// not at all. It is written beside path, synced, and published by rename; nothing
// else is left, whatever goes wrong. Whatever the status is, the body is the file:
// look at Response.OK. The response is also returned with an error if its head had
// arrived. A path that names a folder, a link or a read-only file is refused before
// anything is sent.
func (s *Session) Download(ctx context.Context, req *Request, path string) (*Response, error) {
	t := &DownloadTask{SaveTo: path}
	if path == "" {
		engine.Drop(req.Body)

		return nil, &Error{Code: CannotCreateFile, Op: "download", URL: redacted(req.URL), Err: errNoPath}
	}
	r, err := s.call(ctx, t, req)
	if err != nil {
		return nil, err
	}
	err = r.carryOut()

	return t.Response(), err
}

var errNoPath = fmt.Errorf("the path for the file is empty: %w", os.ErrInvalid)

// TemporaryFile is a download that is whole (what Apple's didFinishDownloadingTo
// gives by its location).
type TemporaryFile struct {
	file      *publish.File
	path      string
	published bool // where SaveTo says
}

// Path is where the file is now.
func (f *TemporaryFile) Path() string { return f.path }

// Open opens it for reading.
func (f *TemporaryFile) Open() (*os.File, error) { return os.Open(f.path) }

// MoveTo gives the file its place: by rename, or where that is on another file
// system by copying, syncing and renaming. path is replaced if it is there; a
// folder, a link or a read-only file is an error. A file that has its place by
// SaveTo can be moved nowhere else.
func (f *TemporaryFile) MoveTo(path string) error {
	if f.published {
		if filepath.Clean(path) == filepath.Clean(f.path) {
			return nil
		}

		return protocols.Errorf(CannotMoveFile, "the task's SaveTo has put the file in its place, %s", f.path)
	}
	if err := f.file.MoveTo(path); err != nil {
		return err
	}
	f.path = path

	return nil
}

// sink is where a download goes. nil: the task is none.
type sink struct {
	file *publish.File
	path string // where it is published; "": it stays temporary
}

// newSink makes the file of a download, so that a place that cannot be written to
// costs no transfer.
func newSink(r *run) (*sink, error) {
	d, ok := r.task.self.(*DownloadTask)
	if !ok {
		return nil, nil
	}
	if isFolder(d.request.URL) {
		return nil, protocols.Errorf(FileIsDirectory, "the URL names a folder, which is no file to download")
	}
	s := &sink{path: d.SaveTo}
	var err error
	if s.path != "" {
		s.file, err = publish.Beside(s.path)
	} else {
		s.file, err = publish.Temporary("")
	}
	if err != nil {
		return nil, err
	}

	return s, nil
}

func (s *sink) discard() {
	if s != nil && s.file != nil {
		s.file.Discard()
	}
}

// download writes the body to the sink.
func (r *run) download(body io.Reader, s *sink) error {
	defer s.discard()
	for {
		if err := r.held(); err != nil {
			return err
		}
		n, err := s.file.Append(body)
		if n > 0 {
			r.wrote(n)
		}
		if err == io.EOF { //nolint:errorlint // Append gives what a Reader returned, which is bare
			r.atEnd()

			break
		}
		if err != nil {
			return r.undecoded(err)
		}
	}

	return r.downloaded(s)
}

// undecoded gives the failure of a body that cannot be decoded the codes that downloads
// have for it; CannotDecodeRawData stands beneath.
func (r *run) undecoded(err error) error {
	e, ok := err.(*Error) //nolint:errorlint // that of the body itself
	if !ok || e.Code != CannotDecodeRawData {
		return err
	}
	told := *e
	told.Code, told.Err = DownloadDecodingFailedMidStream, &Error{Code: e.Code, Err: e.Err}
	if engine.Received(r.head) {
		told.Code = DownloadDecodingFailedToComplete
	}

	return &told
}

// wrote counts, and tells.
func (r *run) wrote(n int) {
	t := r.task
	total := t.received.Add(int64(n))
	if r.told().DidWriteData != nil {
		d, _ := t.self.(*DownloadTask)
		r.tell(func() { r.told().DidWriteData(d, int64(n), total, t.toReceive.Load()) })
	}
}

// downloaded publishes the file, and gives it to the app.
func (r *run) downloaded(s *sink) error {
	if err := r.held(); err != nil { // suspended or cancelled by the last call
		return err
	}
	f := &TemporaryFile{file: s.file, path: s.path, published: s.path != ""}
	if s.path != "" {
		if _, err := s.file.Publish(r.ctx); err != nil {
			return err
		}
	} else {
		if err := s.file.Close(); err != nil {
			return err
		}
		f.path = s.file.Name()
	}
	if r.task.consumer != nil {
		r.file, s.file = f, nil // removed after the handler

		return nil
	}
	if r.told().DidFinishDownloading == nil || r.direct {
		return nil
	}
	d, _ := r.task.self.(*DownloadTask)
	var err error
	r.tell(func() { err = r.told().DidFinishDownloading(d, f) })

	return err
}
