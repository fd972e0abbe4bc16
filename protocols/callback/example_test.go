package callback_test

import (
	"context"
	"fmt"
	"io"

	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/protocols/callback"
)

// greeter is a URLProtocol as one writes it for Apple's URL loading system.
type greeter struct {
	request *protocols.Request
	client  *callback.Client
}

func (g *greeter) StartLoading() {
	g.client.DidReceive(&protocols.Response{MIMEType: "text/plain", ContentLength: -1}, protocols.StorageAllowed)
	g.client.DidLoad([]byte("hello, " + g.request.URL.Host))
	g.client.DidFinishLoading()
}

func (g *greeter) StopLoading() {}

func ExampleScheme() {
	scheme := callback.Scheme("greet", callback.Class{
		CanInit: func(req *protocols.Request) bool { return req.Method == "GET" },
		New: func(req *protocols.Request, _ *callback.CachedResponse, client *callback.Client) callback.Protocol {
			return &greeter{req, client}
		},
	})

	// A session does this for every request that the scheme claims.
	req, _ := protocols.NewRequest("GET", "greet://world", nil)
	resp, err := scheme.New(nil).Load(context.Background(), req)
	if err != nil {
		fmt.Println(err)

		return
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	fmt.Println(resp.MIMEType, string(text), err)
	// Output: text/plain hello, world <nil>
}
