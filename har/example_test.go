package har_test

import (
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"strings"

	"github.com/urlkit/urlkit/har"
)

// A long log is read entry by entry.
func ExampleReader() {
	r := har.NewReader(strings.NewReader(`{"log":{"entries":[{"request":{"method":"GET","url":"https://example.com/"},"response":{"status":200}}]}}`), har.Limits{})
	for {
		entry, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(entry.Request.Method, entry.Request.URL, entry.Response.Status)
	}
	// Output: GET https://example.com/ 200
}

// Secrets are taken out of what is written.
func ExampleWriter() {
	w := har.NewWriter(os.Stdout, har.Options{Log: har.Log{Creator: har.Creator{Name: "example", Version: "1"}}})
	if err := w.Close(); err != nil {
		log.Fatal(err)
	}
	fmt.Println(har.Redaction{}.URL("https://me:you@example.com/?page=2&access_token=abc"))
	// Output:
	// {"log":{"version":"1.2","creator":{"name":"example","version":"1"},"entries":[
	// ]}}
	// https://REDACTED@example.com/?page=2&access_token=REDACTED
}
