package tiles

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/internal/durable"
	"github.com/sekisho-dev/sekisho/tlog"
	"github.com/transparency-dev/merkle/compact"
)

// recovered is what is known of the entries of one bundle. An entry of which nothing
// is known is nil, its leaf zero.
type recovered struct {
	leaves  []attest.Hash
	entries [][]byte
	fetched int // entries from the source
}

func (b *recovered) marshal() []byte {
	var raw []byte
	for _, e := range b.entries {
		raw = binary.BigEndian.AppendUint16(raw, uint16(len(e)))
		raw = append(raw, e...)
	}
	return raw
}

// bundle reads what bundle and tile say of up to TileWidth entries. Damage is no error.
func (r *repair) bundle(ctx context.Context, index, size uint64) (*recovered, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	width := int(min(size-index*tlog.TileWidth, tlog.TileWidth))
	tile := r.widest(tlog.Tile{Level: 0, Index: index, Width: width})
	bundle, _ := tlog.ParseBundle(r.widest(tlog.Tile{Level: tlog.Entries, Index: index, Width: width}), width) // with an error, what comes before it
	b := &recovered{leaves: make([]attest.Hash, width), entries: make([][]byte, width)}
	for i := range width {
		var said []attest.Hash // by whom an entry may be told: its tile, its bundle, a guess
		if end := (i + 1) * len(attest.Hash{}); end <= len(tile) {
			said = append(said, attest.Hash(tile[end-len(attest.Hash{}):end]))
		}
		if i < len(bundle) {
			leaf := attest.LeafHash(bundle[i])
			if len(said) > 0 && said[0] == leaf {
				b.leaves[i], b.entries[i] = leaf, bundle[i]
				continue
			}
			said = append(said, leaf)
		}
		if guess, ok := r.found[index*tlog.TileWidth+uint64(i)]; ok {
			said = append(said, guess)
		}
		for _, leaf := range said {
			if e, err := r.source.Entry(ctx, leaf); err == nil && attest.LeafHash(e) == leaf {
				b.leaves[i], b.entries[i] = leaf, e
				b.fetched++
				break
			}
		}
		if b.entries[i] == nil && i < len(bundle) && !r.doubt { // the root will say
			b.leaves[i], b.entries[i] = attest.LeafHash(bundle[i]), bundle[i]
		}
	}
	return b, ctx.Err()
}

// widest reads a tile, or the full one that it is the beginning of, or where a log was
// set back what there is of it. What cannot be read is nil: it is to be made again.
func (r *repair) widest(t tlog.Tile) []byte {
	full := tlog.Tile{Level: t.Level, Index: t.Index, Width: tlog.TileWidth}
	for _, t := range []tlog.Tile{t, full} {
		if raw, err := r.log.read(t.Path()); err == nil {
			return raw
		}
	}
	parts, err := r.log.files.Open(full.Path() + ".p")
	if err != nil {
		return nil
	}
	defer parts.Close()               //nolint:errcheck // read only
	names, _ := parts.Readdirnames(0) // what it could read
	for full.Width > 1 {
		if full.Width--; slices.Contains(names, strconv.Itoa(full.Width)) {
			raw, _ := r.log.read(full.Path()) // nil if it cannot be read
			return raw
		}
	}
	return nil
}

// maxTrials is how many orders of entries are tried: some seconds.
const maxTrials = 50_000

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

// putFile puts a file of the log if it is another.
func (r *repair) putFile(name string, want []byte) error {
	if have, err := r.log.read(name); err == nil && bytes.Equal(have, want) {
		return nil
	}
	return r.putAt(name, filepath.Join(r.log.lock.dir, filepath.FromSlash(name)), want)
}

func (r *repair) putAt(name, to string, want []byte) error {
	r.done.Files = append(r.done.Files, name)
	if !r.write {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return durable.WriteFile(to, want, 0o644) // as Tessera has them: a log is public
}

// putState puts what says how long the log is, last.
func (r *repair) putState(size uint64) error {
	root := r.roots[size]
	if state, err := r.log.state(); err != nil || state.Size != size || state.Root != root {
		raw, err := json.Marshal(struct {
			Size uint64 `json:"size"`
			Root []byte `json:"root"`
		}{size, root[:]})
		if err != nil {
			return err
		}
		if err := r.putFile(versionFile, []byte(layoutVersion)); err != nil {
			return err
		}
		if err := r.putFile(stateFile, raw); err != nil {
			return err
		}
	}
	if r.published.Note == nil || r.published.Root != r.roots[r.published.Size] {
		if err := r.putFile("checkpoint", r.signed.Note); err != nil {
			return err
		}
	}
	if have, err := remembered(r.log.cfg); err != nil || !bytes.Equal(have.Note, r.signed.Note) {
		return r.putAt(filepath.Base(r.log.cfg.Remembered), r.log.cfg.Remembered, r.signed.Note)
	}
	return nil
}
