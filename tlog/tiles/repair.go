package tiles

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/tlog"
	"github.com/transparency-dev/merkle/compact"
)

// A Source has the entries of a log elsewhere than in its directory.
type Source interface {
	// Entry returns the entry with that leaf hash, or an error if there is none.
	Entry(ctx context.Context, leaf attest.Hash) ([]byte, error)
	// Leaves returns the leaf hash of everything that Entry may have, as near to the
	// order of the log as is known. It is asked only where nothing in the directory
	// says what an entry was.
	Leaves(ctx context.Context) ([]attest.Hash, error)
}

// Repaired is what Repair has found and done.
type Repaired struct {
	Signed  attest.Checkpoint // the largest checkpoint that is known to be signed
	Size    uint64            // entries that the log has, or will have
	Dropped uint64            // entries that were written, never acknowledged, and cannot be proven
	Files   []string          // what was written, or is to be, by path in the log's directory
	Source  uint64            // entries that were read from the source
}

// Repair makes the files of a log again that are missing or damaged: entry bundles,
// tiles, Tessera's state and the checkpoint, so that the tree is that of the largest
// checkpoint ever signed, and of what was written after it where that can be proven.
// Nobody may have the log open.
//
// An entry and its leaf hash are in two files, so that either can be made again from
// the other; where they disagree, the one that the source knows is right. Where both are
// gone the source's leaves that are nowhere else in the log are tried. What decides is
// the signed root: unless everything hashes to it nothing is written, nor is it
// unless write is set. Each file is put in place whole, Tessera's state and the
// checkpoint last: a repair that was cut short is done again.
//
// progress, which may be nil, is told now and then how many of how many entries are done.
//
// Errors: [tlog.ErrLocked]; [tlog.ErrCheckpoint] if no signed checkpoint is left;
// [tlog.ErrCorrupt] if the log cannot be made again, naming what is missing.
func Repair(ctx context.Context, cfg Config, from Source, write bool, progress func(done, all uint64)) (Repaired, error) {
	done, err := repairLog(ctx, cfg, from, write, progress)
	if err != nil {
		return done, fmt.Errorf("repairing log in %s: %w", cfg.Dir, err)
	}
	return done, nil
}

func repairLog(ctx context.Context, cfg Config, from Source, write bool, progress func(done, all uint64)) (_ Repaired, err error) {
	lock, err := acquire(cfg.Dir)
	if err != nil {
		return Repaired{}, err
	}
	if cfg.Remembered == "" {
		cfg.Remembered = lock.dir + ".checkpoint"
	}
	l := &Log{cfg: cfg, lock: lock}
	defer func() { err = errors.Join(err, l.release()) }()
	if l.files, err = os.OpenRoot(cfg.Dir); err != nil {
		return Repaired{}, err
	}
	l.TileReader = tlog.NewTileReader(cfg.Verifier, l.fetch)
	if progress == nil {
		progress = func(uint64, uint64) {}
	}
	r := &repair{log: l, source: from, write: write, progress: progress, found: map[uint64]attest.Hash{}}
	err = r.run(ctx)
	return r.done, err
}

// A repair is one under way.
type repair struct {
	log      *Log
	source   Source
	write    bool
	progress func(done, all uint64)

	signed, published attest.Checkpoint
	found             map[uint64]attest.Hash // leaves of which the directory says nothing, by index
	doubt             bool                   // what only a bundle says is not believed
	roots             map[uint64]attest.Hash // of the trees that matter, by size
	done              Repaired
}

func (r *repair) run(ctx context.Context) error {
	if err := r.readSigned(); err != nil {
		return err
	}
	r.done.Signed = r.signed
	size := r.signed.Size
	state, err := r.log.state()
	beyond := err == nil && state.Size > size
	if beyond {
		// What is written beyond the signed tree is kept if all of it is there.
		gaps, err := r.hash(ctx, state.Size)
		if err != nil {
			return err
		}
		if len(gaps) == 0 && r.roots[state.Size] == state.Root && r.roots[size] == r.signed.Root {
			size = state.Size
		}
	}
	if size == r.signed.Size {
		if err := r.toSigned(ctx); err != nil {
			return err
		}
		if beyond {
			r.done.Dropped = state.Size - size
		}
	}
	r.done.Size = size
	return r.put(ctx, size)
}

// readSigned finds the largest signed checkpoint: remembered, or published.
func (r *repair) readSigned() error {
	remembered, rerr := remembered(r.log.cfg)
	raw, perr := r.log.read("checkpoint")
	if perr == nil {
		r.published, perr = r.log.cfg.Verifier.Open(raw)
	}
	r.signed = remembered
	if r.signed.Note == nil || r.published.Size > r.signed.Size {
		r.signed = r.published
	}
	if r.signed.Note == nil {
		return fmt.Errorf("%w: no checkpoint is left that the log's key has signed; restore %s from a copy: %w", tlog.ErrCheckpoint, r.log.cfg.Remembered, errors.Join(rerr, perr))
	}
	return nil
}

