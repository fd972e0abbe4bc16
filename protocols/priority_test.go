package protocols_test

import (
	"testing"

	"github.com/urlkit/urlkit/protocols"
)

type observer struct {
	of   *protocols.Reprioritization
	seen []float64
}

func (o *observer) PriorityChanged() { o.seen = append(o.seen, o.of.Priority()) }

// Each observer is told of each change, and of none before it came and after it left.
func TestReprioritization(t *testing.T) {
	var none *protocols.Reprioritization
	none.AddObserver(&observer{of: none})
	none.SetPriority(1)
	none.RemoveObserver(nil)
	if none.Priority() != 0 || none.Observed() {
		t.Error("a nil Reprioritization holds something")
	}
	var r protocols.Reprioritization
	a, b := &observer{of: &r}, &observer{of: &r}
	r.SetPriority(0.1)
	r.AddObserver(a)
	r.SetPriority(0.2)
	r.AddObserver(b)
	r.SetPriority(0.3)
	r.SetPriority(0.3)
	r.RemoveObserver(a)
	r.RemoveObserver(a)
	r.SetPriority(0.4)
	if !r.Observed() {
		t.Error("one of two has left, and none is there")
	}
	r.RemoveObserver(b)
	r.SetPriority(0.5)
	if len(a.seen) != 2 || a.seen[0] != 0.2 || a.seen[1] != 0.3 || len(b.seen) != 2 || b.seen[0] != 0.3 || b.seen[1] != 0.4 || r.Observed() {
		t.Errorf("told %v and %v", a.seen, b.seen)
	}
	if n := testing.AllocsPerRun(100, func() {
		var r protocols.Reprioritization
		r.AddObserver(a)
		r.RemoveObserver(a)
	}); n > 1 {
		t.Errorf("one observer costs %v allocations beside the Reprioritization", n-1)
	}
}

// Whoever is told may ask, set and leave: no lock is held.
func TestReprioritizationHoldsNoLock(t *testing.T) {
	var r protocols.Reprioritization
	for range 4 {
		r.AddObserver(&leaver{of: &r})
	}
	r.SetPriority(0.25)
	if r.Observed() || r.Priority() != 1 {
		t.Errorf("observed %v, priority %v", r.Observed(), r.Priority())
	}
}

type leaver struct{ of *protocols.Reprioritization }

func (l *leaver) PriorityChanged() {
	l.of.RemoveObserver(l)
	l.of.SetPriority(1)
}
