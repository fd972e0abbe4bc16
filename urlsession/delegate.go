package urlsession

import (
	"context"

	"github.com/urlkit/urlkit/protocols"
)

// Delegate answers a session's questions (Apple's URLSessionDelegate). Each
// function may be nil.
type Delegate struct {
	// DidReceiveChallenge is asked for a credential where neither the URL nor the
	// store has one that was not refused. It may block as long as it likes, or
	// until ctx ends: the load's clocks stand still. Calls for several loads may
	// overlap. It must not call Close, which would wait for it. nil: the response with the challenge (a 401, say) is the result.
	DidReceiveChallenge func(ctx context.Context, c *Challenge) (Disposition, *Credential)
}

func (d *Delegate) challenge() func(context.Context, *protocols.Challenge) (protocols.Disposition, *protocols.Credential) {
	if d == nil {
		return nil
	}

	return d.DidReceiveChallenge
}
