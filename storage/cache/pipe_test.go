//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package cache_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/storage/cache"
)

// TestPipeInPlaceOfAFile puts pipes where files and folders were: whoever opens one
// waits for a writer, unless it takes care.
func TestPipeInPlaceOfAFile(t *testing.T) {
	leak.CheckFiles(t)
	for _, what := range []string{".head", ".body", "folder"} {
		t.Run(what, func(t *testing.T) {
			folder := t.TempDir()
			var log bytes.Buffer
			c := onDisk(folder)
			c.Logger = logTo(&log)
			body := text(200_000, 1)
			put(t, cache.New(c), entry("k", "", int64(len(body))), body)
			path := filepath.Dir(files(t, folder, ".head")[0])
			if what != "folder" {
				path = files(t, folder, what)[0]
			}
			if err := os.RemoveAll(path); err != nil {
				t.Fatal(err)
			}
			if err := syscall.Mkfifo(path, 0o600); err != nil {
				t.Fatal(err)
			}
			served := make(chan string, 1)
			go func() {
				found, err := cache.New(c).Lookup(ctx, "k")
				if len(found) == 1 {
					_, err = cache.New(c).Open(ctx, found[0], 0)
				}
				if err != nil {
					served <- err.Error()
				} else {
					served <- "nothing"
				}
			}()
			select {
			case got := <-served:
				if what == "folder" && !strings.Contains(got, "not a directory") {
					t.Error(got)
				}
			case <-time.After(10 * time.Second):
				if w, err := os.OpenFile(path, os.O_RDWR|syscall.O_NONBLOCK, 0); err == nil {
					defer w.Close() // lets it go
				}
				t.Fatal("it waits")
			}
			if what != "folder" && (len(files(t, folder, "")) != 0 || !strings.Contains(log.String(), "level=WARN")) {
				t.Errorf("left: %q; log %q", files(t, folder, ""), log.String())
			}
		})
	}
}
