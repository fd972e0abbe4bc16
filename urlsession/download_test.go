package urlsession_test

import (
	"os"
	"path/filepath"
	"testing"
)

// nothingLeft fails the test if there is a temporary file of a download.
func nothingLeft(t *testing.T, folders ...string) {
	t.Helper()
	for _, folder := range append(folders, os.TempDir()) {
		left, err := filepath.Glob(filepath.Join(folder, ".urlkit-*"))
		if err != nil || len(left) > 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
	}
}
