package main

import (
	"context"
	"os"
	"sync"

	"github.com/urlkit/urlkit/urlsession"
)

// download loads a URL into a file that is whole or not there. It begins as a data
// task: at the head it is known whether the body is wanted, and what the file is
// called, so that it can be written beside its place from the first byte.
func (r *runner) download(ctx context.Context, t *transfer, g gauge) *outcome {
	o := &outcome{transfer: t}
	var l landing
	d := r.delegate(t)
	d.DidReceiveResponse = func(_ context.Context, _ urlsession.Task, resp *urlsession.Response) urlsession.ResponseDisposition {
		return l.at(r, t, resp)
	}
	d.DidBecomeDownloadTask = func(_ *urlsession.DataTask, saving *urlsession.DownloadTask) {
		l.on(saving)
		g.watch(saving.Progress())
	}
	d.DidFinishCollecting = func(_ urlsession.Task, m *urlsession.TaskMetrics) { o.metrics = *m }
	task := r.session.DataTask(t.request)
	if o.err = task.SetDelegate(d); o.err != nil {
		return o
	}
	g.watch(task.Progress())
	task.Resume()
	o.err = wait(ctx, task)
	o.response = task.Response()
	if saving := l.download(); saving != nil {
		o.err = wait(ctx, saving)
		o.response, o.bytes = saving.Response(), saving.CountOfBytesReceived()
	}
	file, refusal := l.decision()
	switch {
	case refusal != nil:
		o.err = refusal
	case o.err == nil:
		o.file = file
	}

	return o
}

// landing is where a download goes, decided at its head. A question may be asked
// still when its task is cancelled already: hence the lock.
type landing struct {
	mu      sync.Mutex
	file    string
	refusal error                    // nil: the body is wanted
	saving  *urlsession.DownloadTask // nil: it did not come to it
}

func (l *landing) at(r *runner, t *transfer, resp *urlsession.Response) urlsession.ResponseDisposition {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.refusal = r.refuses(resp); l.refusal == nil {
		l.file, l.refusal = r.fileFor(t, resp)
	}
	if l.refusal != nil {
		return urlsession.ResponseCancel
	}

	return urlsession.ResponseBecomeDownload
}

func (l *landing) on(saving *urlsession.DownloadTask) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.saving, saving.SaveTo = saving, l.file
}

func (l *landing) download() *urlsession.DownloadTask {
	l.mu.Lock()
	defer l.mu.Unlock()

	return l.saving
}

func (l *landing) decision() (file string, refusal error) {
	l.mu.Lock()
	defer l.mu.Unlock()

	return l.file, l.refusal
}

// wait waits for a task; when ctx ends, it cancels the task, and waits until
// nothing is left of it.
func wait(ctx context.Context, t urlsession.Task) error {
	select {
	case <-t.Done():
	case <-ctx.Done():
		t.Cancel()
		<-t.Done()
	}

	return t.Err()
}

// fileFor is the name under which a body is saved.
func (r *runner) fileFor(t *transfer, resp *urlsession.Response) (string, error) {
	if t.target.kind != toRemote {
		return t.target.name, r.claim(t.target.name)
	}
	name := resp.SuggestedFilename()
	if err := r.claim(name); err != nil {
		return "", err
	}
	// What the user typed may replace a file, as with curl. What only the server says
	// may not.
	typed := urlsession.Response{URL: t.request.URL, MIMEType: resp.MIMEType}
	if name != typed.SuggestedFilename() {
		if _, err := os.Lstat(name); err == nil {
			return "", failed(exitWrite, "the server calls the file %s, which exists; -o would replace it", name)
		}
	}

	return name, nil
}

// saved is what the display calls a transfer once its name is known.
func (o *outcome) saved() string {
	if o.file != "" {
		return printable(o.file)
	}

	return o.label()
}
