//go:build unix

package publish

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/urlkit/urlkit/protocols"
)

// permissions gives those of a file.
func permissions(t *testing.T, name string) fs.FileMode {
	t.Helper()
	info, err := os.Lstat(name)
	if err != nil {
		t.Fatal(err)
	}

	return info.Mode()
}

func TestPermissions(t *testing.T) {
	temporary, folder := newFolder(t), newFolder(t)
	ways := map[string]func(name string) error{
		"Publish": func(name string) error {
			_, err := made(t, "x")(Beside(name)).Publish(t.Context())

			return err
		},
		"MoveTo": func(name string) error {
			f := made(t, "x")(Temporary(temporary))
			if got := permissions(t, f.Name()); got != 0o600 {
				t.Errorf("a temporary file of mode %v", got)
			}

			return f.MoveTo(name)
		},
		"a copy": func(name string) error {
			f, to := made(t, "x")(Temporary(temporary)), made(t, "")(Beside(name))

			return errors.Join(f.Close(), f.copyOver(to))
		},
	}
	for way, write := range ways {
		for _, umask := range []int{0, 0o022, 0o027, 0o077} {
			old := syscall.Umask(umask)
			t.Cleanup(func() { syscall.Umask(old) })
			name := filepath.Join(folder, "file")
			for _, want := range []fs.FileMode{0, 0o600, 0o666, 0o751, 0o200} {
				if want == 0 {
					want = 0o666 &^ fs.FileMode(umask)
				} else if err := os.Chmod(name, want); err != nil {
					t.Fatal(err)
				}
				if err := write(name); err != nil {
					t.Fatal(err)
				}
				if got := permissions(t, name); got != want {
					t.Errorf("%s with umask %#o: mode %v, want %v", way, umask, got, want)
				}
			}
			syscall.Umask(old)
			if err := os.Remove(name); err != nil {
				t.Fatal(err)
			}
		}
	}
	holds(t, temporary)
}

// TestSpecialFiles holds that none is waited for: nobody is at the other end of
// the pipe.
func TestSpecialFiles(t *testing.T) {
	folder := newFolder(t)
	pipe, socket := filepath.Join(folder, "pipe"), filepath.Join(folder, "socket")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	kinds := map[string]string{pipe: "named pipe", "/dev/null": "device"}
	if listener, err := net.Listen("unix", socket); err == nil { // its path may be too long
		defer listener.Close()
		kinds[socket] = "socket"
	}
	f := made(t, "text")(Temporary(folder))
	for name, kind := range kinds {
		_, err := Beside(name)
		for what, err := range map[string]error{"Beside": err, "MoveTo": f.MoveTo(name)} {
			if !errors.Is(err, protocols.CannotWriteToFile) || !strings.Contains(err.Error(), kind) {
				t.Errorf("%s %s: %v", what, name, err)
			}
		}
	}
	if _, err := Beside(filepath.Join(pipe, "x")); !errors.Is(err, protocols.CannotCreateFile) {
		t.Errorf("below a pipe: %v", err)
	}
	if _, err := Temporary(pipe); !errors.Is(err, protocols.CannotCreateFile) {
		t.Errorf("temporary below a pipe: %v", err)
	}
}
