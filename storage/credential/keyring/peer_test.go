package keyring_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/internal/peer"
	"github.com/urlkit/urlkit/storage/credential/keyring"
	"github.com/urlkit/urlkit/urlsession"
)

// childURL is set in a process that is started by TestPeerSecretService: it loads that
// URL. childUser: it gives a credential. childFile is set in one that shares a file, with
// a name of its own for childUser.
const (
	childURL  = "KEYRING_TEST_URL"
	childUser = "KEYRING_TEST_USER"
	childFile = "KEYRING_TEST_FILE"
)

func TestMain(m *testing.M) {
	if url := os.Getenv(childURL); url != "" {
		if err := child(url, os.Getenv(childUser)); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}

		return
	}
	if name := os.Getenv(childFile); name != "" {
		if err := share(name, os.Getenv(childUser)); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}

		return
	}
	m.Run()
}

// knowing gives a user for good; "" nobody.
func knowing(user string) *urlsession.Delegate {
	if user == "" {
		return nil
	}

	return &urlsession.Delegate{
		DidReceiveChallenge: func(context.Context, urlsession.Task, *urlsession.Challenge) (urlsession.Disposition, *urlsession.Credential) {
			return urlsession.UseCredential, &urlsession.Credential{User: user, Password: "s3cret", Persistence: urlsession.PersistencePermanent}
		},
	}
}

// child loads a URL with the store of the session's keyring, prints what comes, and
// with no user at hand empties the store.
func child(url, user string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	store, err := keyring.Open(ctx, "urlkit test")
	if err != nil {
		return err
	}
	configuration := urlsession.EphemeralConfiguration()
	configuration.Credentials = store
	s, err := urlsession.New(configuration, knowing(user))
	if err != nil {
		return err
	}
	defer s.Close()
	req, err := urlsession.NewRequest("", url, nil)
	if err != nil {
		return err
	}
	data, resp, err := s.Data(ctx, req)
	if err != nil {
		return err
	}
	fmt.Printf("%d %s", resp.StatusCode, data)
	if user == "" {
		return s.Reset(ctx)
	}

	return nil
}

// What one session keeps in a file the next one has, until a reset.
func TestFileOfASession(t *testing.T) {
	leak.Check(t)
	server := httptest.NewServer(&peer.Digest{T: t, User: "alice", Password: "s3cret", Realm: "r", QOP: "auth", Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})})
	defer server.Close()
	file := filepath.Join(t.TempDir(), "credentials")
	for i, step := range []struct {
		knows  bool
		status int
		left   bool // the file
	}{{false, 401, false}, {true, 200, true}, {false, 200, true}, {false, 200, true}} {
		store, err := keyring.OpenFile(t.Context(), file, nil)
		if err != nil {
			t.Fatal(err)
		}
		configuration := urlsession.EphemeralConfiguration()
		configuration.Credentials = store
		s, err := urlsession.New(configuration, knowing(map[bool]string{true: "alice"}[step.knows]))
		if err != nil {
			t.Fatal(err)
		}
		req, err := urlsession.NewRequest("", server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, resp, err := s.Data(t.Context(), req)
		if _, statErr := os.Stat(file); err != nil || resp.StatusCode != step.status || (statErr == nil) != step.left {
			t.Errorf("session %d: %v, %v, the file: %v", i, resp, err, statErr)
		}
		if i == 3 {
			if err := s.Reset(t.Context()); err != nil {
				t.Error(err)
			}
			if _, err := os.Stat(file); !os.IsNotExist(err) {
				t.Errorf("the file is left by a reset: %v", err)
			}
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A credential that one process keeps for good is another's, until a reset.
func TestPeerSecretService(t *testing.T) {
	if os.Getenv("URLKIT_PEERS") == "" {
		t.Skip("URLKIT_PEERS is not set: the test starts a D-Bus session with a Secret Service")
	}
	server := httptest.NewServer(&peer.Digest{T: t, User: "alice", Password: "s3cret", Realm: "r", QOP: "auth", Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "welcome")
	})})
	defer server.Close()
	script, err := filepath.Abs("../../../internal/peer/testdata/secretservice.sh")
	if err != nil {
		t.Fatal(err)
	}
	// Four processes of one session; each prints a line.
	const runs = `for user in "" alice "" ""; do KEYRING_TEST_USER="$user" "$0"; echo; done`
	cmd := exec.CommandContext(t.Context(), script, t.TempDir(), "sh", "-ec", runs, os.Args[0])
	cmd.Env = append(os.Environ(), childURL+"="+server.URL)
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.Output()
	if want := "401 \n200 welcome\n200 welcome\n401 \n"; err != nil || string(out) != want {
		t.Errorf("%v, %q, want %q", err, out, want)
	}
}
