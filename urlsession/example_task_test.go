package urlsession_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/urlsession"
)

// A download is whole, or not there: it is written beside its place and published
// by rename.
func ExampleSession_Download() {
	cfg := urlsession.EphemeralConfiguration()
	cfg.Protocols = []protocols.Scheme{greeting}
	s, err := urlsession.New(cfg, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	folder, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(folder)

	req, err := urlsession.NewRequest("", "greeting:file", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	path := filepath.Join(folder, "greeting.txt")
	resp, err := s.Download(context.Background(), req, path)
	if err != nil {
		fmt.Println(err)
		return
	}
	content, err := os.ReadFile(path)
	fmt.Printf("%t %q %v\n", resp.OK(), content, err)
	// Output: true "Hello, file\n\nGoodbye\n" <nil>
}

// A task is made suspended, can be watched and steered, and tells its delegate.
func ExampleSession_DownloadTask() {
	folder, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(folder)
	cfg := urlsession.EphemeralConfiguration()
	cfg.Protocols = []protocols.Scheme{greeting}
	s, err := urlsession.New(cfg, &urlsession.Delegate{
		DidWriteData: func(_ *urlsession.DownloadTask, written, total, expected int64) {
			fmt.Printf("%d more, %d of %d\n", written, total, expected)
		},
		DidFinishDownloading: func(_ *urlsession.DownloadTask, f *urlsession.TemporaryFile) error {
			return f.MoveTo(filepath.Join(folder, "greeting.txt")) // not moved: removed when this returns
		},
		DidComplete: func(_ urlsession.Task, err error) { fmt.Println("complete:", err) },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close() // cancels what runs, and returns when the last task and the delegate are done

	req, err := urlsession.NewRequest("", "greeting:task", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	t := s.DownloadTask(req)
	fmt.Println(t.State())
	t.Resume()
	err = t.Wait(context.Background()) // when ctx ends only the waiting ends
	fmt.Println(t.State(), t.Progress().Fraction(), err)
	// Output:
	// suspended
	// 21 more, 21 of 21
	// complete: <nil>
	// completed 1 <nil>
}

// A completion handler gets the whole body, once.
func ExampleSession_DataTaskWithHandler() {
	cfg := urlsession.EphemeralConfiguration()
	cfg.Protocols = []protocols.Scheme{greeting}
	s, err := urlsession.New(cfg, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	req, err := urlsession.NewRequest("", "greeting:handler", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	s.DataTaskWithHandler(req, func(data []byte, resp *urlsession.Response, err error) {
		fmt.Printf("%q %s %v\n", data, resp.MIMEType, err)
	}).Resume()
	fmt.Println(s.Finish(context.Background())) // returns when the task is done
	// Output:
	// "Hello, handler\n\nGoodbye\n" text/plain <nil>
	// <nil>
}

// The delegate of one blocking call.
func ExampleWithTaskDelegate() {
	cfg := urlsession.EphemeralConfiguration()
	cfg.Protocols = []protocols.Scheme{echoing}
	s, err := urlsession.New(cfg, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	req, err := urlsession.NewRequest("PUT", "echoing:", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := urlsession.WithTaskDelegate(context.Background(), &urlsession.Delegate{
		DidSendBodyData: func(_ urlsession.Task, _, total, expected int64) { fmt.Println("sent", total, "of", expected) },
	})
	data, _, err := s.Upload(ctx, req, urlsession.StringBody("content"))
	fmt.Println(string(data), err)
	// Output:
	// sent 7 of 7
	// content <nil>
}

// Events are what tasks tell as values, for programs that were written against a
// wrapper of URLSession.
func ExampleEvents() {
	cfg := urlsession.EphemeralConfiguration()
	cfg.Protocols = []protocols.Scheme{greeting}
	s, err := urlsession.New(cfg, urlsession.Events(func(e urlsession.Event) { fmt.Printf("%T\n", e) }))
	if err != nil {
		fmt.Println(err)
		return
	}
	req, err := urlsession.NewRequest("", "greeting:events", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	task := s.DataTask(req) // starts by itself
	fmt.Println(task.Wait(context.Background()), s.Close())
	// Output:
	// urlsession.SessionCompleted
	// <nil> <nil>
}

// echoing answers with the request's body.
var echoing = protocols.Scheme{
	Name: "echoing", Security: protocols.Local,
	New: func(protocols.Client) protocols.URLProtocol {
		return loaderFunc(func(_ context.Context, req *protocols.Request) (*protocols.Response, error) {
			body, err := req.OpenBody()
			if err != nil {
				return nil, err
			}
			defer body.Close()
			content, err := io.ReadAll(body)
			if err != nil {
				return nil, err
			}

			return &protocols.Response{
				ContentLength: int64(len(content)), Body: io.NopCloser(bytes.NewReader(content)),
			}, nil
		})
	},
}

type loaderFunc func(context.Context, *protocols.Request) (*protocols.Response, error)

func (f loaderFunc) Load(ctx context.Context, req *protocols.Request) (*protocols.Response, error) {
	return f(ctx, req)
}
