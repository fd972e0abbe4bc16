package urlsession

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync/atomic"

	"github.com/urlkit/urlkit/internal/engine"
)

// lifetime outlives a session that nobody refers to any more, to say so.
type lifetime struct {
	invalidated atomic.Bool
	description atomic.Pointer[string]
	engine      *engine.Engine
	logger      *slog.Logger
	made        [16]uintptr // the stack that made the session
	depth       int
}

// watchLifetime warns of a session that is dropped without having been invalidated:
// its connections and its delegate's resources are left to chance.
func watchLifetime(s *Session) *lifetime {
	l := &lifetime{engine: s.engine, logger: s.log()}
	l.depth = runtime.Callers(3, l.made[:]) // 3: the caller of New
	runtime.AddCleanup(s, (*lifetime).dropped, l)

	return l
}

func (l *lifetime) dropped() {
	if l.invalidated.Load() {
		return
	}
	description := ""
	if d := l.description.Load(); d != nil {
		description = *d
	}
	l.logger.LogAttrs(context.Background(), slog.LevelWarn,
		"urlsession: a session was dropped without Close, Finish or an invalidation",
		slog.String("description", description), slog.String("made by", l.stack()))
	go func() { _ = l.engine.Finish() }() // streams may still be read; nobody is left who could be told
}

func (l *lifetime) stack() string {
	var b strings.Builder
	frames := runtime.CallersFrames(l.made[:l.depth])
	for {
		frame, more := frames.Next()
		fmt.Fprintf(&b, "%s\n\t%s:%d\n", frame.Function, frame.File, frame.Line)
		if !more {
			return b.String()
		}
	}
}

// log is where the session warns.
func (s *core) log() *slog.Logger {
	if s.configuration.Logger != nil {
		return s.configuration.Logger
	}

	return slog.Default()
}
