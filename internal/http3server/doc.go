// Package http3server is an HTTP/3 server, and a bad network before it, for the tests of
// packages that have nothing to do with QUIC themselves. Its server is left out with the
// tag urlkit_nohttp3.
package http3server
