package data_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"testing"

	"github.com/urlkit/urlkit/conformance"
	"github.com/urlkit/urlkit/protocols/data"
)

func TestConformance(t *testing.T) {
	long := bytes.Repeat([]byte{0, 1, 2, 0xfe, 0xff}, 40<<10)
	conformance.Run(t, conformance.Harness{
		Scheme: data.Schemes()[0],
		Fixture: func(context.Context) (*conformance.Fixture, error) {
			return &conformance.Fixture{
				Content: []conformance.Content{
					{URL: "data:,plain%20text", Bytes: []byte("plain text"), MIMEType: "text/plain"},
					{URL: "data:,", Bytes: []byte{}},
					{URL: "data:text/html;charset=UTF-8;base64,PGgxPkhpPC9oMT4", Bytes: []byte("<h1>Hi</h1>"), MIMEType: "text/html"},
					{
						URL:   "data:application/octet-stream;base64," + base64.StdEncoding.EncodeToString(long),
						Bytes: long, MIMEType: "application/octet-stream",
					},
				},
				Missing: "data:no comma", // the nearest to something that is not there
			}, nil
		},
	})
}
