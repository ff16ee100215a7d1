package tlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"sync/atomic"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/proof"
)

// checkpointPath is where a log serves its newest checkpoint.
const checkpointPath = "checkpoint"

// Fetch returns the bytes that a log serves under a path, "checkpoint" or that
// of a [Tile]; they are checked by whoever asked. The error is fs.ErrNotExist,
// wrapped or not, if there are none. Fetch bounds what it reads: no file of a
// log is longer than [MaxFile]. The reader does not change what it returns.
type Fetch func(ctx context.Context, path string) ([]byte, error)

// MaxFile is the longest file of a log: a full bundle of the largest entries.
const MaxFile = TileWidth * (2 + MaxEntry)

// A TileReader is the [Reader] of any tiled log: on disk, in memory, or behind
// somebody's web server. It trusts the log's key and nothing else.
type TileReader struct {
	v   *Verifier
	src *source

	mu     sync.Mutex // held from reading a checkpoint to accepting it
	newest atomic.Pointer[tree]
}

// NewTileReader returns a reader of v's log.
func NewTileReader(v *Verifier, fetch Fetch) *TileReader {
	return &TileReader{v: v, src: &source{fetch: fetch, kept: map[Tile]*hashTile{}}}
}

// Verifier returns the verifier of the log's checkpoints.
func (r *TileReader) Verifier() *Verifier { return r.v }

// Checkpoint is [Reader.Checkpoint]. A checkpoint that has been seen before costs
// one fetch and no verification.
func (r *TileReader) Checkpoint(ctx context.Context) (attest.Checkpoint, error) {
	// Without the lock, one caller's old bytes could be compared with another's
	// newer checkpoint, and honest growth would look like a rollback.
	r.mu.Lock()
	defer r.mu.Unlock()
	raw, err := r.src.fetch(ctx, checkpointPath)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: no checkpoint has been published", ErrNotFound)
	}
	if err != nil {
		return attest.Checkpoint{}, fmt.Errorf("reading checkpoint of %s: %w", r.v.Origin(), err)
	}
	known := r.newest.Load()
	if known != nil && bytes.Equal(raw, known.cp.Note) {
		return known.cp, nil
	}
	cp, err := r.v.Open(raw)
	if err != nil {
		return attest.Checkpoint{}, err
	}
	t, err := openTree(ctx, r.src, cp)
	if err == nil && known != nil {
		err = t.extends(ctx, known.cp)
	}
	if err != nil {
		return attest.Checkpoint{}, fmt.Errorf("reading checkpoint of %s: %w", r.v.Origin(), err)
	}
	r.newest.Store(t)
	return cp, nil
}

// Extends checks, tile by tile, that the tree of newer extends that of older.
// Both are believed to be the log's. Errors: [ErrInconsistent], [ErrCorrupt].
func (r *TileReader) Extends(ctx context.Context, older, newer attest.Checkpoint) error {
	t, err := r.at(ctx, newer)
	if err == nil {
		err = t.extends(ctx, older)
	}
	return err
}

func (t *tree) extends(ctx context.Context, older attest.Checkpoint) error {
	if t.cp.Size < older.Size {
		return fmt.Errorf("%w: it had %d entries and now has %d", ErrInconsistent, older.Size, t.cp.Size)
	}
	root, err := t.root(ctx, older.Size)
	if err != nil {
		return err
	}
	if root != older.Root {
		return fmt.Errorf("%w: its first %d entries had root %x and now have %x", ErrInconsistent, older.Size, older.Root, root)
	}
	return nil
}

// Edge returns the roots of the largest complete subtrees that cp's tree is made of,
// from the left: what a tree that extends it can be hashed from without its tiles.
// There is one for each bit that is set in the size. Errors: [ErrCorrupt].
func (r *TileReader) Edge(ctx context.Context, cp attest.Checkpoint) ([]attest.Hash, error) {
	t, err := r.at(ctx, cp)
	if err != nil {
		return nil, err
	}
	return t.nodes(ctx, compact.RangeNodes(0, cp.Size, nil))
}

