package path_test

import (
	"context"
	"fmt"

	"github.com/urlkit/urlkit/path"
)

// A program shows what the network is, and waits for another one.
func Example() {
	monitor := path.NewScripted(path.Path{}) // path.System() outside of tests
	known := monitor.Current()
	fmt.Println("a way to the network:", known.Satisfied)
	go monitor.Set(path.Path{Satisfied: true, Cellular: true, Expensive: true})
	now, err := monitor.Next(context.Background(), known)
	if err != nil {
		fmt.Println(err)

		return
	}
	fmt.Println("a way to the network:", now.Satisfied, "cellular:", now.Cellular)
	// Output:
	// a way to the network: false
	// a way to the network: true cellular: true
}
