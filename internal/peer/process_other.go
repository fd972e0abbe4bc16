//go:build !unix

package peer

import "os/exec"

// Without process groups the script alone is ended, and at once.

func ownGroup(*exec.Cmd) {}

func stop(cmd *exec.Cmd) { kill(cmd) }

func kill(cmd *exec.Cmd) { _ = cmd.Process.Kill() }
