package urlsession_test

import (
	"context"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/urlsession"
)

// reading is what a Progress says.
type reading struct {
	completed, total int64
	fraction         float64
}

func wantProgress(t *testing.T, when string, p *urlsession.Progress, want reading) {
	t.Helper()
	if got := (reading{p.Completed(), p.Total(), p.Fraction()}); got != want {
		t.Errorf("%s: %+v, want %+v", when, got, want)
	}
}

// metered answers as slowly as it is told: a piece for each value of a channel.
func metered(length int64, pieces <-chan int) loadFunc {
	return func(_ context.Context, req *protocols.Request) (*protocols.Response, error) {
		if req.Body != nil {
			if err := req.WriteBody(io.Discard); err != nil {
				return nil, err
			}
		}
		r, w := io.Pipe()
		go func() {
			for n := range pieces {
				if _, err := w.Write(make([]byte, n)); err != nil {
					return
				}
			}
			_ = w.Close()
		}()

		return &protocols.Response{StatusCode: http.StatusOK, ContentLength: length, Body: r}, nil
	}
}

func TestProgress(t *testing.T) {
	leak.Check(t)
	synctest.Test(t, func(t *testing.T) {
		pieces := make(chan int)
		s := inside(t, nil, metered(1000, pieces), nil)
		task := s.UploadTask(request(t, http.MethodPost, "made://host/", nil), urlsession.BytesBody(make([]byte, 1000)))
		p := task.Progress()
		wantProgress(t, "at first", p, reading{0, -1, -1})
		task.Resume()
		synctest.Wait()
		wantProgress(t, "at the head", p, reading{1000, 2000, 0.5})
		if got := p.Rate(); got != 0 {
			t.Errorf("the first rate is %v", got)
		}
		for _, piece := range []int{100, 100, 300} {
			<-time.After(time.Second)
			pieces <- piece
			synctest.Wait()
			if got := p.Rate(); got < 99 || got > 200 {
				t.Errorf("rate %v", got)
			}
		}
		wantProgress(t, "in the middle", p, reading{1500, 2000, 0.75})
		if left := p.Remaining(); left < 2*time.Second || left > 5*time.Second {
			t.Errorf("%v remaining", left)
		}
		pieces <- 500
		close(pieces)
		<-task.Done()
		wantProgress(t, "at the end", p, reading{2000, 2000, 1})
		if left := p.Remaining(); left != 0 {
			t.Errorf("%v remaining at the end", left)
		}
		if task.Progress() != p {
			t.Error("a task has two of them")
		}
	})
}

// A task that is complete has come to its end, however it ended and whoever asks
// when for the first time.
func TestProgressOfACompleteTask(t *testing.T) {
	leak.Check(t)
	s := delegated(t, nil, nil)
	good, empty, bad, never := s.DataTask(get(t, "data:,12345")), s.DataTask(get(t, "data:,")), s.DataTask(get(t, "none://x/")), s.DataTask(get(t, "data:,x"))
	early := []*urlsession.Progress{good.Progress(), empty.Progress(), bad.Progress()}
	for i, task := range []urlsession.Task{good, empty, bad} {
		task.Resume()
		_ = wait(t, task)
		want := reading{0, 0, 1}
		if task == good {
			want = reading{5, 5, 1}
		}
		wantProgress(t, "asked early", early[i], want)
	}
	late := s.DataTask(get(t, "none://x/"))
	late.Resume()
	_ = wait(t, late)
	wantProgress(t, "asked late", late.Progress(), reading{0, 0, 1})
	never.Cancel()
	_ = wait(t, never)
	wantProgress(t, "cancelled", never.Progress(), reading{0, 0, 1})
}

// Children add up; one whose total is unknown makes that of all unknown.
func TestProgressOfSeveral(t *testing.T) {
	leak.Check(t)
	synctest.Test(t, func(t *testing.T) {
		var sum, all urlsession.Progress
		wantProgress(t, "without children", &sum, reading{0, 0, 0})
		if left := sum.Remaining(); left != 0 {
			t.Errorf("%v remaining of nothing", left)
		}
		known, unknown := make(chan int), make(chan int)
		one := inside(t, nil, metered(100, known), nil).DataTask(get(t, "made://host/"))
		two := inside(t, nil, metered(-1, unknown), nil).DataTask(get(t, "made://host/"))
		sum.Add(one.Progress())
		one.Resume()
		two.Resume()
		known <- 50
		unknown <- 100
		synctest.Wait()
		wantProgress(t, "one", &sum, reading{50, 100, 0.5})
		sum.Add(two.Progress())
		all.Add(&sum)
		wantProgress(t, "both", &all, reading{150, -1, -1})
		if left := all.Remaining(); left != -1 {
			t.Errorf("%v remaining of an unknown total", left)
		}
		close(unknown)
		<-two.Done()
		wantProgress(t, "one is complete", &all, reading{150, 200, 0.75})
		known <- 50
		close(known)
		<-one.Done()
		wantProgress(t, "both are", &all, reading{200, 200, 1})
	})
}
