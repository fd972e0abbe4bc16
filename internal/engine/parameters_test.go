package engine_test

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"testing"

	"github.com/urlkit/urlkit/internal/engine"
	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/proxy"
)

// asked is a dialer that keeps what it was asked for.
type asked struct {
	recorder
	parameters []proxy.Parameters
}

func (d *asked) Dial(_ context.Context, _ *protocols.Trace, p proxy.Parameters, _, _ string) (net.Conn, error) {
	d.parameters = append(d.parameters, p)

	return &d.recorder, nil
}

func (d *asked) DialPacket(_ context.Context, _ *protocols.Trace, p proxy.Parameters, _ string) (net.PacketConn, []net.Addr, error) {
	d.parameters = append(d.parameters, p)

	return nil, nil, protocols.CannotConnectToHost
}

const (
	voice      = protocols.ServiceVoice
	video      = protocols.ServiceVideo
	background = protocols.ServiceBackground
)

var connectionParameters = []struct {
	name   string
	config engine.Config
	change func(*protocols.Request)
	want   proxy.Parameters
	text   string // in Explain
}{
	{"the default", engine.Config{}, func(*protocols.Request) {}, proxy.Parameters{}, ""},
	{
		"the session's type",
		engine.Config{NetworkServiceType: video},
		func(*protocols.Request) {},
		proxy.Parameters{ServiceType: video},
		", service type video (DSCP 34)",
	},
	{
		"the request's type",
		engine.Config{},
		func(r *protocols.Request) { r.NetworkServiceType = voice },
		proxy.Parameters{ServiceType: voice},
		", service type voice (DSCP 46)",
	},
	{
		"both",
		engine.Config{NetworkServiceType: video, Multipath: true},
		func(r *protocols.Request) { r.NetworkServiceType = background },
		proxy.Parameters{ServiceType: background, Multipath: true},
		", service type background (DSCP 8), Multipath TCP",
	},
	{
		"multipath",
		engine.Config{Multipath: true},
		func(*protocols.Request) {},
		proxy.Parameters{Multipath: true},
		", Multipath TCP",
	},
	{
		"DNSSEC for the session",
		engine.Config{RequiresDNSSEC: true, NetworkServiceType: voice},
		func(*protocols.Request) {},
		proxy.Parameters{ServiceType: voice, RequiresDNSSEC: true},
		", service type voice (DSCP 46), DNSSEC required",
	},
	{
		"DNSSEC for the request",
		engine.Config{},
		func(r *protocols.Request) { r.RequiresDNSSEC = true },
		proxy.Parameters{RequiresDNSSEC: true},
		", DNSSEC required",
	},
}

// Connections are made as the request asks, else as the session is configured; and
// what was made otherwise is on another route, so that no pool hands it out.
func TestConnectionParameters(t *testing.T) {
	routes := map[protocols.Route]string{}
	for _, tt := range connectionParameters {
		d := &asked{}
		tt.config.Dialer = d
		var route, outer protocols.Route
		e := open(t, tt.config, scheme("custom", protocols.Cleartext, func(ctx context.Context, c protocols.Client, req *protocols.Request) (*protocols.Response, error) {
			route = req.Route
			_, _, _ = c.DialPacket(ctx, req.HostPort())
			conn, err := c.Dial(ctx, "tcp", req.HostPort())
			if err != nil {
				return nil, err
			}

			return reply(200, ""), conn.Close()
		}), scheme("composed", protocols.Cleartext, func(ctx context.Context, c protocols.Client, req *protocols.Request) (*protocols.Response, error) {
			outer = req.Route

			return c.Load(ctx, request(t, "GET", "custom://localhost:1/")) // says nothing of its own
		}))
		for _, url := range []string{"custom://localhost:1/", "composed://localhost:1/"} {
			req := request(t, "GET", url)
			tt.change(req)
			if _, _, err := fetch(e, req, nil); err != nil {
				t.Fatal(err)
			}
			steps, err := e.Explain(t.Context(), req)
			if want := "route: direct to localhost:1" + tt.text + "\n"; err != nil || !contains(explained(steps), want) {
				t.Errorf("%s: %q is not in\n%s", tt.name, want, explained(steps))
			}
		}
		if want := []proxy.Parameters{tt.want, tt.want, tt.want, tt.want}; !slices.Equal(d.parameters, want) || outer != route {
			t.Errorf("%s: dialled by %v; routes %v and %v", tt.name, d.parameters, outer, route)
		}
		if other, twice := routes[route]; twice {
			t.Errorf("%s and %s share their connections", other, tt.name)
		}
		routes[route] = tt.name
	}
}

// A protocol that redirects need not know what the app required.
func TestRedirectKeepsRequiringDNSSEC(t *testing.T) {
	required := 0
	e := open(t, engine.Config{}, scheme("https", protocols.Encrypted, func(_ context.Context, _ protocols.Client, req *protocols.Request) (*protocols.Response, error) {
		if req.RequiresDNSSEC {
			required++
		}
		resp := reply(200, "")
		if req.URL.Path == "/first" {
			resp.Redirect = request(t, "GET", "https://b.example/")
		}

		return resp, nil
	}))
	req := request(t, "GET", "https://a.example/first")
	req.RequiresDNSSEC = true
	if _, _, err := fetch(e, req, nil); err != nil || required != 2 {
		t.Errorf("%v, %d hops required it", err, required)
	}
}

// names is a resolver, which validates.
type names map[string]netip.Addr

func (n names) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	return []netip.Addr{n[host]}, nil
}

func (n names) Validates() bool { return true }

func TestRequiresDNSSEC(t *testing.T) {
	leak.Check(t)
	peer := serve(t, echoes)
	resolver := names{"name.local": netip.MustParseAddr("127.0.0.1")}
	_, port, _ := net.SplitHostPort(peer.addr)
	custom := scheme("custom", protocols.Cleartext, dialsOnce("", false))
	for _, tt := range []struct {
		name   string
		dialer *proxy.Dialer
		url    string
		fails  bool
	}{
		{"a resolver that validates", &proxy.Dialer{Resolver: resolver}, "custom://name.local:" + port, false},
		{"the system's", nil, "custom://name.local:" + port, true},
		{"no name", nil, "custom://" + peer.addr, false},
		{"no network", nil, "local:x", false},
	} {
		config := engine.Config{RequiresDNSSEC: true, WaitsForConnectivity: true}
		if tt.dialer != nil {
			config.Dialer = tt.dialer
		}
		e := open(t, config, custom, scheme("local", protocols.Local, func(context.Context, protocols.Client, *protocols.Request) (*protocols.Response, error) {
			return reply(200, ""), nil
		}))
		_, _, err := fetch(e, request(t, "GET", tt.url), nil)
		if !tt.fails {
			if err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}

			continue
		}
		if got := failure(t, err, protocols.DNSLookupFailed); got.Phase != "connect" || !contains(got.Error(), "proxy.ValidatingResolver") {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}
