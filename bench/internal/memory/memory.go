// Package memory reads how much memory of this process is resident (Linux,
// proc_pid_status(5)).
package memory

import (
	"bytes"
	"fmt"
	"os"
)

// Resident is the memory that is resident now, in bytes.
func Resident() (int64, error) { return field("VmRSS") }

// Peak is the most that was resident since the process began, in bytes.
func Peak() (int64, error) { return field("VmHWM") }

func field(name string) (int64, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, fmt.Errorf("resident memory is known on Linux only: %w", err)
	}
	for line := range bytes.Lines(status) {
		value, found := bytes.CutPrefix(line, []byte(name+":"))
		if !found {
			continue
		}
		var kilobytes int64
		if _, err := fmt.Sscanf(string(value), "%d kB", &kilobytes); err != nil {
			return 0, fmt.Errorf("%s: %w", name, err)
		}

		return kilobytes << 10, nil
	}

	return 0, fmt.Errorf("/proc/self/status has no %s", name)
}
