package main

import (
	"context"

	"github.com/urlkit/urlkit/protocols"
)

// reverse is a protocol of one's own: it sends the URL's path to a server that
// answers with the bytes reversed. Policy, routes, clocks, metrics and errors
// are the session's.
type reverse struct{ client protocols.Client }

// Reverse is what a session is given.
var Reverse = protocols.Scheme{
	Name:        "reverse",
	DefaultPort: 7007,
	New:         func(c protocols.Client) protocols.URLProtocol { return reverse{c} },
}

func (r reverse) Load(ctx context.Context, req *protocols.Request) (*protocols.Response, error) {
	conn, err := r.client.Dial(ctx, "tcp", req.HostPort())
	if err != nil {
		return nil, err
	}
	if _, err := conn.Write([]byte(req.URL.Path[1:] + "\n")); err != nil {
		conn.Close()

		return nil, err
	}

	return &protocols.Response{MIMEType: "text/plain", Proto: "reverse", ContentLength: -1, Body: conn}, nil
}
