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
	"github.com/sekisho-dev/sekisho/internal/durable"
	"github.com/sekisho-dev/sekisho/tlog"
	"github.com/transparency-dev/merkle/rfc6962"
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
// the signed checkpoints, remembered and published, and the tiles.
func (l *Log) check(ctx context.Context) (size uint64, err error) {
	if l.files, err = os.OpenRoot(l.cfg.Dir); err != nil {
		return 0, err
	}
	l.TileReader = tlog.NewTileReader(l.cfg.Verifier, l.fetch)
	last, err := remembered(l.cfg)
	if err != nil {
		return 0, err
	}
	written, err := l.state()
	if errors.Is(err, fs.ErrNotExist) {
		written, err = l.checkNew()
	}
	if err != nil {
		return 0, err
	}
	if written.Size < last.Size {
		return 0, fmt.Errorf("%w: it has %d entries and had %d, which %s remembers; restore the newer log directory, for an older one must never serve",
			tlog.ErrInconsistent, written.Size, last.Size, l.cfg.Remembered)
	}
	published, err := l.TileReader.Checkpoint(ctx)
	switch {
	case errors.Is(err, tlog.ErrNotFound) && written.Size == 0: // new, or a crash between the two first writes
	case errors.Is(err, tlog.ErrNotFound):
		return 0, fmt.Errorf("%w: %d entries are written and the checkpoint is missing", tlog.ErrCorrupt, written.Size)
	case err != nil:
		return 0, err
	}
	return written.Size, l.checkWritten(ctx, last, published, written)
}

// checkWritten checks that what is written extends all that was signed, reads what was
// added since, and makes the signer that goes on from there.
func (l *Log) checkWritten(ctx context.Context, last, published, written attest.Checkpoint) error {
	for _, signed := range []attest.Checkpoint{last, published} {
		if signed.Note == nil {
			continue
		}
		if err := l.Extends(ctx, signed, written); err != nil {
			return err
		}
	}
	// An edition that remembered nothing is believed once; and what is published is
	// signed, should a backup have put an older memory beside it.
	adopt := published.Note != nil && (last.Note == nil || published.Size > last.Size)
	if adopt {
		last = published
	}
	for e, err := range l.Entries(ctx, written, last.Size-last.Size%tlog.TileWidth) {
		if err == nil && e.Index >= last.Size && l.cfg.Unpublished != nil {
			if err = l.cfg.Unpublished(ctx, e.Data); err != nil {
				err = fmt.Errorf("entry %d, which is written and not published: %w", e.Index, err)
			}
		}
		if err != nil {
			return err
		}
	}
	edge, err := l.Edge(ctx, written)
	if err != nil {
		return err
	}
	if adopt {
		if err := durable.WriteFile(l.cfg.Remembered, last.Note, 0o600); err != nil {
			return fmt.Errorf("remembering the checkpoint: %w", err)
		}
	}
	l.signer, err = newSigner(l, last, written.Size, edge)
	return err
}

// remembered reads the largest checkpoint ever signed; the zero one if none is
// remembered.
func remembered(cfg Config) (attest.Checkpoint, error) {
	f, err := os.Open(cfg.Remembered)
	if errors.Is(err, fs.ErrNotExist) {
		return attest.Checkpoint{}, nil
	}
	if err != nil {
		return attest.Checkpoint{}, err
	}
	defer f.Close() //nolint:errcheck // read only
	raw, err := io.ReadAll(io.LimitReader(f, tlog.MaxCheckpoint+1))
	if err != nil {
		return attest.Checkpoint{}, err
	}
	cp, err := cfg.Verifier.Open(raw)
	if err != nil {
		return attest.Checkpoint{}, fmt.Errorf("%s, which remembers the largest checkpoint ever signed: %w", cfg.Remembered, err)
	}
	return cp, nil
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

// checkNew makes sure that a directory without a state file has no log in it, and
// returns the empty tree.
func (l *Log) checkNew() (attest.Checkpoint, error) {
	for _, name := range []string{"checkpoint", "tile"} {
		if _, err := l.files.Stat(name); !errors.Is(err, fs.ErrNotExist) {
			return attest.Checkpoint{}, fmt.Errorf("%w: there is a %s, but no %s; restore it, or begin the log in an empty directory", tlog.ErrCorrupt, name, stateFile)
		}
	}
	return attest.Checkpoint{Origin: l.Verifier().Origin(), Root: attest.Hash(rfc6962.DefaultHasher.EmptyRoot())}, nil
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
