//go:build !amd64 && !arm64

package goroutine

import (
	"bytes"
	"runtime"
	"strconv"
)

// Current is the calling goroutine's: its number, as a stack trace tells it.
func Current() ID {
	var buffer [40]byte
	text := bytes.TrimPrefix(buffer[:runtime.Stack(buffer[:], false)], []byte("goroutine "))
	if end := bytes.IndexByte(text, ' '); end > 0 {
		text = text[:end]
	}
	id, _ := strconv.ParseUint(string(text), 10, 64)

	return ID(id)
}
