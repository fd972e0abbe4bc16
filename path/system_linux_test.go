package path

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/urlkit/urlkit/internal/leak"
)

// ifreq is struct ifreq of netdevice(7), with its flags.
type ifreq struct {
	name  [syscall.IFNAMSIZ]byte
	flags uint16
	_     [22]byte
}

// setUp sets an interface up or down, in the network namespace of a socket.
func setUp(socket int, name string, up bool) error {
	var r ifreq
	copy(r.name[:], name)
	if up {
		r.flags = syscall.IFF_UP
	}
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(socket), syscall.SIOCSIFFLAGS, uintptr(unsafe.Pointer(&r))); errno != 0 {
		return errno
	}

	return nil
}

// In a network namespace of its own, which has nothing but loopback, there is no path;
// netlink reports what changes there.
func TestNetlink(t *testing.T) {
	leak.Check(t)
	isolated(t, loopbackOnly)
}

// A default route makes a path, and its end ends it.
func TestPeerDefaultRoute(t *testing.T) {
	if os.Getenv("URLKIT_PEERS") == "" {
		t.Skip("URLKIT_PEERS is not set: the tests with programs of the system go with those against real servers")
	}
	leak.Check(t)
	isolated(t, defaultRoute)
}

// isolated runs a test in a network namespace of its own, which gives what is wrong.
func isolated(t *testing.T, test func() string) {
	t.Helper()
	ended := make(chan string)
	go func() { // the thread goes with the goroutine, and its namespace with the thread
		runtime.LockOSThread()
		if err := syscall.Unshare(syscall.CLONE_NEWNET); err != nil {
			ended <- "skip: a network namespace cannot be made: " + err.Error()

			return
		}
		ended <- test()
	}()
	switch result := <-ended; {
	case strings.HasPrefix(result, "skip:"):
		t.Skip(result)
	case result != "":
		t.Error(result)
	}
}

func defaultRoute() string {
	ip := func(args string) string {
		if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
			return fmt.Sprintf("ip %s: %v: %s", args, err, out)
		}

		return ""
	}
	reports := make(chan struct{}, 1000)
	stop := watch(func() { reports <- struct{}{} })
	if stop == nil {
		return "skip: netlink is not allowed here"
	}
	defer stop()
	for _, step := range []struct {
		command   string
		satisfied bool
	}{
		{"link set lo up", false},
		{"route add default via 127.0.0.1 dev lo", false},
		{"link add v0 type veth peer name v1", false},
		{"address add 192.0.2.2/24 dev v0", false},
		{"link set v1 up", false},
		{"link set v0 up", false},
		{"route add default via 192.0.2.1 metric 5", true},
		{"-6 route add unreachable default", true},
		{"route delete default via 192.0.2.1", false},
	} {
		before := look()
		for len(reports) > 0 {
			<-reports
		}
		if failed := ip(step.command); failed != "" {
			return failed
		}
		select {
		case <-reports:
		case <-time.After(10 * time.Second):
			return step.command + ": nothing was reported"
		}
		if p := look(); p.Satisfied != step.satisfied || p.Cellular || step.satisfied != before.Satisfied && p.ID == before.ID {
			return fmt.Sprintf("%s: from %+v to %+v", step.command, before, p)
		}
	}

	return ""
}

func loopbackOnly() string {
	if p := look(); p.Satisfied || p.Cellular || p.Expensive {
		return "loopback alone is a path"
	}
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = syscall.Close(socket) }()
	reports := make(chan struct{}, 100)
	stop := watch(func() { reports <- struct{}{} })
	if stop == nil {
		return "skip: netlink is not allowed here"
	}
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := setUp(socket, "lo", true); err != nil {
		return err.Error()
	}
	select {
	case <-reports:
		return ""
	case <-ctx.Done():
		return "loopback was set up and nothing was reported"
	}
}
