package urlsession_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/urlkit/urlkit/ats"
	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/urlsession"
)

// greeting is a scheme for the examples: it needs no network.
var greeting = protocols.Scheme{
	Name: "greeting", Security: protocols.Local,
	New: func(protocols.Client) protocols.URLProtocol { return greetingProtocol{} },
}

type greetingProtocol struct{}

func (greetingProtocol) Load(_ context.Context, req *protocols.Request) (*protocols.Response, error) {
	text := "Hello, " + req.URL.Opaque + "\n\nGoodbye\n"

	return &protocols.Response{
		MIMEType: "text/plain", ContentLength: int64(len(text)), Body: io.NopCloser(strings.NewReader(text)),
	}, nil
}

func ExampleData() {
	ctx := context.Background()
	data, resp, err := urlsession.Data(ctx, "data:text/plain;charset=UTF-8,Hello") // the shared session
	if errors.Is(err, urlsession.TimedOut) {                                       // codes are errors
		return
	}
	fmt.Println(string(data), resp.MIMEType, resp.TextEncodingName, resp.OK(), err)

	_, _, err = urlsession.Data(ctx, "example.com")
	var e *urlsession.Error
	fmt.Println(errors.As(err, &e) && e.Code == urlsession.BadURL)
	// Output:
	// Hello text/plain utf-8 true <nil>
	// true
}

func ExampleNew() {
	cfg := urlsession.DefaultConfiguration()
	cfg.Protocols = []protocols.Scheme{greeting}
	cfg.ATS = ats.Policy{ExceptionDomains: map[string]ats.Exception{"legacy.example": {AllowsInsecureHTTPLoads: true}}}
	s, err := urlsession.New(cfg, nil)
	if err != nil {
		fmt.Println(err) // a contradictory policy or a malformed exception domain is refused here
		return
	}
	defer s.Close() // returns when the last load is done

	req, err := urlsession.NewRequest("", "greeting:reader", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	data, _, err := s.Data(context.Background(), req)
	fmt.Printf("%q %v\n", data, err)
	// Output: "Hello, reader\n\nGoodbye\n" <nil>
}

func ExampleSession_Bytes() {
	cfg := urlsession.EphemeralConfiguration()
	cfg.Protocols = []protocols.Scheme{greeting}
	s, err := urlsession.New(cfg, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()

	req, err := urlsession.NewRequest(http.MethodGet, "greeting:lines", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	body, err := s.Bytes(context.Background(), req) // *urlsession.ByteStream: io.ReadCloser, Response(), Lines(), Chunks()
	if err != nil {
		fmt.Println(err)
		return
	}
	for line, err := range body.Lines() { // leaving the loop cancels; empty lines are kept
		fmt.Printf("%q %v\n", line, err)
	}
	// Output:
	// "Hello, lines" <nil>
	// "" <nil>
	// "Goodbye" <nil>
}

func ExampleNewRequest() {
	req, err := urlsession.NewRequest(http.MethodPut, "https://host/up?token=secret", urlsession.FileBody("big.iso"))
	fmt.Println(req, err)
	// Output: PUT https://host/up?... <nil>
}

func ExampleSession_Explain() {
	s, err := urlsession.New(urlsession.EphemeralConfiguration(), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()

	req, err := urlsession.NewRequest("", "http://example.com/", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	explanation, err := s.Explain(context.Background(), req)
	fmt.Println(explanation.Steps[0].Stage, errors.Is(err, urlsession.AppTransportSecurityRequiresSecureConnection))
	// Output: lookup true
}

func ExampleSession_RoundTripper() {
	session, err := urlsession.New(urlsession.EphemeralConfiguration(), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer session.Close()

	client := &http.Client{Transport: session.RoundTripper()} // any SDK gains schemes, policy, proxies, metrics
	_, err = client.Get("http://example.com/")
	fmt.Println(errors.Is(err, urlsession.AppTransportSecurityRequiresSecureConnection))
	// Output: true
}
