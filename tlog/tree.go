package tlog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/api/layout"
	sumdb "golang.org/x/mod/sumdb/tlog"
)

// A tree is the tiles of one tree, each believed only once it has been hashed up
// to the root (CVE-2026-56865: a tile that is used for its neighbours' sake is
// still a tile to check). It is authenticated from the top:
//
//   - the partial tiles, at most one a level, are exactly what the root is the
//     hash of, and openTree hashes them all;
//   - a full tile is one hash of the tile above it, which is either partial or
//     itself full and checked in the same way.
//
// golang.org/x/mod's TileHashReader does this too, anew for every call; a log
// that proves thousands of entries a second under one root needs it once.
type tree struct {
	cp    attest.Checkpoint
	src   *source
	right []*hashTile // by level, the partial tile, or nil where there is none
}

// hashTile is a tile's hashes and those above them: rows[k] has every complete
// subtree of 2^k of them, so that rows[8][0] is a full tile's own hash.
type hashTile struct {
	rows [layout.TileHeight + 1][]attest.Hash
}

// openTree reads the partial tiles of cp's tree and checks them against cp.Root.
func openTree(ctx context.Context, src *source, cp attest.Checkpoint) (*tree, error) {
	t := &tree{cp: cp, src: src}
	for level := 0; cp.Size>>(level*layout.TileHeight) > 0; level++ {
		row := cp.Size >> (level * layout.TileHeight)
		if row%TileWidth == 0 {
			t.right = append(t.right, nil)
			continue
		}
		h, err := src.hashes(ctx, Tile{level, row / TileWidth, int(row % TileWidth)})
		if err != nil {
			return nil, err
		}
		t.right = append(t.right, h)
	}
	root, err := t.root(ctx, cp.Size)
	if err != nil {
		return nil, err
	}
	if root != cp.Root {
		return nil, fmt.Errorf("%w: the tiles of a tree of %d hash to %x, its signed root is %x", ErrCorrupt, cp.Size, root, cp.Root)
	}
	return t, nil
}

// tile returns an authenticated tile.
func (t *tree) tile(ctx context.Context, level int, index uint64) (*hashTile, error) {
	row := t.cp.Size >> (level * layout.TileHeight)
	if index == row/TileWidth && row%TileWidth > 0 {
		return t.right[level], nil
	}
	if index >= row/TileWidth {
		return nil, fmt.Errorf("%w: a tree of %d has no tile %d on level %d", ErrNotFound, t.cp.Size, index, level)
	}
	above, err := t.tile(ctx, level+1, index/TileWidth)
	if err != nil {
		return nil, err
	}
	return t.src.full(ctx, Tile{level, index, TileWidth}, above.rows[0][index%TileWidth])
}

// node returns the hash of a complete subtree.
func (t *tree) node(ctx context.Context, id compact.NodeID) (attest.Hash, error) {
	level, index, k, at := layout.NodeCoordsToTileAddress(uint64(id.Level), id.Index)
	h, err := t.tile(ctx, int(level), index)
	if err != nil {
		return attest.Hash{}, err
	}
	if at >= uint64(len(h.rows[k])) {
		return attest.Hash{}, fmt.Errorf("%w: a tree of %d has no node %d/%d", ErrNotFound, t.cp.Size, id.Level, id.Index)
	}
	return h.rows[k][at], nil
}

// nodes returns the hashes of several.
func (t *tree) nodes(ctx context.Context, ids []compact.NodeID) ([]attest.Hash, error) {
	hs := make([]attest.Hash, len(ids))
	for i, id := range ids {
		h, err := t.node(ctx, id)
		if err != nil {
			return nil, err
		}
		hs[i] = h
	}
	return hs, nil
}

