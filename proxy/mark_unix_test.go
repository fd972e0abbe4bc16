//go:build unix

package proxy_test

import (
	"net"
	"syscall"
	"testing"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/proxy"
)

// trafficClass asks the system what a socket's packets are marked with.
func trafficClass(t *testing.T, conn any, is6 bool) int {
	t.Helper()
	raw, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	level, option := syscall.IPPROTO_IP, syscall.IP_TOS
	if is6 {
		level, option = syscall.IPPROTO_IPV6, syscall.IPV6_TCLASS
	}
	class := -1
	var asked error
	if err := raw.Control(func(fd uintptr) { class, asked = syscall.GetsockoptInt(int(fd), level, option) }); err != nil || asked != nil {
		t.Fatal(err, asked)
	}

	return class
}

func TestServiceTypeMarksSockets(t *testing.T) {
	leak.Check(t)
	leak.CheckFiles(t)
	for _, host := range []string{"127.0.0.1", "::1"} {
		t.Run(host, func(t *testing.T) {
			addr := net.JoinHostPort(host, listen(t, host))
			for service, want := range map[protocols.NetworkServiceType]int{
				protocols.ServiceDefault:        0,
				protocols.ServiceVoIP:           46,
				protocols.ServiceVideo:          34,
				protocols.ServiceBackground:     8,
				protocols.ServiceVoice:          46,
				protocols.ServiceResponsiveData: 18,
				protocols.ServiceAVStreaming:    26,
				protocols.ServiceResponsiveAV:   32,
				protocols.ServiceCallSignaling:  40,
				200:                             0,
			} {
				p := proxy.Parameters{ServiceType: service}
				conn, err := new(proxy.Dialer).Dial(t.Context(), nil, p, "tcp", addr)
				if err != nil {
					t.Fatal(err)
				}
				packets, _, err := new(proxy.Dialer).DialPacket(t.Context(), nil, p, addr)
				if err != nil {
					t.Fatal(err)
				}
				is6 := host == "::1"
				if tcp, udp := trafficClass(t, conn, is6), trafficClass(t, packets, is6); tcp != want<<2 || udp != want<<2 {
					t.Errorf("service type %d: marked %d and %d, want %d", service, tcp>>2, udp>>2, want)
				}
				conn.Close()
				packets.Close()
			}
		})
	}
}

// Each attempt of a race is marked, and a kernel that has Multipath TCP marks that
// too.
func TestServiceTypeMarksEveryAttempt(t *testing.T) {
	leak.Check(t)
	port := listen(t, "127.0.0.1")
	for _, d := range []*proxy.Dialer{{}, {FallbackDelay: -1}} {
		d.Resolver = answers{"two.test": addresses("127.0.0.77", "127.0.0.1")}
		for _, multipath := range []bool{false, true} {
			p := proxy.Parameters{ServiceType: protocols.ServiceVoice, Multipath: multipath}
			conn, err := d.Dial(t.Context(), nil, p, "tcp", "two.test:"+port)
			if err != nil {
				t.Fatal(err)
			}
			if got := trafficClass(t, conn, false); got != 46<<2 {
				t.Errorf("Multipath: %v; marked %d", multipath, got)
			}
			conn.Close()
		}
	}
}
