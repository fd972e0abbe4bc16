package altsvc_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/storage/altsvc"
)

// What one process has learnt the next one knows. The file goes into
// Configuration.AlternativeServices.
func ExampleOpen() {
	folder, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)

		return
	}
	defer os.RemoveAll(folder)
	ctx, name := context.Background(), filepath.Join(folder, "services")
	for range 2 {
		file, err := altsvc.Open(ctx, name, nil)
		if err != nil {
			fmt.Println(err)

			return
		}
		fmt.Println("known:", len(file.Services("https example.com:443")))
		file.StoreServices("https example.com:443", []protocols.AlternativeService{
			{Protocol: "h3", Port: 443, Expires: time.Now().Add(time.Hour), Persist: true},
		})
		if err := file.Close(); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// known: 0
	// known: 1
}
