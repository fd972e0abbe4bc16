package recorder_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/urlkit/urlkit/har"
	"github.com/urlkit/urlkit/urlsession"
	"github.com/urlkit/urlkit/urlsession/recorder"
)

// What a session loads becomes a log that browsers' tools open.
func Example() {
	folder, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(folder)
	path := filepath.Join(folder, "session.har")
	archive, err := har.Create(path, har.Options{Log: har.Log{Creator: recorder.Creator}})
	if err != nil {
		log.Fatal(err)
	}
	configuration := urlsession.EphemeralConfiguration()
	configuration.Observers = []urlsession.Observer{&recorder.Recorder{Log: archive, Bodies: 1 << 20}}
	session, err := urlsession.New(configuration, nil)
	if err != nil {
		log.Fatal(err)
	}
	request, err := urlsession.NewRequest("GET", "data:,hello", nil)
	if err != nil {
		log.Fatal(err)
	}
	if _, _, err := session.Data(context.Background(), request); err != nil {
		log.Fatal(err)
	}
	if err := session.Close(); err != nil {
		log.Fatal(err)
	}
	if err := archive.Close(); err != nil {
		log.Fatal(err)
	}

	f, err := os.Open(path)
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	read, err := har.Read(f, har.Limits{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(read.Entries[0].Request.URL, read.Entries[0].Response.Content.Text)
	// Output: data:,hello hello
}
