package conformance_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/urlkit/urlkit/conformance"
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

var echoScheme = protocols.Scheme{Name: "echo", DefaultPort: 7, New: func(c protocols.Client) protocols.URLProtocol { return echo{c} }}

// echoFixture is a server that sends five bytes back and hangs up.
func echoFixture(context.Context) (*conformance.Fixture, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_, _ = io.CopyN(conn, conn, 5)
			}()
		}
	}()

	return &conformance.Fixture{
		Content: []conformance.Content{{URL: "echo://echo.test", Body: []byte("hello"), Bytes: []byte("hello"), MIMEType: "text/plain"}},
		Hosts:   map[string]string{"echo.test": l.Addr().String()},
		Close:   l.Close,
	}, nil
}

// The whole test of a protocol: each row of the suite becomes a subtest.
func ExampleRun() {
	_ = func(t *testing.T) { // func TestConformance(t *testing.T)
		conformance.Run(t, conformance.Harness{Scheme: echoScheme, Fixture: echoFixture})
	}
}

// Without package testing, in a program that reports.
func ExampleCheck() {
	report := conformance.Check(context.Background(), conformance.Harness{Scheme: echoScheme, Fixture: echoFixture}, conformance.Options{
		Rows: []string{"one-result", "bytes", "through-client", "truncation"},
	})
	for _, res := range report.Results {
		fmt.Println(res.Row.Name, res.Outcome)
	}
	// Output:
	// one-result passed
	// bytes passed
	// truncation not applicable
	// through-client passed
}

func TestEcho(t *testing.T) {
	conformance.Run(t, conformance.Harness{Scheme: echoScheme, Fixture: echoFixture})
}
