package publish_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/urlkit/urlkit/internal/publish"
)

func TestWholeFiles(t *testing.T) {
	folder := t.TempDir()
	name := filepath.Join(folder, "file")
	if data, err := publish.ReadFile(name, 4); data != nil || err != nil {
		t.Errorf("a file that is missing: %q, %v", data, err)
	}
	if err := publish.Remove(name); err != nil {
		t.Error(err)
	}
	for _, text := range []string{"four", "longer"} {
		if err := publish.WriteFile(t.Context(), name, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if data, err := publish.ReadFile(name, 4); string(data) != text[:min(len(text), 5)] || err != nil {
			t.Errorf("%q: %q, %v", text, data, err)
		}
	}
	if _, err := publish.ReadFile(folder, 4); err == nil {
		t.Error("a folder was read")
	}
	if err := publish.Remove(name); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(name); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it is there: %v", err)
	}
	if err := publish.WriteFile(t.Context(), filepath.Join(folder, "none", "file"), nil); err == nil {
		t.Error("written into a folder that is missing")
	}
}
