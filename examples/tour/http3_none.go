//go:build urlkit_nohttp3

package main

import (
	"crypto/tls"
	"net/http"
)

// withHTTP3: HTTP/3 is left out of the build.
const withHTTP3 = false

// startHTTP3 has no server in this build.
func startHTTP3(tls.Certificate, http.Handler) (url string, stop func() error, err error) {
	return "", func() error { return nil }, nil
}
