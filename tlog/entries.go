package tlog

import (
	"context"
	"encoding/binary"
	"fmt"
	"iter"

	"github.com/sekisho-dev/sekisho/attest"
)

// Entries is [Reader.Entries].
func (r *TileReader) Entries(ctx context.Context, cp attest.Checkpoint, from uint64) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		if err := r.entries(ctx, cp, from, yield); err != nil {
			yield(Entry{}, fmt.Errorf("reading entries of %s from %d to %d: %w", r.v.Origin(), from, cp.Size, err))
		}
	}
}

// entries yields without errors; it returns nil when the loop has ended early.
func (r *TileReader) entries(ctx context.Context, cp attest.Checkpoint, from uint64, yield func(Entry, error) bool) error {
	if from > cp.Size {
		return fmt.Errorf("%w: the tree ends before", ErrNotFound)
	}
	t, err := r.at(ctx, cp)
	if err != nil {
		return err
	}
	for next := from; next < cp.Size; {
		bundle, err := t.bundle(ctx, next/TileWidth)
		if err != nil {
			return err
		}
		for _, data := range bundle[next%TileWidth:] {
			if !yield(Entry{next, data}, nil) {
				return nil
			}
			next++
		}
	}
	return nil
}

// bundle returns the entries of one bundle, each of which hashes to its leaf.
func (t *tree) bundle(ctx context.Context, index uint64) ([][]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	leaves, err := t.tile(ctx, 0, index)
	if err != nil {
		return nil, err
	}
	want := widest(Entries, index, t.cp.Size)
	raw, got, err := t.src.get(ctx, want)
	if err != nil {
		return nil, err
	}
	bundle, err := ParseBundle(raw, got.Width)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrCorrupt, got.Path(), err)
	}
	for i, leaf := range leaves.rows[0] {
		if attest.LeafHash(bundle[i]) != leaf {
			return nil, fmt.Errorf("%w: %s: entry %d does not hash to leaf %x", ErrCorrupt, got.Path(), index*TileWidth+uint64(i), leaf)
		}
	}
	return bundle[:want.Width], nil
}

// ParseBundle splits a bundle of exactly width entries, each after its 16-bit
// length (tlog-tiles). Bytes behind them are refused: they are in no tree. With an
// error it returns the entries before it. Nothing of them is authenticated.
func ParseBundle(raw []byte, width int) ([][]byte, error) {
	bundle := make([][]byte, 0, width)
	for len(bundle) < width {
		if len(raw) < 2 || len(raw)-2 < int(binary.BigEndian.Uint16(raw)) {
			return bundle, fmt.Errorf("it ends within entry %d of %d", len(bundle), width)
		}
		end := 2 + int(binary.BigEndian.Uint16(raw))
		bundle = append(bundle, raw[2:end:end])
		raw = raw[end:]
	}
	if len(raw) > 0 {
		return bundle, fmt.Errorf("%d bytes after its %d entries", len(raw), width)
	}
	return bundle, nil
}
