package keyring

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"runtime"

	"github.com/urlkit/urlkit/internal/filelock"
	"github.com/urlkit/urlkit/internal/publish"
)

// maxFile bounds what is read of a file, in bytes.
const maxFile = 16 << 20

// OpenFile makes a store over a file, for machines without a keyring. The secrets in
// it are not encrypted: only its permissions protect them, so that a file that others
// may read is an error (where the system has such permissions). It need not be
// there; its folder does. Several processes may share it. A damaged file is renamed to
// name + ".damaged", and logger is told, nil: slog.Default.
func OpenFile(ctx context.Context, name string, logger *slog.Logger) (*Store, error) {
	if name == "" {
		return nil, errNoName
	}
	if logger == nil {
		logger = slog.Default()
	}
	r := &fileRing{name: name, logger: logger}
	s := newStore(r)
	if err := s.change(ctx, func(ctx context.Context) error { return r.change(ctx, nil) }); err != nil {
		return nil, err
	}

	return s, nil
}

// fileRing is a file of all records by their keys.
type fileRing struct {
	name   string
	logger *slog.Logger
	broken error // why there is no lock, while something is done
}

func (r *fileRing) get(ctx context.Context, key string) (found *record, err error) {
	err = r.change(ctx, func(all map[string]*record) bool {
		found = all[key]

		return false
	})

	return found, err
}

func (r *fileRing) set(ctx context.Context, key string, entry *record) error {
	return r.change(ctx, func(all map[string]*record) bool {
		if entry == nil || len(entry.Users) == 0 {
			delete(all, key)
		} else {
			all[key] = entry
		}

		return true
	})
}

func (r *fileRing) clear(ctx context.Context) error {
	if err := r.change(ctx, func(all map[string]*record) bool {
		clear(all)

		return true
	}); err != nil {
		return err
	}

	return publish.Remove(r.name + ".damaged")
}

// alone has the lock of the file while it does something. Without the lock the ring
// fails, not what is done: it may get on without.
func (r *fileRing) alone(ctx context.Context, something func() error) error {
	unlock, err := filelock.Lock(ctx, r.name+".lock")
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		r.broken = fmt.Errorf("keyring: %w", err)
		defer func() { r.broken = nil }()
	}
	err = something()
	if unlock != nil {
		err = errors.Join(err, unlock())
	}

	return err
}

// change reads the file, and writes it again where do says so; nil reads only.
func (r *fileRing) change(ctx context.Context, do func(map[string]*record) bool) error {
	if r.broken != nil {
		return r.broken
	}
	all, err := r.read()
	if errors.Is(err, errCorrupt) {
		all, err = make(map[string]*record), r.setAside()
	}
	if err != nil || do == nil || !do(all) {
		return err
	}
	if len(all) == 0 {
		return publish.Remove(r.name)
	}

	return r.write(ctx, all)
}

func (r *fileRing) read() (map[string]*record, error) {
	named, err := os.Lstat(r.name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return make(map[string]*record), nil
	case err != nil:
		return nil, err
	case !named.Mode().IsRegular():
		return nil, fmt.Errorf("keyring: %s is no regular file", r.name)
	}
	file, err := os.Open(r.name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat() // what is judged is what is read
	switch {
	case err != nil:
		return nil, err
	case !os.SameFile(named, info):
		return nil, fmt.Errorf("keyring: %s was replaced while it was opened", r.name)
	case runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("keyring: others may read %s: make its permissions 0600", r.name)
	case info.Size() > maxFile:
		return nil, errCorrupt
	}
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return nil, err
	}

	return decodeFile(data)
}

// decodeFile reads all records. One that is damaged spoils the file: the others may
// not be what they were either.
func decodeFile(data []byte) (map[string]*record, error) {
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil || raw == nil {
		return nil, errCorrupt
	}
	all := make(map[string]*record, len(raw))
	for key, one := range raw {
		entry, err := decode(one)
		if err != nil {
			return nil, err
		}
		all[key] = entry
	}

	return all, nil
}

func (r *fileRing) write(ctx context.Context, all map[string]*record) error {
	data, err := json.Marshal(all)
	if err != nil {
		return err
	}
	if len(data) > maxFile {
		return fmt.Errorf("keyring: %s would be longer than %d bytes", r.name, maxFile)
	}

	return publish.WriteFile(ctx, r.name, data)
}

// setAside renames a damaged file.
func (r *fileRing) setAside() error {
	aside := r.name + ".damaged"
	if err := os.Rename(r.name, aside); err != nil {
		return fmt.Errorf("%w, and cannot be set aside: %w", errCorrupt, err)
	}
	r.logger.Warn("keyring: the file is damaged, a fresh one is used", "file", r.name, "kept", aside)

	return nil
}
