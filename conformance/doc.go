// Package conformance is the suite that the author of a protocol runs. It loads
// what the author's [Fixture] serves through a real session pipeline, with a
// [protocols.Client] that counts connections and breaks them on purpose, and
// checks every clause of the contract in package protocols.
//
//	func TestConformance(t *testing.T) {
//		conformance.Run(t, conformance.Harness{Scheme: Scheme, Fixture: fixture})
//	}
//
// [Run] makes a subtest of each row; [Check] does the same without package
// testing and returns a [Report]. [Rows] lists what is checked, and why.
//
// # What it promises
//
// No false positives: a row fails only where a clause is broken, whatever the
// speed of the machine, unless something takes longer than Options.Patience that
// ought to be immediate. A row that cannot be judged with what the fixture
// offers is reported as not applicable, with the reason; it never passes in
// silence. A row cannot hang: each has a watchdog. Rows about concurrency say
// more under the race detector, and when repeated (go test -race -count=10).
//
// # Fixtures
//
// A fixture is a server, or files, or nothing at all, with URLs and what they
// are to give. Its servers listen on loopback under names that only the suite's
// dialer resolves ([Fixture.Hosts]), so that a protocol which opens its own
// connections cannot find them. Cuts, stalls, resets, byte-by-byte reads and
// garbage come from the suite's connections: a fixture needs no fault of its own.
package conformance