// Receipt returns the receipt of the entry with that index and leaf hash, under
// the newest checkpoint that Checkpoint has returned. Receipts under one
// checkpoint share its note. [ErrNotFound] if that checkpoint does not cover the
// index, [ErrProof] if another entry is there.
func (r *TileReader) Receipt(ctx context.Context, index uint64, leaf attest.Hash) (attest.Receipt, error) {
	t := r.newest.Load()
	if t == nil || index >= t.cp.Size {
		return attest.Receipt{}, fmt.Errorf("receipt of entry %d: %w yet", index, ErrNotFound)
	}
	path, err := t.inclusion(ctx, index, t.cp, leaf)
	if err != nil {
		return attest.Receipt{}, fmt.Errorf("receipt of entry %d: %w", index, err)
	}
	return attest.Receipt{Index: index, LeafHash: leaf, Proof: path, Checkpoint: t.cp}, nil
}

// Inclusion is [Reader.Inclusion].
func (r *TileReader) Inclusion(ctx context.Context, index, size uint64) ([]attest.Hash, error) {
	if index >= size {
		return nil, fmt.Errorf("%w: a tree of %d has no entry %d", ErrProof, size, index)
	}
	t, cp, err := r.past(ctx, size)
	if err != nil {
		return nil, err
	}
	leaf, err := t.node(ctx, compact.NewNodeID(0, index))
	if err != nil {
		return nil, err
	}
	return t.inclusion(ctx, index, cp, leaf)
}

// inclusion returns a proof, verified, that leaf is in an earlier tree of t.
func (t *tree) inclusion(ctx context.Context, index uint64, cp attest.Checkpoint, leaf attest.Hash) ([]attest.Hash, error) {
	wanted, err := proof.Inclusion(index, cp.Size)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrProof, err)
	}
	path, err := t.prove(ctx, wanted)
	if err != nil {
		return nil, err
	}
	return path, VerifyInclusion(cp, index, leaf, path)
}

// Consistency is [Reader.Consistency].
func (r *TileReader) Consistency(ctx context.Context, from, to uint64) ([]attest.Hash, error) {
	t, newer, err := r.past(ctx, to)
	if err != nil {
		return nil, err
	}
	wanted, err := proof.Consistency(from, to)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrProof, err)
	}
	path, err := t.prove(ctx, wanted)
	if err != nil {
		return nil, err
	}
	older := attest.Checkpoint{Origin: newer.Origin, Size: from}
	if older.Root, err = t.root(ctx, from); err != nil {
		return nil, err
	}
	return path, VerifyConsistency(older, newer, path)
}

// past returns the newest tree, and the checkpoint, without a note, that it had
// when its size was size.
func (r *TileReader) past(ctx context.Context, size uint64) (*tree, attest.Checkpoint, error) {
	t := r.newest.Load()
	if t == nil || size > t.cp.Size {
		if _, err := r.Checkpoint(ctx); err != nil {
			return nil, attest.Checkpoint{}, err
		}
		t = r.newest.Load()
	}
	if size > t.cp.Size {
		return nil, attest.Checkpoint{}, fmt.Errorf("%w: a tree of %d was asked for, the newest has %d", ErrNotFound, size, t.cp.Size)
	}
	root, err := t.root(ctx, size)
	return t, attest.Checkpoint{Origin: t.cp.Origin, Size: size, Root: root}, err
}

// at returns the tree of cp.
func (r *TileReader) at(ctx context.Context, cp attest.Checkpoint) (*tree, error) {
	if cp.Origin != r.v.Origin() {
		return nil, fmt.Errorf("%w: it is of origin %.200q, want %q", ErrCheckpoint, cp.Origin, r.v.Origin())
	}
	if t := r.newest.Load(); t != nil && t.cp.Size == cp.Size && t.cp.Root == cp.Root {
		return t, nil
	}
	return openTree(ctx, r.src, cp)
}
