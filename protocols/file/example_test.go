package file_test

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"

	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/protocols/file"
)

// A session does this for you; alone, the protocol needs no Client.
func ExampleSchemes() {
	folder, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)

		return
	}
	defer os.RemoveAll(folder)
	protocol := file.Schemes(file.Config{})[0].New(nil)
	u := &url.URL{Scheme: "file", Path: filepath.ToSlash(filepath.Join(folder, "hello.txt"))}
	if u.Path[0] != '/' { // a drive
		u.Path = "/" + u.Path
	}

	written, err := protocol.Load(context.Background(), &protocols.Request{
		Method: "PUT", URL: u, Body: protocols.StringBody("Hello, world"),
	})
	if err != nil {
		fmt.Println(err)

		return
	}
	fmt.Println(written.StatusCode)

	resp, err := protocol.Load(context.Background(), &protocols.Request{
		URL: u, Header: map[string][]string{"Range": {"bytes=0-4"}},
	})
	if err != nil {
		fmt.Println(err)

		return
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	fmt.Println(resp.StatusCode, resp.MIMEType, resp.Header.Get("Content-Range"))
	fmt.Println(string(text), err)
	// Output:
	// 201
	// 206 text/plain bytes 0-4/12
	// Hello <nil>
}
