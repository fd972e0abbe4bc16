package keyring_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/storage/credential/keyring"
)

// Where a machine has no keyring, a file keeps what is permanent. Either store goes
// into Configuration.Credentials.
func ExampleOpenFile() {
	folder, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)

		return
	}
	defer os.RemoveAll(folder)
	ctx := context.Background()
	space := protocols.ProtectionSpace{Host: "example.com", Port: 443, Protocol: "https", Realm: "staff", Method: protocols.MethodHTTPDigest}
	for range 2 {
		store, err := keyring.OpenFile(ctx, filepath.Join(folder, "credentials"), nil) // keyring.Open(ctx, "my app") first
		if err != nil {
			fmt.Println(err)

			return
		}
		known, err := store.Default(ctx, space)
		fmt.Println("known:", known != nil, err)
		login := &protocols.Credential{User: "alice", Password: "s3cret", Persistence: protocols.PersistencePermanent}
		if err := store.SetDefault(ctx, login, space); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// known: false <nil>
	// known: true <nil>
}
