package urlsession_test

import (
	"context"
	"log/slog"
	"net/http"
	"testing"

	"github.com/urlkit/urlkit/urlsession"
)

// BenchmarkMeasuring is what measuring costs a small GET over loopback: by nobody, by
// the call, by an observer, and with debug records.
func BenchmarkMeasuring(b *testing.B) {
	base := serve(b, "http/1.1", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 1024)) }))
	for _, row := range []struct {
		name    string
		change  func(*urlsession.Configuration)
		context func(context.Context) context.Context
	}{
		{"nobody", nil, nil},
		{"WithMetrics", nil, func(ctx context.Context) context.Context {
			return urlsession.WithMetrics(ctx, new(urlsession.TaskMetrics))
		}},
		{"Observer", func(c *urlsession.Configuration) { c.Observers = []urlsession.Observer{nothing{}} }, nil},
		{"debug records", func(c *urlsession.Configuration) { c.Logger = slog.New(recordless{slog.DiscardHandler}) }, nil},
	} {
		b.Run(row.name, func(b *testing.B) {
			s, req := delegated(b, nil, row.change), get(b, base)
			b.ReportAllocs()
			for b.Loop() {
				ctx := b.Context()
				if row.context != nil {
					ctx = row.context(ctx)
				}
				if _, _, err := s.Data(ctx, req); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// nothing observes and does nothing with it.
type nothing struct{}

func (nothing) Observe(context.Context, *urlsession.Request) *urlsession.Observation {
	return &urlsession.Observation{DidFinishCollecting: func(*urlsession.TaskMetrics) {}}
}

// recordless takes every record and drops it.
type recordless struct{ slog.Handler }

func (recordless) Enabled(context.Context, slog.Level) bool  { return true }
func (r recordless) WithAttrs([]slog.Attr) slog.Handler      { return r }
func (recordless) Handle(context.Context, slog.Record) error { return nil }
