package otelurlkit_test

import (
	"context"
	"fmt"
	"log"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	otelurlkit "github.com/urlkit/urlkit/contrib/otel"
	"github.com/urlkit/urlkit/urlsession"
)

// A load is a span, and each of its transactions is one beneath it.
func Example() {
	exporter := tracetest.NewInMemoryExporter() // in place of one for a collector
	observer, err := otelurlkit.New(otelurlkit.Config{TracerProvider: sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter))})
	if err != nil {
		log.Fatal(err)
	}
	configuration := urlsession.EphemeralConfiguration()
	configuration.Observers = []urlsession.Observer{observer}
	session, err := urlsession.New(configuration, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer session.Close()
	request, err := urlsession.NewRequest("GET", "data:,hello", nil)
	if err != nil {
		log.Fatal(err)
	}
	if _, _, err := session.Data(context.Background(), request); err != nil {
		log.Fatal(err)
	}
	for _, span := range exporter.GetSpans() {
		fmt.Println(span.Name)
	}
	// Output:
	// GET data:
	// load GET
}
