// Package path tells whether there is a way to the network, what it costs, and when
// that changes (Apple's NWPathMonitor).
package path

import "context"

// Path is the way to the network as it is at one time (Apple's NWPath). It can be
// compared: paths that differ in anything differ.
type Path struct {
	// Satisfied tells that there is a way to other hosts. Loopback needs none.
	Satisfied bool
	// Cellular tells that it goes over a cellular network, Expensive that the system
	// calls it expensive, as every cellular one, and Constrained that it asks for
	// little traffic (Apple's Low Data Mode). False where the system does not tell.
	Cellular, Expensive, Constrained bool
	// ID stands for what else there is: the interfaces, their addresses and the default
	// routes. 0: not known.
	ID uint64
}

// Monitor observes the path. It is safe for concurrent use.
type Monitor interface {
	// Current is the path as it is now, or was a moment ago.
	Current() Path
	// Next waits until the path is another than known, and returns it; the error is
	// that of ctx. It returns at once where the path is another already, so that no
	// change is missed between two calls.
	Next(ctx context.Context, known Path) (Path, error)
}
