package tlog

import (
	"fmt"
	"strings"

	"github.com/transparency-dev/tessera/api/layout"
)

// Entries is the level of a tile that holds entries, not hashes.
const Entries = -1

// TileWidth is the number of hashes, or entries, in a full tile.
const TileWidth = layout.TileWidth

// A Tile names one tile of a log (tlog-tiles): Width hashes of tree level
// 8×Level from TileWidth×Index on, or, at level Entries, as many entries.
type Tile struct {
	Level int    // 0 to 63, or Entries
	Index uint64 // which tile of its level
	Width int    // 1 to TileWidth; less is a partial tile
}

// Path returns where a log serves the tile, as "tile/0/x001/234.p/5".
func (t Tile) Path() string {
	partial := uint8(t.Width % TileWidth) // layout writes a full tile as width 0
	if t.Level == Entries {
		return layout.EntriesPath(t.Index, partial)
	}
	return layout.TilePath(uint64(t.Level), t.Index, partial)
}

// ParseTile reads a path back. Only the one spelling that Path writes is a tile:
// what else a path might say (leading zeros, "..", doubled slashes, widths of 0 or
// 256) is refused with [ErrNotFound], for no log serves it.
func ParseTile(path string) (Tile, error) {
	refused := fmt.Errorf("%w: %.100q is no tile", ErrNotFound, path)
	rest, ok := strings.CutPrefix(path, "tile/")
	// The longest index has seven groups; more is not worth parsing.
	if !ok || len(path) > len("tile/entries/x018/x446/x744/x073/x709/x551/615.p/255") {
		return Tile{}, refused
	}
	level, index, _ := strings.Cut(rest, "/")
	t := Tile{Level: Entries}
	if level != "entries" {
		l, err := layout.ParseTileLevel(level)
		if err != nil {
			return Tile{}, refused
		}
		t.Level = int(l)
	}
	n, partial, err := layout.ParseTileIndexPartial(index)
	if err != nil {
		return Tile{}, refused
	}
	t.Index, t.Width = n, TileWidth
	if partial > 0 {
		t.Width = int(partial)
	}
	if t.Path() != path {
		return Tile{}, refused
	}
	return t, nil
}

// In reports whether a tree of the given size has the tile, or had it while it
// was growing: a partial tile is kept until its full one exists, and longer.
func (t Tile) In(size uint64) bool {
	row := size // how many hashes, or entries, the whole level has
	if t.Level > 0 {
		row >>= uint(t.Level) * layout.TileHeight
	}
	if full := row / TileWidth; t.Index != full {
		return t.Index < full
	}
	return t.Width <= int(row%TileWidth)
}

// widest returns the tile of that level and index in a tree of the given size.
func widest(level int, index, size uint64) Tile {
	partial := layout.PartialTileSize(uint64(max(level, 0)), index, size)
	if partial == 0 {
		return Tile{level, index, TileWidth}
	}
	return Tile{level, index, int(partial)}
}