// toSigned makes sure that the signed tree can be made again. What is in a bundle and
// known nowhere else is believed if that has the signed root, and looked for otherwise.
func (r *repair) toSigned(ctx context.Context) error {
	gaps, err := r.hash(ctx, r.signed.Size)
	if err == nil && (len(gaps) > 0 || r.roots[r.signed.Size] != r.signed.Root) {
		r.doubt = true
		gaps, err = r.hash(ctx, r.signed.Size)
	}
	if err == nil && len(gaps) > 0 {
		if err = r.fill(ctx, gaps); err == nil {
			gaps, err = r.hash(ctx, r.signed.Size)
		}
	}
	if err == nil && (len(gaps) > 0 || r.roots[r.signed.Size] != r.signed.Root) {
		err = fmt.Errorf("%w: what is left of the %d entries does not hash to the signed root %x; restore a copy of the log", tlog.ErrCorrupt, r.signed.Size, r.signed.Root)
	}
	return err
}

// hash reads a tree of that size, as far as it can be read, and notes the roots that
// matter. It returns the indices of the entries that are not known. Beyond what was
// signed, an entry has to be known to the source.
func (r *repair) hash(ctx context.Context, size uint64) (gaps []uint64, err error) {
	tree := trees().NewEmptyRange(0)
	r.roots = map[uint64]attest.Hash{}
	note := func(at uint64) (err error) {
		if at == r.signed.Size || at == r.published.Size || at == size {
			r.roots[at], err = rootOf(tree)
		}
		return err
	}
	for at := uint64(0); at < size; {
		r.tell(at, size)
		b, err := r.bundle(ctx, at/tlog.TileWidth, size)
		if err != nil {
			return nil, err
		}
		for i, leaf := range b.leaves {
			known := b.entries[i] != nil
			if known && at >= r.signed.Size {
				_, err := r.source.Entry(ctx, leaf)
				known = err == nil
			}
			if !known {
				gaps = append(gaps, at)
			}
			if err := errors.Join(note(at), tree.Append(leaf[:], nil)); err != nil {
				return nil, err
			}
			at++
		}
	}
	return gaps, note(size)
}

// put compares every file of the tree with what it has to be, and writes what differs.
func (r *repair) put(ctx context.Context, size uint64) error {
	var row []attest.Hash // the hashes of the full tiles of the level below
	for index := uint64(0); index*tlog.TileWidth < size; index++ {
		b, err := r.bundle(ctx, index, size)
		if err != nil {
			return err
		}
		r.done.Source += uint64(b.fetched)
		if err := r.putTiles(tlog.Tile{Level: tlog.Entries, Index: index, Width: len(b.leaves)}, b.marshal); err != nil {
			return err
		}
		if row, err = r.putTile(tlog.Tile{Index: index, Width: len(b.leaves)}, b.leaves, row); err != nil {
			return err
		}
		r.tell(index*tlog.TileWidth, size)
	}
	for level := 1; len(row) > 0; level++ {
		var above []attest.Hash
		for index := uint64(0); len(row) > 0; index++ {
			width := min(len(row), tlog.TileWidth)
			var err error
			if above, err = r.putTile(tlog.Tile{Level: level, Index: index, Width: width}, row[:width], above); err != nil {
				return err
			}
			row = row[width:]
		}
		row = above
	}
	return r.putState(size)
}

// tell tells of progress, at every 65,536 entries.
func (r *repair) tell(at, size uint64) {
	if at%(tlog.TileWidth*tlog.TileWidth) == 0 && at > 0 {
		r.progress(at, size)
	}
}

// putTile puts a tile of hashes, and appends its own to the row above if it is full.
func (r *repair) putTile(t tlog.Tile, hashes, above []attest.Hash) ([]attest.Hash, error) {
	raw := make([]byte, 0, len(hashes)*len(attest.Hash{}))
	tree := trees().NewEmptyRange(0)
	for _, h := range hashes {
		raw = append(raw, h[:]...)
		if err := tree.Append(h[:], compact.VisitFn(nil)); err != nil {
			return nil, err
		}
	}
	if t.Width == tlog.TileWidth {
		root, err := rootOf(tree)
		if err != nil {
			return nil, err
		}
		above = append(above, root)
	}
	return above, r.putTiles(t, func(width int) []byte { return raw[:width*len(attest.Hash{})] })
}
