package http_test

import (
	"fmt"

	"github.com/urlkit/urlkit/protocols/http"
)

func ExampleSchemes() {
	for _, scheme := range http.Schemes(http.Config{MaximumConnectionsPerHost: 8}) {
		fmt.Println(scheme.Name, scheme.DefaultPort, scheme.Security)
	}
	// Output:
	// http 80 cleartext
	// https 443 encrypted
}
