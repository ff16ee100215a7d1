package tiles

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/internal/durable"
	"github.com/sekisho-dev/sekisho/tlog"
)

// recovered is what is known of the entries of one bundle. An entry of which nothing
// is known is nil, its leaf zero.
type recovered struct {
	leaves  []attest.Hash
	entries [][]byte
	fetched int // entries from the source
}

// marshal returns the bundle of the first width entries.
func (b *recovered) marshal(width int) []byte {
	var raw []byte
	for _, e := range b.entries[:width] {
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
	parts := r.parts(full)
	if len(parts) == 0 {
		return nil
	}
	raw, _ := r.log.read(parts[len(parts)-1].Path()) // nil if it cannot be read
	return raw
}

// parts returns the partial tiles that there are of a full one, the widest last.
func (r *repair) parts(full tlog.Tile) (parts []tlog.Tile) {
	f, err := r.log.files.Open(full.Path() + ".p")
	if err != nil {
		return nil
	}
	defer f.Close()               //nolint:errcheck // read only
	names, _ := f.Readdirnames(0) // what it could read
	for full.Width = 1; full.Width < tlog.TileWidth; full.Width++ {
		if slices.Contains(names, strconv.Itoa(full.Width)) {
			parts = append(parts, full)
		}
	}
	return parts
}

// putTiles puts a tile, where it differs, and its beginnings: the partial tiles that are
// still there, and where it is partial itself, those of the trees that were signed. A
// reader may have got no further.
func (r *repair) putTiles(t tlog.Tile, beginning func(width int) []byte) error {
	all := []tlog.Tile{t}
	for _, p := range r.parts(tlog.Tile{Level: t.Level, Index: t.Index, Width: tlog.TileWidth}) {
		if p.Width < t.Width {
			all = append(all, p)
		}
	}
	for _, size := range []uint64{r.signed.Size, r.published.Size} {
		row := size >> (8 * max(t.Level, 0))
		p := tlog.Tile{Level: t.Level, Index: t.Index, Width: int(row % tlog.TileWidth)}
		if row/tlog.TileWidth == t.Index && 0 < p.Width && p.Width < t.Width && t.Width < tlog.TileWidth && !slices.Contains(all, p) {
			all = append(all, p)
		}
	}
	for _, t := range all {
		if err := r.putFile(t.Path(), beginning(t.Width)); err != nil {
			return err
		}
	}
	return nil
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
	// Where nothing is remembered, Open believes what is published.
	if have, err := remembered(r.log.cfg); err != nil || have.Note != nil && !bytes.Equal(have.Note, r.signed.Note) {
		return r.putAt("../"+filepath.Base(r.log.cfg.Remembered), r.log.cfg.Remembered, r.signed.Note)
	}
	return nil
}
