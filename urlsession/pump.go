package urlsession

import (
	"bytes"
	"errors"
	"slices"
	"sync"

	"github.com/urlkit/urlkit/internal/goroutine"
)

// ErrInCallback is what Wait, Close and Finish return inside a callback of the
// same session: they would wait for the callback that they are called from.
var ErrInCallback = errors.New("urlsession: this would wait for the callback that it is called from")

// pump makes the calls of a session one at a time: who makes one has the session's
// token meanwhile. A blocking call has one of its own.
type pump struct {
	queue func(func()) // Configuration.Queue; nil: calls are made where they come up

	mu     sync.Mutex
	free   sync.Cond
	busy   bool
	holder goroutine.ID             // the one that makes a call; 0: none does
	posted []func()                 // to be made by the holder, in order
	copied int                      // bytes that wait with them
	within map[goroutine.ID][]*task // who runs a function of the app's beside the calls, and for which tasks
}

func newPump() *pump {
	p := &pump{}
	p.free.L = &p.mu

	return p
}

// maxCopied bounds the data that waits for a Queue.
const maxCopied = 1 << 20

// tell makes a call, and returns when it was made.
func (p *pump) tell(call func()) {
	if p.queue != nil {
		done := make(chan struct{})
		p.post(func() {
			defer close(done)
			call()
		})
		<-done

		return
	}
	id := goroutine.Current()
	p.mu.Lock()
	for p.busy {
		p.free.Wait()
	}
	p.busy, p.holder = true, id
	p.mu.Unlock()
	defer p.drain() // even if call ends the goroutine, as testing's FailNow does
	call()
}

// give makes a call with data: lent where calls are made at once, copied where a
// Queue makes them later.
func (p *pump) give(data []byte, call func([]byte)) {
	if p.queue == nil {
		p.tell(func() { call(data) })

		return
	}
	p.mu.Lock()
	for p.copied > 0 && p.copied+len(data) > maxCopied {
		p.free.Wait()
	}
	p.copied += len(data)
	p.mu.Unlock()
	data = bytes.Clone(data)
	p.post(func() {
		defer func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.copied -= len(data)
			p.free.Broadcast()
		}()
		call(data)
	})
}

// post leaves a call to whoever makes calls, and to a goroutine of its own if nobody
// does: never to the caller, who may hold locks of the app's. It does not wait.
func (p *pump) post(call func()) {
	if p.add(call) {
		p.start()
	}
}

// add is post but for the start of a goroutine: if it tells so, the caller calls
// start, once it holds no lock.
func (p *pump) add(call func()) (idle bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.posted = append(p.posted, call)
	idle = !p.busy
	p.busy = true

	return idle
}

// start makes what was left, on another goroutine. The caller has the token, and
// gives it away.
func (p *pump) start() {
	if p.queue != nil {
		p.queue(p.work)

		return
	}
	go p.work()
}

// work makes what was left, and gives the token back.
func (p *pump) work() {
	p.mu.Lock()
	p.holder = goroutine.Current()
	p.mu.Unlock()
	p.drain()
}

// drain makes the calls that were left meanwhile, and gives the token back. The
// caller has it.
func (p *pump) drain() {
	free := false
	defer func() {
		if !free { // a call has ended this goroutine
			p.start()
		}
	}()
	for {
		p.mu.Lock()
		if len(p.posted) == 0 {
			break
		}
		call := p.posted[0]
		p.posted[0] = nil
		p.posted = p.posted[1:]
		p.mu.Unlock()
		call()
	}
	p.posted = nil
	p.busy, p.holder = false, 0
	p.free.Broadcast()
	free = true
	p.mu.Unlock()
}

// inside tells whether the caller runs in one of the session's calls. of: or
// answers a question of that task, nil: of any; a call that the task of a blocking
// call makes counts as one.
func (p *pump) inside(of *task) bool {
	id := goroutine.Current()
	p.mu.Lock()
	defer p.mu.Unlock()
	around := p.within[id]

	return p.holder == id || of == nil && len(around) > 0 || slices.Contains(around, of)
}

// enter notes that the caller runs a function of the app's for a task, beside the
// session's calls; exit follows.
func (p *pump) enter(t *task) {
	id := goroutine.Current()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.within == nil {
		p.within = make(map[goroutine.ID][]*task)
	}
	p.within[id] = append(p.within[id], t)
}

// exit undoes the caller's last enter.
func (p *pump) exit() {
	id := goroutine.Current()
	p.mu.Lock()
	defer p.mu.Unlock()
	if around := p.within[id]; len(around) > 1 {
		p.within[id] = around[:len(around)-1]
	} else {
		delete(p.within, id)
	}
}
