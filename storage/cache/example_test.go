package cache_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/urlkit/urlkit/storage/cache"
)

func ExampleNew() {
	folder, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(folder)

	// An app would take a folder in os.UserCacheDir.
	store := cache.New(cache.Config{
		MemoryCapacity: cache.DefaultMemoryCapacity,
		DiskCapacity:   512 << 20,
		Directory:      filepath.Join(folder, "responses"),
	})
	fmt.Println("the longest body that is stored:", store.MaximumBody()>>20, "MiB")

	used, err := store.DiskUsage()
	fmt.Println("on disk:", used, err)

	// When the user logs out:
	fmt.Println("emptied:", store.RemoveAll(context.Background()))
	// Output:
	// the longest body that is stored: 25 MiB
	// on disk: 0 <nil>
	// emptied: <nil>
}
