package urlsession

import (
	"sync"
	"time"
)

// Progress tells how far a task is, or several together: a Progress of one's own
// adds up those that are added to it (Apple's NSProgress). The zero value has
// nothing to do and can be added to. It is safe for concurrent use.
type Progress struct {
	task *task // nil: it adds up its children

	mu       sync.Mutex
	children []*Progress
	rate     float64
	since    time.Time // of the first sample
	at       time.Time // of the last one
	bytes    int64
}

// Add makes p count what others count. It must not count itself, directly or by
// another.
func (p *Progress) Add(children ...*Progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.children = append(p.children, children...)
}

// Completed are the bytes of bodies that were sent and received so far.
func (p *Progress) Completed() int64 {
	completed, _ := p.counts()

	return completed
}

// Total are the bytes that are to be sent and received; -1 unknown. Of a task that
// is complete it is what Completed says.
func (p *Progress) Total() int64 {
	_, total := p.counts()

	return total
}

// Fraction is between 0 and 1; -1 while the total is unknown. It is 1 for a task
// that is complete, however it ended.
func (p *Progress) Fraction() float64 {
	completed, total := p.counts()
	switch {
	case total < 0:
		return -1
	case completed >= total:
		if total > 0 || p.finished() {
			return 1
		}

		return 0
	default:
		return float64(completed) / float64(total)
	}
}

func (p *Progress) counts() (completed, total int64) {
	p.mu.Lock()
	children := p.children
	p.mu.Unlock()
	if t := p.task; t != nil {
		complete := t.State() == StateCompleted // before the counts, which are then final
		completed = t.sent.Load() + t.received.Load()
		send, receive := t.toSend.Load(), t.toReceive.Load()
		switch {
		case complete:
			total = completed
		case send < 0 || receive < 0 || t.Response() == nil:
			total = -1
		default:
			total = send + receive
		}
	}
	for _, child := range children {
		c, t := child.counts()
		completed += c
		if t < 0 || total < 0 {
			total = -1
		} else {
			total += t
		}
	}

	return completed, total
}

// finished tells whether all that is counted is complete.
func (p *Progress) finished() bool {
	p.mu.Lock()
	children := p.children
	p.mu.Unlock()
	if p.task != nil && p.task.State() != StateCompleted {
		return false
	}
	for _, child := range children {
		if !child.finished() {
			return false
		}
	}

	return p.task != nil || len(children) > 0
}

const (
	// sampleEvery is the least time between two samples of the rate.
	sampleEvery = 100 * time.Millisecond
	// rateOver is the time over which the rate is smoothed.
	rateOver = 3 * time.Second
)

// Rate is how many bytes moved in a second lately. It is measured from one call of
// Rate or Remaining to the next: ask regularly. The first call gives 0.
func (p *Progress) Rate() float64 {
	completed := p.Completed()
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	passed := now.Sub(p.at)
	switch {
	case p.at.IsZero():
		p.since, p.at, p.bytes = now, now, completed
	case passed >= sampleEvery:
		latest := float64(max(completed-p.bytes, 0)) / passed.Seconds()
		over := min(now.Sub(p.since), rateOver) // at first it is the mean so far
		p.rate += min(float64(passed)/float64(over), 1) * (latest - p.rate)
		p.at, p.bytes = now, completed
	}

	return p.rate
}

// Remaining is the time that is left at the present rate; -1 while the total or the
// rate is unknown.
func (p *Progress) Remaining() time.Duration {
	rate := p.Rate()
	completed, total := p.counts()
	switch {
	case total >= 0 && completed >= total:
		return 0
	case total < 0 || rate <= 0:
		return -1
	}
	left := float64(total-completed) / rate

	return time.Duration(min(left, float64(1<<62)/float64(time.Second)) * float64(time.Second))
}
