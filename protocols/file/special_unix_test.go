//go:build unix

package file

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/protocols"
)

// TestSpecialFiles holds that none is waited for: nobody is at the other end of
// the pipe.
func TestSpecialFiles(t *testing.T) {
	leak.CheckFiles(t)
	folder := t.TempDir()
	pipe := filepath.Join(folder, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(folder, "socket")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Skip("no socket can be made here: ", err) // its path may be too long
	}
	defer listener.Close()
	for name, word := range map[string]string{pipe: "pipe", socket: "socket", "/dev/zero": "device"} {
		for _, method := range []string{"GET", "HEAD"} {
			_, err := load(t.Context(), method, fileURL(name, false), nil)
			if !errors.Is(err, protocols.CannotOpenFile) || !strings.Contains(err.Error(), word) {
				t.Errorf("%s %s: error %v", method, name, err)
			}
		}
		_, err := load(t.Context(), "PUT", fileURL(name, false), protocols.StringBody("x"))
		if !errors.Is(err, protocols.CannotWriteToFile) || !strings.Contains(err.Error(), word) {
			t.Errorf("PUT %s: error %v", name, err)
		}
	}
	if _, err := load(t.Context(), "PUT", fileURL(filepath.Join(pipe, "x"), false), nil); !errors.Is(err, protocols.CannotCreateFile) {
		t.Errorf("PUT into a pipe: error %v", err)
	}

	// A pipe that took the place of a file after it was looked at.
	f, err := os.OpenFile(pipe, openFlags, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := respond(t.Context(), &protocols.Request{}, f); !errors.Is(err, protocols.CannotOpenFile) {
		t.Errorf("an open pipe: error %v", err)
	}
}
