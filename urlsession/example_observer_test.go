package urlsession_test

import (
	"context"
	"fmt"
	"log"

	"github.com/urlkit/urlkit/urlsession"
)

// counter is an Observer that counts.
type counter struct{ transactions, failures int }

func (c *counter) Observe(context.Context, *urlsession.Request) *urlsession.Observation {
	return &urlsession.Observation{DidFinishCollecting: func(m *urlsession.TaskMetrics) {
		c.transactions += len(m.Transactions) // of one load at a time here; else under a lock
		if m.Err != nil {
			c.failures++
		}
	}}
}

// An Observer sees every load of a session, whichever way it came.
func ExampleObserver() {
	seen := &counter{}
	configuration := urlsession.EphemeralConfiguration()
	configuration.Observers = []urlsession.Observer{seen}
	session, err := urlsession.New(configuration, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer session.Close()
	for _, url := range []string{"data:,hello", "unheard-of:x"} {
		request, err := urlsession.NewRequest("GET", url, nil)
		if err != nil {
			log.Fatal(err)
		}
		_, _, _ = session.Data(context.Background(), request)
	}
	fmt.Println(seen.transactions, "transactions,", seen.failures, "failure")
	// Output: 2 transactions, 1 failure
}
