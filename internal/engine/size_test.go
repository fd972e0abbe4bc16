package engine

import (
	"testing"
	"unsafe"
)

// A load that waits costs at most 1 KiB: there may be tens of thousands.
func TestLoadIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(load{}); n > 1<<10 {
		t.Errorf("a load has %d bytes, 1024 at most", n)
	}
}
