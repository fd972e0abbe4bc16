package proxy_test

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/proxy"
)

// validating is a resolver that says whether it validates.
type validating struct {
	answers
	validates bool
}

func (v validating) Validates() bool { return v.validates }

func TestRequiresDNSSEC(t *testing.T) {
	leak.Check(t)
	port := listen(t, "127.0.0.1")
	names := answers{"one.test": addresses("127.0.0.1")}
	for _, row := range []struct {
		name     string
		resolver proxy.Resolver
		host     string
		connects bool
	}{
		{"no resolver", nil, "one.test", false},
		{"no resolver, localhost", nil, "localhost", false},
		{"one that says nothing", names, "one.test", false},
		{"one that does not validate", validating{names, false}, "one.test", false},
		{"one that validates", validating{names, true}, "one.test", true},
		{"an address", nil, "127.0.0.1", true},
	} {
		t.Run(row.name, func(t *testing.T) {
			d := &proxy.Dialer{Resolver: row.resolver}
			required := proxy.Parameters{RequiresDNSSEC: true}
			conn, err := d.Dial(t.Context(), nil, required, "tcp", net.JoinHostPort(row.host, port))
			packets, _, packetErr := d.DialPacket(t.Context(), nil, required, net.JoinHostPort(row.host, port))
			if row.connects {
				if err != nil || packetErr != nil {
					t.Fatal(err, packetErr)
				}
				conn.Close()
				packets.Close()

				return
			}
			for _, err := range []error{err, packetErr} {
				if !errors.Is(err, protocols.DNSLookupFailed) || !strings.Contains(err.Error(), "ValidatingResolver") {
					t.Errorf("got %v", err)
				}
			}
		})
	}
	// Nobody asked for it: the answers of any resolver do.
	conn, err := (&proxy.Dialer{Resolver: validating{names, false}}).DialContext(context.Background(), "tcp", "one.test:"+port)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

func TestMultipath(t *testing.T) {
	leak.Check(t)
	leak.CheckFiles(t)
	port := listen(t, "127.0.0.1") // listeners of package net take Multipath TCP where the system has it
	for _, multipath := range []bool{false, true} {
		p := proxy.Parameters{Multipath: multipath, ServiceType: protocols.ServiceVideo}
		conn, err := new(proxy.Dialer).Dial(t.Context(), nil, p, "tcp", "127.0.0.1:"+port)
		if err != nil {
			t.Fatal(err)
		}
		used, err := conn.(*net.TCPConn).MultipathTCP()
		conn.Close()
		if err != nil {
			t.Fatal(err)
		}
		enabled, _ := os.ReadFile("/proc/sys/net/mptcp/enabled")
		if want := multipath && strings.TrimSpace(string(enabled)) == "1"; used != want {
			t.Errorf("Multipath: %v; it is used: %v", multipath, used)
		}
	}
}

// A pool's key is made of the text.
func TestParametersText(t *testing.T) {
	texts := map[string]proxy.Parameters{}
	for service := range 256 {
		for flags := range 4 {
			p := proxy.Parameters{
				ServiceType: protocols.NetworkServiceType(service), Multipath: flags&1 != 0, RequiresDNSSEC: flags&2 != 0,
			}
			text := p.String()
			if other, twice := texts[text]; twice {
				t.Fatalf("%+v and %+v are both %q", p, other, text)
			}
			texts[text] = p
		}
	}
	if texts[""] != (proxy.Parameters{}) {
		t.Error("the default has a text")
	}
	p := proxy.Parameters{ServiceType: protocols.ServiceVoice, Multipath: true, RequiresDNSSEC: true}
	if got := p.String(); got != "service type voice (DSCP 46), Multipath TCP, DNSSEC required" {
		t.Errorf("%q", got)
	}
}
