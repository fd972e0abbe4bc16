package keyring

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	system "github.com/zalando/go-keyring"
)

// Open makes a store over the system's keyring. service names the app: entries are
// kept under it, and apps with the same name share them. It asks the keyring for an
// entry, which may make that ask its user to unlock it; an error means that there
// is no keyring, or none that opens.
func Open(ctx context.Context, service string) (*Store, error) {
	if service == "" {
		return nil, errNoName
	}
	s := newStore(systemRing{service})
	err := s.change(ctx, func(ctx context.Context) error {
		_, err := s.ring.get(ctx, "urlkit")
		if errors.Is(err, errCorrupt) {
			return nil
		}

		return err
	})
	if err != nil {
		return nil, err
	}

	return s, nil
}

// systemRing is the system's keyring.
type systemRing struct{ service string }

func (r systemRing) get(_ context.Context, key string) (*record, error) {
	data, err := system.Get(r.service, key)
	switch {
	case errors.Is(err, system.ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("keyring: %w", err)
	}

	return decode([]byte(data))
}

func (r systemRing) set(_ context.Context, key string, entry *record) error {
	var err error
	if entry == nil || len(entry.Users) == 0 {
		if err = system.Delete(r.service, key); errors.Is(err, system.ErrNotFound) {
			return nil
		}
	} else {
		var data []byte
		if data, err = json.Marshal(entry); err == nil {
			err = system.Set(r.service, key, string(data))
		}
	}
	if err != nil {
		return fmt.Errorf("keyring: %w", err)
	}

	return nil
}

func (r systemRing) clear(context.Context) error {
	if err := system.DeleteAll(r.service); err != nil && !errors.Is(err, system.ErrNotFound) {
		return fmt.Errorf("keyring: %w", err)
	}

	return nil
}

// alone keeps nobody out: no system's keyring has a lock for that.
func (systemRing) alone(_ context.Context, something func() error) error { return something() }
