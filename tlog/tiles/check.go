package tiles

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/tlog"
)

// Tessera's private files.
const (
	stateFile     = ".state/treeState" // size and root of what is written, published or not
	versionFile   = ".state/version"
	layoutVersion = "1"
)

// check opens the directory and decides whether the log on disk may grow, and returns how many entries it
// has, published or not. Tessera believes its state file: it would sign whatever
// root is written there, continue from whatever size, copy whatever is in the
// last bundle into the next, and begin a new log over the remains of an old one
// whose state file is gone. So before it starts, each of these is held against
// the signed checkpoint and the tiles.
func (l *Log) check(ctx context.Context) (size uint64, err error) {
	if l.files, err = os.OpenRoot(l.cfg.Dir); err != nil {
		return 0, err
	}
	l.TileReader = tlog.NewTileReader(l.cfg.Verifier, l.fetch)
	written, err := l.state()
	if errors.Is(err, fs.ErrNotExist) {
		return 0, l.checkNew()
	}
	if err != nil {
		return 0, err
	}
	published, err := l.Checkpoint(ctx)
	switch {
	case errors.Is(err, tlog.ErrNotFound) && written.Size == 0:
		return 0, nil // a crash between the two first writes
	case errors.Is(err, tlog.ErrNotFound):
		return 0, fmt.Errorf("%w: %d entries are written and the checkpoint is missing", tlog.ErrCorrupt, written.Size)
	case err != nil:
		return 0, err
	}
	if err := l.Extends(ctx, published, written); err != nil {
		return 0, err
	}
	for _, err := range l.Entries(ctx, written, written.Size-written.Size%tlog.TileWidth) {
		if err != nil {
			return 0, err
		}
	}
	return written.Size, nil
}

// state reads what Tessera has written.
func (l *Log) state() (attest.Checkpoint, error) {
	raw, err := l.read(stateFile)
	if err != nil {
		return attest.Checkpoint{}, err
	}
	var state struct {
		Size uint64 `json:"size"`
		Root []byte `json:"root"`
	}
	if err := json.Unmarshal(raw, &state); err != nil || len(state.Root) != len(attest.Hash{}) {
		return attest.Checkpoint{}, fmt.Errorf("%w: %s is not a tree state", tlog.ErrCorrupt, stateFile)
	}
	version, err := l.read(versionFile)
	if err != nil || string(version) != layoutVersion {
		return attest.Checkpoint{}, fmt.Errorf("%w: %s is %.20q, want %q", tlog.ErrCorrupt, versionFile, version, layoutVersion)
	}
	return attest.Checkpoint{Origin: l.Verifier().Origin(), Size: state.Size, Root: attest.Hash(state.Root)}, nil
}

// checkNew makes sure that a directory without a state file has no log in it.
func (l *Log) checkNew() error {
	for _, name := range []string{"checkpoint", "tile"} {
		if _, err := l.files.Stat(name); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%w: there is a %s, but no %s; restore it, or begin the log in an empty directory", tlog.ErrCorrupt, name, stateFile)
		}
	}
	return nil
}

// fetch is the [tlog.Fetch] of the directory.
func (l *Log) fetch(_ context.Context, path string) ([]byte, error) {
	b, err := l.read(path)
	if errors.Is(err, fs.ErrClosed) {
		return nil, tlog.ErrClosed
	}
	return b, err
}

// read reads a file of the directory, of at most tlog.MaxFile bytes, never
// following a link out of it.
func (l *Log) read(path string) ([]byte, error) {
	f, err := l.files.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // read only
	b, err := io.ReadAll(io.LimitReader(f, tlog.MaxFile+1))
	if err == nil && len(b) > tlog.MaxFile {
		err = fmt.Errorf("%w: %s is longer than any file of a log", tlog.ErrCorrupt, path)
	}
	return b, err
}