// root returns what the root was when the tree had that size.
func (t *tree) root(ctx context.Context, size uint64) (attest.Hash, error) {
	if size == 0 {
		return emptyRoot(), nil
	}
	hs, err := t.nodes(ctx, compact.RangeNodes(0, size, nil))
	if err != nil {
		return attest.Hash{}, err
	}
	root := hs[len(hs)-1]
	for i := len(hs) - 2; i >= 0; i-- {
		root = nodeHash(hs[i], root)
	}
	return root, nil
}

// prove assembles a proof from the nodes that package proof asks for.
func (t *tree) prove(ctx context.Context, wanted proof.Nodes) ([]attest.Hash, error) {
	hs, err := t.nodes(ctx, wanted.IDs)
	if err != nil {
		return nil, err
	}
	path, err := wanted.Rehash(asBytes(hs), rfc6962.DefaultHasher.HashChildren)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrProof, err)
	}
	return asHashes(path), nil
}

// A source fetches tiles, and keeps full hash tiles.
type source struct {
	fetch Fetch

	mu   sync.Mutex
	kept map[Tile]*hashTile
}

// maxKept bounds the kept tiles, of 16 KiB each. 256 cover the newest 65,000
// entries and what is above them.
const maxKept = 256

// full returns a full tile whose own hash is want. A kept tile is held to that
// like a fetched one, so that it may serve any tree.
//
// The lock is held while fetching: when a checkpoint is published everybody who
// waited for it wants the same few tiles, and one should fetch them.
func (s *source) full(ctx context.Context, t Tile, want attest.Hash) (*hashTile, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h, ok := s.kept[t]; ok && h.rows[layout.TileHeight][0] == want {
		return h, nil
	}
	h, err := s.hashes(ctx, t)
	if err != nil {
		return nil, err
	}
	if got := h.rows[layout.TileHeight][0]; got != want {
		return nil, fmt.Errorf("%w: %s hashes to %x, the tile above it says %x", ErrCorrupt, t.Path(), got, want)
	}
	for k := range s.kept {
		if len(s.kept) < maxKept {
			break
		}
		delete(s.kept, k) // any: Go's map order is random enough
	}
	s.kept[t] = h
	return h, nil
}

// hashes fetches a hash tile and computes what is above its hashes. Nothing of
// it is authenticated yet.
func (s *source) hashes(ctx context.Context, t Tile) (*hashTile, error) {
	raw, got, err := s.get(ctx, t)
	if err != nil {
		return nil, err
	}
	if len(raw) != got.Width*len(attest.Hash{}) {
		return nil, fmt.Errorf("%w: %s has %d bytes, want %d", ErrCorrupt, got.Path(), len(raw), got.Width*len(attest.Hash{}))
	}
	h := &hashTile{}
	for i := range t.Width {
		h.rows[0] = append(h.rows[0], attest.Hash(raw[i*len(attest.Hash{}):]))
	}
	for k := 1; k < len(h.rows); k++ {
		below := h.rows[k-1]
		for i := 0; i+1 < len(below); i += 2 {
			h.rows[k] = append(h.rows[k], nodeHash(below[i], below[i+1]))
		}
	}
	return h, nil
}

// get fetches a tile. A log may drop a partial tile once the full one exists, of
// which the partial one is the beginning: then got is the full one. A tile that
// the tree implies and the log does not have is damage.
func (s *source) get(ctx context.Context, t Tile) (raw []byte, got Tile, err error) {
	raw, err = s.fetch(ctx, t.Path())
	if errors.Is(err, fs.ErrNotExist) && t.Width < TileWidth {
		t.Width = TileWidth
		raw, err = s.fetch(ctx, t.Path())
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, t, fmt.Errorf("%w: %s is missing", ErrCorrupt, t.Path())
	}
	if err != nil {
		return nil, t, fmt.Errorf("reading %s: %w", t.Path(), err)
	}
	return raw, t, nil
}

// nodeHash is SHA-256(0x01 ‖ left ‖ right) (RFC 6962 section 2.1).
func nodeHash(left, right attest.Hash) attest.Hash {
	return attest.Hash(sumdb.NodeHash(sumdb.Hash(left), sumdb.Hash(right)))
}
