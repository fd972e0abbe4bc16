package callback

import (
	"fmt"
	"runtime/debug"
	"sync"
)

// serial runs an author's functions one after another, in the order given. It has
// a goroutine only while there is something to run. The zero value is ready.
type serial struct {
	mu      sync.Mutex
	queue   []func()
	running bool
}

func (s *serial) run(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = append(s.queue, f)
	if !s.running {
		s.running = true
		go s.drain()
	}
}

func (s *serial) drain() {
	clean := false
	defer func() {
		if !clean { // runtime.Goexit in the author's code took this goroutine
			go s.drain()
		}
	}()
	for {
		s.mu.Lock()
		if len(s.queue) == 0 {
			s.running, clean = false, true
			s.mu.Unlock()

			return
		}
		f := s.queue[0]
		s.queue = s.queue[1:]
		s.mu.Unlock()
		f()
	}
}

// PanicError is the error of a load whose protocol panicked. It is found by
// errors.As; its text has the value and not the stack.
type PanicError struct {
	// Call is what was called: "StartLoading".
	Call string
	// Value is what was given to panic; nil if the goroutine was ended by
	// runtime.Goexit instead.
	Value any
	// Stack is the stack of the goroutine.
	Stack []byte
}

// Error names the call and the value.
func (e *PanicError) Error() string {
	if e.Value == nil {
		return "callback: " + e.Call + " ended its goroutine"
	}

	return fmt.Sprintf("callback: %s panicked: %v", e.Call, e.Value)
}

// Unwrap is the value where it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)

	return err
}

// guard calls the author's code; failed gets the error if it does not return.
func guard(call string, f func(), failed func(error)) {
	returned := false
	defer func() {
		if !returned {
			failed(&PanicError{Call: call, Value: recover(), Stack: debug.Stack()})
		}
	}()
	f()
	returned = true
}
