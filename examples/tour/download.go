package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/urlkit/urlkit/urlsession"
)

// largeFile is the length of the file that the tour downloads.
const largeFile = 128 << 20

// serveLarge gives a body of largeFile bytes.
func serveLarge(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.Itoa(largeFile))
	piece := []byte(strings.Repeat("a large file ", 5<<10))
	for left := largeFile; left > 0; left -= len(piece) {
		if _, err := w.Write(piece[:min(left, len(piece))]); err != nil {
			return
		}
	}
}

// download loads a large file by a task, with a bar that lives where out is a
// terminal, and prints what the task measured.
func download(ctx context.Context, out io.Writer, o *origin, folder string) error {
	cfg := urlsession.EphemeralConfiguration()
	cfg.RootCAs = o.roots
	var metrics *urlsession.TaskMetrics
	s, err := urlsession.New(cfg, &urlsession.Delegate{
		DidFinishCollecting: func(_ urlsession.Task, m *urlsession.TaskMetrics) { metrics = m },
	})
	if err != nil {
		return err
	}
	defer s.Close()
	req, err := urlsession.NewRequest("", o.http2+"/large", nil)
	if err != nil {
		return err
	}
	task := s.DownloadTask(req)
	task.SaveTo = filepath.Join(folder, "large.bin") // whole, or not there
	task.Resume()
	show(out, task)
	if err := task.Wait(ctx); err != nil {
		return err
	}
	info, err := os.Stat(task.SaveTo)
	if err != nil {
		return err
	}
	t := metrics.Transactions[0]
	_, err = fmt.Fprintf(out, "%d bytes over %s, %s; first byte after %v, last after %v; local %v, remote %v\n",
		info.Size(), t.NetworkProtocolName, t.TLS(), t.ResponseStart.Sub(t.FetchStart).Round(10*time.Microsecond),
		t.ResponseEnd.Sub(t.FetchStart).Round(time.Millisecond), t.LocalAddr, t.RemoteAddr)

	return err
}

// show draws the task's progress until it is complete: a bar that moves on a
// terminal, and its last state elsewhere.
func show(out io.Writer, task urlsession.Task) {
	const width = 40
	draw := func(end string) {
		p := task.Progress()
		full := int(max(p.Fraction(), 0) * width)
		fmt.Fprintf(out, "[%s%s] %4.0f %%  %6.1f MB/s%s", strings.Repeat("=", full), strings.Repeat(" ", width-full),
			100*max(p.Fraction(), 0), p.Rate()/1e6, end)
	}
	fmt.Fprintln(out, "\nA large file, by a download task:")
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for live := isTerminal(out); ; {
		select {
		case <-task.Done():
			draw("\n")

			return
		case <-tick.C:
			if live {
				draw("\r")
			} else {
				task.Progress().Rate() // is measured from call to call
			}
		}
	}
}

func isTerminal(out io.Writer) bool {
	f, ok := out.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()

	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
