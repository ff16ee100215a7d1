package tiles

import (
	"context"
	"fmt"
	"slices"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/tlog"
	"github.com/transparency-dev/merkle/compact"
)

// maxTrials is how many orders of entries are tried, in a second or two: all of seven.
const maxTrials = 10_000

// fill finds the leaves of which neither bundle nor tile says anything: they are among
// those that the source has and the rest of the log has not. Where they are of one
// bundle, orders are tried until one has the signed root; else only the source's.
func (r *repair) fill(ctx context.Context, gaps []uint64) error {
	spare, err := r.spare(ctx)
	if err != nil {
		return err
	}
	if len(spare) < len(gaps) {
		return fmt.Errorf("%w: entry %d is neither in the log nor elsewhere: %d entries are missing, and %d are known that the log does not have; restore them from a copy", tlog.ErrCorrupt, gaps[0], len(gaps), len(spare))
	}
	first, last := gaps[0]/tlog.TileWidth, gaps[len(gaps)-1]/tlog.TileWidth
	if first != last {
		for i, at := range gaps {
			r.found[at] = spare[i]
		}
		return nil // the root decides
	}
	t, err := r.around(ctx, first)
	if err != nil {
		return err
	}
	chosen, ok := t.search(ctx, gaps, spare, r.signed.Root)
	if !ok {
		return fmt.Errorf("%w: %d entries from %d on are neither in a bundle nor in a tile, and no order of the %d that are known elsewhere has the signed root; restore either file from a copy", tlog.ErrCorrupt, len(gaps), gaps[0], len(spare))
	}
	for i, at := range gaps {
		r.found[at] = chosen[i]
	}
	return nil
}

// spare returns the source's leaves that are not elsewhere in the log.
func (r *repair) spare(ctx context.Context) ([]attest.Hash, error) {
	all, err := r.source.Leaves(ctx)
	if err != nil {
		return nil, err
	}
	used := map[attest.Hash]bool{}
	for at := uint64(0); at < r.signed.Size; at += tlog.TileWidth {
		b, err := r.bundle(ctx, at/tlog.TileWidth, r.signed.Size)
		if err != nil {
			return nil, err
		}
		for i, leaf := range b.leaves {
			if b.entries[i] != nil {
				used[leaf] = true
			}
		}
	}
	return slices.DeleteFunc(all, func(h attest.Hash) bool { return used[h] }), nil
}

// A trial is a tree of which some leaves of one bundle are tried.
type trial struct {
	trees       *compact.RangeFactory // ranges of one can be joined
	left, right *compact.Range
	begin       uint64
	leaves      []attest.Hash
	more        int // trials
}

// around hashes everything but one bundle of the signed tree.
func (r *repair) around(ctx context.Context, index uint64) (*trial, error) {
	f := trees()
	t := &trial{trees: f, left: f.NewEmptyRange(0), begin: index * tlog.TileWidth, more: maxTrials}
	for at := uint64(0); at < r.signed.Size; at += tlog.TileWidth {
		b, err := r.bundle(ctx, at/tlog.TileWidth, r.signed.Size)
		if err != nil {
			return nil, err
		}
		if at == t.begin {
			t.leaves, t.right = b.leaves, f.NewEmptyRange(at+uint64(len(b.leaves)))
			continue
		}
		side := t.left
		if at > t.begin {
			side = t.right
		}
		for _, leaf := range b.leaves {
			if err := side.Append(leaf[:], nil); err != nil {
				return nil, err
			}
		}
	}
	return t, nil
}

// search tries the spare leaves at the gaps, beginning with their own order.
func (t *trial) search(ctx context.Context, gaps []uint64, spare []attest.Hash, root attest.Hash) ([]attest.Hash, bool) {
	taken := make([]bool, len(spare))
	chosen := make([]attest.Hash, 0, len(gaps))
	var next func() bool
	next = func() bool {
		if len(chosen) == len(gaps) {
			t.more--
			return t.root() == root
		}
		for i, leaf := range spare {
			if taken[i] || t.more <= 0 || ctx.Err() != nil {
				continue
			}
			taken[i], chosen = true, append(chosen, leaf)
			t.leaves[gaps[len(chosen)-1]-t.begin] = leaf
			if next() {
				return true
			}
			taken[i], chosen = false, chosen[:len(chosen)-1]
		}
		return false
	}
	return chosen[:len(gaps):len(gaps)], next()
}

// root hashes the tree with what is tried; the zero hash is nobody's.
func (t *trial) root() attest.Hash {
	tree, err := t.trees.NewRange(0, t.left.End(), slices.Clone(t.left.Hashes()))
	for _, leaf := range t.leaves {
		if err == nil {
			err = tree.Append(leaf[:], nil)
		}
	}
	if err == nil {
		err = tree.AppendRange(t.right, nil)
	}
	if err != nil {
		return attest.Hash{}
	}
	root, _ := rootOf(tree) // zero with an error
	return root
}
