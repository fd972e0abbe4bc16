package goroutine

import (
	"runtime"
	"sync"
	"testing"
)

// grow makes the stack move, which changes every address in it.
func grow(n int) int {
	var room [512]byte
	if n == 0 {
		return len(room)
	}

	return grow(n-1) + int(room[n%len(room)])
}

func TestCurrent(t *testing.T) {
	const goroutines = 100
	var group, held sync.WaitGroup
	held.Add(goroutines)
	ids := make([]ID, goroutines)
	for i := range ids {
		group.Go(func() {
			ids[i] = Current()
			grow(100)
			runtime.GC()
			if again := Current(); again != ids[i] {
				t.Errorf("%x, then %x", ids[i], again)
			}
			held.Done()
			held.Wait() // all of them run at once
		})
	}
	group.Wait()
	seen := map[ID]bool{0: true, Current(): true}
	for _, id := range ids {
		if seen[id] {
			t.Fatalf("%x twice", id)
		}
		seen[id] = true
	}
}
