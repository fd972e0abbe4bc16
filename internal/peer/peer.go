package peer

import (
	"crypto/x509"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// Arguments of [Start] that stand for ports of 127.0.0.1 that are free, in TCP and in UDP.
const (
	// TCP is a port on which the peer takes connections. Start waits until it does.
	TCP = "{tcp}"

	// UDP is a port on which the peer takes datagrams. Start waits until it is taken.
	UDP = "{udp}"

	// TCP21 is TCP, and the twenty ports after it are free as well: FTP servers answer passive transfers there.
	TCP21 = "{tcp21}"
)

const (
	patience = 60 * time.Second // for a start, which makes keys first
	grace    = 10 * time.Second // between SIGTERM and SIGKILL
	interval = 50 * time.Millisecond
)

// A Peer is a server that runs until the test ends.
type Peer struct {
	Dir    string // its folder; what it serves is below www
	Ports  []int  // one for each placeholder among the arguments, in their order
	CAFile string // PEM certificate of the authority that signed its certificates

	log    string
	exited chan struct{} // closed when the process has ended
}

// Start runs a script of the folder that URLKIT_PEERS names, or an absolute path, with a new folder, then args, in which [TCP], [UDP] and
// [TCP21] are replaced by ports; it returns when all of them answer. When the test ends the peer is stopped and its
// folder removed. The script inherits the environment, so t.Setenv reaches it. Without URLKIT_PEERS the test is
// skipped; a peer that does not start fails it, with what the script said.
func Start(t testing.TB, script string, args ...string) *Peer {
	t.Helper()
	scripts := os.Getenv("URLKIT_PEERS")
	if scripts == "" {
		t.Skipf("URLKIT_PEERS is not set: it names the folder of the scripts that start real servers, here %s", script)
	}
	p := &Peer{exited: make(chan struct{})}
	// Not t.TempDir: its path grows with the test's name, and a Unix socket's may not.
	dir, err := os.MkdirTemp("", "peer")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil { // a server that drops root still has to read it
		t.Fatal(err)
	}
	p.Dir, p.CAFile, p.log = dir, filepath.Join(dir, "pki", "ca.crt"), filepath.Join(dir, "peer.log")

	command := append([]string{dir}, args...)
	var ready []func() bool
	for i, arg := range command {
		answers, after := answersTCP, 0
		switch arg {
		case TCP:
		case TCP21:
			after = 20
		case UDP:
			answers = takenUDP
		default:
			continue
		}
		port := freePort(t, after, p.Ports)
		p.Ports = append(p.Ports, port)
		command[i] = strconv.Itoa(port)
		ready = append(ready, func() bool { return answers(port) })
	}
	if !filepath.IsAbs(script) {
		script = filepath.Join(scripts, script)
	}
	p.run(t, exec.Command(script, command...))
	p.await(t, ready)

	return p
}

// run starts the process, and stops it when the test ends.
func (p *Peer) run(t testing.TB, cmd *exec.Cmd) {
	t.Helper()
	// A file, not a pipe: Wait must not wait for a grandchild that kept the pipe.
	log, err := os.Create(p.log)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	ownGroup(cmd)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.exited)
		cmd.Wait() //nolint:errcheck // how it ended is in its log, and a signal is the usual end
	}()
	t.Cleanup(func() {
		stop(cmd)
		select {
		case <-p.exited:
		case <-time.After(grace):
			t.Errorf("%s did not end on SIGTERM", cmd.Path)
		}
		kill(cmd) // and whatever it left behind
		<-p.exited
	})
}

// await returns when everything is ready, and fails the test when the process ends first or takes too long.
func (p *Peer) await(t testing.TB, ready []func() bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for len(ready) > 0 {
		if ready[0]() {
			ready = ready[1:]
			continue
		}
		select {
		case <-p.exited:
			t.Fatalf("the peer ended at once:\n%s", p.Log())
		case <-deadline.C:
			t.Fatalf("the peer did not answer on all of %v within %v:\n%s", p.Ports, patience, p.Log())
		case <-tick.C:
		}
	}
}

// Addr returns host and port of the peer's i-th port, the host as 127.0.0.1.
func (p *Peer) Addr(i int) string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(p.Ports[i]))
}

// Roots returns a pool with the peer's own authority and no other.
func (p *Peer) Roots(t testing.TB) *x509.CertPool {
	t.Helper()
	pem, err := os.ReadFile(p.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		t.Fatalf("%s holds no certificate", p.CAFile)
	}

	return roots
}

// Log returns the end, at most 8 KiB, of what the script has printed.
func (p *Peer) Log() string {
	const most = 8 << 10
	out, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}

	return string(out[max(0, len(out)-most):])
}
