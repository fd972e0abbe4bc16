//go:build !unix

package main

import (
	"errors"
	"time"
)

// processorTime is the user and system time of this process.
func processorTime() (time.Duration, error) {
	return 0, errors.New("processor time is measured on Unix only")
}
