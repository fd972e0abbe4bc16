package rules

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// echoSource is the protocol that the README shows, as an author elsewhere writes it.
const echoSource = `// Package echo loads echo: URLs.
package echo

import (
	"context"

	"github.com/urlkit/urlkit/protocols"
)

type echo struct{ client protocols.Client }

func (e echo) Load(ctx context.Context, req *protocols.Request) (*protocols.Response, error) {
	conn, err := e.client.Dial(ctx, "tcp", req.HostPort())
	if err != nil {
		return nil, err
	}
	if err := req.WriteBody(conn); err != nil {
		conn.Close()
		return nil, err
	}

	return &protocols.Response{MIMEType: "text/plain", ContentLength: -1, Body: conn}, nil
}

// Scheme is what a registry holds.
var Scheme = protocols.Scheme{Name: "echo", DefaultPort: 7, New: func(c protocols.Client) protocols.URLProtocol { return echo{c} }}
`

// echoTest is how its author tests it.
const echoTest = `package echo

import (
	"testing"

	"github.com/urlkit/urlkit/conformance"
)

func TestConformance(t *testing.T) { conformance.Run(t, conformance.Harness{Scheme: Scheme}) }
`

// A module that defines a protocol needs this module and nothing else.
func TestAuthorNeedsOneModule(t *testing.T) {
	author := newAuthor(t, map[string]string{"echo.go": echoSource})
	author.tidy(t)
	author.command(t, "vet", "./...")
	mod := author.mod(t)
	if len(mod.Require) != 1 || mod.Require[0].Path != module || mod.Require[0].Indirect {
		t.Errorf("requires %+v, want %s alone", mod.Require, module)
	}
	if _, err := os.Stat(filepath.Join(author.dir, "go.sum")); !os.IsNotExist(err) {
		t.Errorf("has a go.sum (%v): something is downloaded", err)
	}
}

// A module that tests its protocol with the suite requires this module, and downloads golang.org/x at most.
func TestAuthorTestsWithConformance(t *testing.T) {
	author := newAuthor(t, map[string]string{"echo.go": echoSource, "echo_test.go": echoTest})
	author.tidy(t)
	author.command(t, "vet", "./...")
	direct := 0
	for _, r := range author.mod(t).Require {
		switch {
		case !r.Indirect:
			direct++
			if r.Path != module {
				t.Errorf("requires %s: %s alone is what the author imports", r.Path, module)
			}
		case !strings.HasPrefix(r.Path, "golang.org/x/"):
			t.Errorf("requires %s indirectly: what comes with conformance is golang.org/x at most", r.Path)
		}
	}
	if direct != 1 {
		t.Errorf("%d direct requirements, want 1", direct)
	}
}

// author is a module of someone who writes a protocol: in a folder of its own, with this checkout for urlkit.
type author struct{ dir string }

func newAuthor(t *testing.T, sources map[string]string) author {
	t.Helper()
	if testing.Short() {
		t.Skip("builds a module of its own; not with -short")
	}
	checkout, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	a := author{t.TempDir()}
	sources["go.mod"] = "module example.org/echo\n\ngo 1.26.0\n\nreplace " + module + " => " + strconv.Quote(checkout) + "\n"
	for name, text := range sources {
		if err := os.WriteFile(filepath.Join(a.dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	a.command(t, "mod", "edit", "-require="+module+"@v0.0.0")

	return a
}

// command runs the go command in the author's module, with what the module cache holds and no network.
func (a author) command(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Dir = a.dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off", "GOSUMDB=off", "GOWORK=off", "GOTOOLCHAIN=local")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}

	return string(out)
}

func (a author) tidy(t *testing.T) {
	t.Helper()
	a.command(t, "mod", "tidy")
}

// goMod is what go mod edit -json prints.
type goMod struct {
	Require []struct {
		Path     string
		Indirect bool
	}
}

func (a author) mod(t *testing.T) goMod {
	t.Helper()
	var mod goMod
	if err := json.Unmarshal([]byte(a.command(t, "mod", "edit", "-json")), &mod); err != nil {
		t.Fatal(err)
	}

	return mod
}
