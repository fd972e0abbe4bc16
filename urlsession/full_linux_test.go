package urlsession_test

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/urlsession"
)

// smallDisk makes a folder on a file system of a few pages.
func smallDisk(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, "size=64k"); err != nil {
		t.Skip("only root can make a small file system: ", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(folder, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})

	return folder
}

// A disk that fills ends the download, and the file that was there is kept.
func TestDownloadToAFullDisk(t *testing.T) {
	for _, way := range downloads {
		t.Run(way.name, func(t *testing.T) {
			leak.Check(t)
			leak.CheckFiles(t)
			t.Setenv("TMPDIR", t.TempDir())
			folder := smallDisk(t)
			base := serve(t, "http/1.1", bodyOf(1<<20))
			put(t, "old", 0o600, folder, "old")
			s := session(t, nil)
			for _, name := range []string{"old", "new"} {
				err := way.load(t, s, get(t, base), filepath.Join(folder, name))
				if !errors.Is(err, syscall.ENOSPC) || !errors.Is(err, urlsession.CannotWriteToFile) && !errors.Is(err, urlsession.CannotMoveFile) {
					t.Errorf("%s: %v", name, err)
				}
				holds(t, "old", folder, "old")
			}
			if left, err := os.ReadDir(folder); err != nil || len(left) != 1 {
				t.Errorf("left behind: %v, %v", left, err)
			}
			nothingLeft(t, folder)
		})
	}
}

// The folder for temporary files may be full, too.
func TestTemporaryFilesOnAFullDisk(t *testing.T) {
	leak.Check(t)
	leak.CheckFiles(t)
	folder := smallDisk(t)
	t.Setenv("TMPDIR", folder)
	base := serve(t, "h2", bodyOf(1<<20))
	var words recorder
	s := delegated(t, words.delegate(), nil)
	task := s.DownloadTask(get(t, base))
	task.Resume()
	wantCode(t, wait(t, task), urlsession.CannotWriteToFile, syscall.ENOSPC)
	if got := words.String(); !strings.HasSuffix(got, " metrics(1) complete(-3003)") || strings.Contains(got, "downloaded") {
		t.Error(got)
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if data, resp := load(t, s, get(t, base+"/?short")); data != "short" || resp.StatusCode != http.StatusOK {
		t.Errorf("%q, %v", data, resp)
	}
}
