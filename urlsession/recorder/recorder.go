// Package recorder records the loads of a session as an HTTP Archive:
//
//	log, err := har.Create("session.har", har.Options{Log: har.Log{Creator: recorder.Creator}})
//	...
//	configuration.Observers = []urlsession.Observer{&recorder.Recorder{Log: log}}
//
// Each transaction becomes an entry when its load is done: redirects and answers to
// challenges have their own, as have the inner loads of composed protocols. The log is
// whole once it was closed, which comes after the session's Close. Secrets are redacted
// by the har.Writer, unless it is told otherwise.
//
// Custom fields of an entry say what the format has no place for: _protocol (the ALPN
// name), _cache (its verdict), _fromCache, _reused, _proxied, _inner, _retry (the
// reason), _policy, _tls, _multipath, _cellular, _expensive, _constrained and, on a
// response, _error and _transferSize; "_truncated" on a body says that only its
// beginning was recorded.
package recorder

import (
	"context"

	"github.com/urlkit/urlkit/har"
	"github.com/urlkit/urlkit/urlsession"
)

// Creator names this module in a log.
var Creator = har.Creator{Name: "urlkit", Version: urlsession.Version}

// Recorder is an Observer that writes what it sees to a log. Its fields must not be
// changed once a session has it; several sessions may share it.
type Recorder struct {
	// Log is where entries go; nil: nowhere, and nothing is observed. An error of its
	// stays with it, and comes out at Close.
	Log *har.Writer
	// Bodies is how many bytes of each body are recorded; 0: none. They are held in
	// memory until the load is done.
	Bodies int
}

// Observe is for the session.
func (r *Recorder) Observe(context.Context, *urlsession.Request) *urlsession.Observation {
	if r.Log == nil {
		return nil
	}

	return &urlsession.Observation{Bodies: r.Bodies, DidFinishCollecting: func(m *urlsession.TaskMetrics) {
		for i := range m.Transactions {
			_ = r.Log.Write(Entry(&m.Transactions[i])) // Close tells
		}
	}}
}
