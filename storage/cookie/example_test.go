package cookie_test

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"github.com/urlkit/urlkit/storage"
	"github.com/urlkit/urlkit/storage/cookie"
)

func ExampleOpen() {
	folder, err := os.MkdirTemp("", "cookies-")
	if err != nil {
		fmt.Println(err)

		return
	}
	defer os.RemoveAll(folder)
	name := filepath.Join(folder, "cookies")
	file, err := cookie.Open(context.Background(), name, nil)
	if err != nil {
		fmt.Println(err)

		return
	}
	q := &storage.CookieQuery{URL: &url.URL{Scheme: "https", Host: "www.example.org", Path: "/"}}
	file.StoreCookies(q, []string{"theme=dark; Max-Age=3600", "id=1"}) // a session does this
	if err := file.Close(); err != nil {
		fmt.Println(err)
	}

	again, err := cookie.Open(context.Background(), name, nil)
	if err != nil {
		fmt.Println(err)

		return
	}
	defer again.Close()
	fmt.Println(again.CookieHeader(q)) // id ended with the first
	// Output: theme=dark
}
