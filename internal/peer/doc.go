// Package peer starts real servers for tests: nginx and others, as programs of their own on loopback.
//
// The scripts that start them are no part of this repository: URLKIT_PEERS names their folder, and where it is not set a
// test that asks for a peer is skipped. Each script is called as
//
//	SCRIPT DIR ARGUMENT...
//
// keeps all its files below DIR, listens on 127.0.0.1 only, stays in the foreground, and ends on SIGTERM. What a client
// must trust is DIR/pki/ca.crt.
//
// A test that starts a peer is called TestPeer..., which is how a run against real servers finds it.
package peer
