package data_test

import (
	"context"
	"fmt"
	"io"

	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/protocols/data"
)

// A session does this for you; alone, the protocol needs no Client.
func ExampleSchemes() {
	protocol := data.Schemes()[0].New(nil)
	req, err := protocols.NewRequest("GET", "data:text/html;charset=UTF-8;base64,PGgxPkhpPC9oMT4", nil)
	if err != nil {
		fmt.Println(err)

		return
	}
	resp, err := protocol.Load(context.Background(), req)
	if err != nil {
		fmt.Println(err)

		return
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	fmt.Println(resp.MIMEType, resp.TextEncodingName, resp.ContentLength)
	fmt.Println(string(text), err)
	// Output:
	// text/html utf-8 11
	// <h1>Hi</h1> <nil>
}
