// Package child starts this program once more, in a process with a role of its
// own: a server whose costs must not count as the client's, or a client whose
// memory is measured. Parent and child exchange JSON values over the child's
// standard input and output. A child ends when its input does, so that none
// outlives its parent.
package child

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// variable names the role in a child's environment.
const variable = "URLKIT_BENCH_ROLE"

// grace is what a child gets to end by itself.
const grace = 10 * time.Second

// Role is what a child does. It ends when the pipe gives io.EOF.
type Role func(parent *Pipe) error

// Pipe is one end of the exchange between a parent and a child.
type Pipe struct {
	in  *json.Decoder
	out *json.Encoder
}

// Send gives the other side a value.
func (p *Pipe) Send(v any) error { return p.out.Encode(v) }

// Receive waits for a value; io.EOF says that the other side has ended.
func (p *Pipe) Receive(v any) error { return p.in.Decode(v) }

// UntilEnd returns when the parent stops the child.
func (p *Pipe) UntilEnd() error {
	var ignored json.RawMessage
	for {
		switch err := p.Receive(&ignored); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// Main runs the role that this process was started for, and exits. It returns
// where the process is no child, and so is called first in main and TestMain.
func Main(roles map[string]Role) {
	name := os.Getenv(variable)
	if name == "" {
		return
	}
	role, ok := roles[name]
	if !ok {
		fail(name, errors.New("there is no such role"))
	}
	if err := role(&Pipe{json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)}); err != nil {
		fail(name, err)
	}
	os.Exit(0)
}

func fail(role string, err error) {
	fmt.Fprintf(os.Stderr, "%s: %v\n", role, err)
	os.Exit(1)
}

// Process is a running child.
type Process struct {
	Pipe

	command *exec.Cmd
	stdin   io.Closer
}

// Start starts a child in a role of those that its Main knows.
func Start(role string) (*Process, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	command := exec.Command(program)
	command.Env = append(os.Environ(), variable+"="+role)
	command.Stderr = os.Stderr
	stdin, err := command.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, err
	}

	return &Process{Pipe{json.NewDecoder(stdout), json.NewEncoder(stdin)}, command, stdin}, nil
}

// Stop ends the child and waits for it. The error is that of a child that failed
// or had to be killed.
func (p *Process) Stop() error {
	_ = p.stdin.Close()
	late := time.AfterFunc(grace, func() { _ = p.command.Process.Kill() })
	defer late.Stop()

	return p.command.Wait()
}

// ProcessorTime is the user and system time that the child took, once Stop has
// returned.
func (p *Process) ProcessorTime() time.Duration {
	state := p.command.ProcessState

	return state.UserTime() + state.SystemTime()
}
