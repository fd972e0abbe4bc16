//go:build unix

package peer

import (
	"os/exec"
	"syscall"
)

// ownGroup gives the script a process group, so that its children can be reached too.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// stop asks all of the group to end. One that has ended already is no error.
func stop(cmd *exec.Cmd) { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }

// kill ends all of the group. One that has ended already is no error.
func kill(cmd *exec.Cmd) { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
