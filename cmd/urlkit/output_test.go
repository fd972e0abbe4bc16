package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
)

func named(w http.ResponseWriter, r *http.Request) {
	if name := r.URL.Query().Get("name"); name != "" {
		w.Header().Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", name))
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	_, _ = io.WriteString(w, "body of "+r.URL.Path)
}

func TestOutputs(t *testing.T) {
	s := serve(t, named)
	tests := []struct {
		name string
		args []string
		want map[string]string // files
		out  string
	}{
		{"stdout", []string{"/a", "/b"}, nil, "body of /abody of /b"},
		{"-o", []string{"-o", "x", "/a"}, map[string]string{"x": "body of /a"}, ""},
		{"-o -", []string{"-o", "-", "/a"}, nil, "body of /a"},
		{"-o for each", []string{"-o", "x", "/a", "-o", "y", "/b"}, map[string]string{"x": "body of /a", "y": "body of /b"}, ""},
		{"-o for one", []string{"-o", "x", "/a", "/b"}, map[string]string{"x": "body of /a"}, "body of /b"},
		{"-O", []string{"-O", "/dir/a.bin"}, map[string]string{"a.bin": "body of /dir/a.bin"}, ""},
		{"-O for all", []string{"-O", "/a", "/b", "/c"}, map[string]string{"a": "body of /a", "b": "body of /b", "c": "body of /c"}, ""},
		{"-o and -O", []string{"-o", "x", "-O", "/a", "/b"}, map[string]string{"x": "body of /a", "b": "body of /b"}, ""},
		{"-O and -o", []string{"-O", "-o", "x", "/a", "/b"}, map[string]string{"a": "body of /a", "x": "body of /b"}, ""},
		{"-O from the head", []string{"-O", "/a?name=../../etc/pass%20wd"}, map[string]string{"_.._etc_pass wd": "body of /a"}, ""},
		{"--create-dirs", []string{"--create-dirs", "-o", "p/q/x", "/a"}, map[string]string{"p/q/x": "body of /a"}, ""},
		{"-s", []string{"-s", "-o", "x", "/a"}, map[string]string{"x": "body of /a"}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			args := []string{"get"}
			for _, arg := range test.args {
				if strings.HasPrefix(arg, "/") {
					arg = s.URL + arg
				}
				args = append(args, arg)
			}
			r := try(t, args...).want(t, 0)
			if r.out != test.out {
				t.Errorf("out is %q, want %q", r.out, test.out)
			}
			got := map[string]string{}
			_ = filepath.WalkDir(".", func(name string, d os.DirEntry, _ error) error {
				if !d.IsDir() {
					got[filepath.ToSlash(name)] = content(t, name)
				}

				return nil
			})
			if len(got) != len(test.want) || len(got) > 0 && !reflect.DeepEqual(got, test.want) {
				t.Errorf("files are %q, want %q", got, test.want)
			}
		})
	}
}

// What is there is replaced where the user named it, and only there.
func TestOverwriting(t *testing.T) {
	s := serve(t, named)
	t.Chdir(t.TempDir())
	write(t, "a", "old")
	try(t, "get", "-O", s.URL+"/a").want(t, 0)
	if got := content(t, "a"); got != "body of /a" {
		t.Errorf("-O of the URL's own name left %q", got)
	}
	write(t, "precious", "old")
	r := try(t, "get", "-O", s.URL+"/a?name=precious").want(t, exitWrite)
	contains(t, "the error", r.err, "precious", "(23)")
	if got := content(t, "precious"); got != "old" {
		t.Errorf("a server's name replaced a file: %q", got)
	}
	r = try(t, "get", "-O", s.URL+"/new?name=same", s.URL+"/new?name=same").want(t, exitWrite)
	contains(t, "the error", r.err, "another URL of this command is saved as same")
}

func TestPlacesThatCannotBeWritten(t *testing.T) {
	var asked atomic.Int32
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		named(w, r)
	})
	t.Chdir(t.TempDir())
	if err := os.Mkdir("folder", 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, "file", "old")
	for _, name := range []string{"folder", "missing/x", "file/x"} {
		try(t, "get", "-o", name, s.URL+"/a").want(t, exitWrite)
	}
	if n := asked.Load(); n > 0 {
		t.Errorf("%d requests were sent for nothing", n)
	}
	try(t, "get", "-O", s.URL+"/folder").want(t, exitWrite)
	if got := files(t, "."); !reflect.DeepEqual(got, []string{"file", "folder"}) {
		t.Errorf("left %q", got)
	}
}

// A device is written to, a link stays and what it leads to is replaced.
func TestSpecialPlaces(t *testing.T) {
	s := serve(t, named)
	t.Chdir(t.TempDir())
	if _, err := os.Stat("/dev/null"); err == nil {
		r := try(t, "get", "-o", "/dev/null", "-o", "/dev/null", s.URL+"/a", s.URL+"/b").want(t, 0)
		contains(t, "the lines", r.err, "/dev/null: 10 B in ")
		if info, err := os.Stat("/dev/null"); err != nil || info.Mode().IsRegular() {
			t.Errorf("/dev/null is %v, %v", info, err)
		}
	}
	write(t, "file", "old")
	if err := os.Symlink("file", "link"); err != nil {
		t.Skip(err)
	}
	try(t, "get", "-o", "link", s.URL+"/a").want(t, 0)
	if info, err := os.Lstat("link"); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is %v, %v", info, err)
	}
	if got := content(t, "file"); got != "body of /a" {
		t.Errorf("what it leads to is %q", got)
	}
}

// One URL that fails is no reason for the others to.
func TestSeveral(t *testing.T) {
	s := serve(t, named)
	t.Chdir(t.TempDir())
	args := []string{"get", "-O", "gopher://x/one", "http://[", s.URL + "/a"}
	for i := range 20 {
		args = append(args, fmt.Sprintf("%s/f%d", s.URL, i))
	}
	r := try(t, args...).want(t, exitScheme) // of the first that failed
	if got := files(t, "."); len(got) != 21 {
		t.Errorf("files are %q", got)
	}
	contains(t, "the errors", r.err, "urlkit: (1) ", "urlkit: (3) ")
	if r := try(t, "get", "http://[", s.URL+"/a", "gopher://x/").want(t, exitURL); r.out != "body of /a" {
		t.Errorf("out is %q", r.out)
	}
}
