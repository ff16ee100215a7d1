package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/server/follow"
	"github.com/sekisho-dev/sekisho/store"
	"github.com/sekisho-dev/sekisho/store/bolt"
	"github.com/sekisho-dev/sekisho/store/dir"
	"github.com/sekisho-dev/sekisho/tlog/tiles"
)

// A repaired is what repair prints.
type repaired struct {
	LogSize    uint64   `json:"logSize"`
	Checkpoint string   `json:"checkpoint"` // the largest that was signed
	Written    bool     `json:"written"`
	Files      []string `json:"files"`     // of log/, that are or will be written
	FromBlobs  uint64   `json:"fromBlobs"` // entries that are in blobs/ only
	Dropped    uint64   `json:"dropped"`   // entries that were never acknowledged and cannot be proven
}

// repair makes what is missing or damaged in log/ again, from itself and from blobs/.
// It signs nothing, and it does not open the log as the service would: that is
// refused.
func repair(ctx context.Context, c *Config, log *slog.Logger) (r *repaired, err error) {
	if err := served(c); err != nil {
		return nil, err
	}
	if _, err := os.Stat(c.path("keys", "log.key")); err != nil {
		return nil, fmt.Errorf("the log's key, under which its checkpoints are signed, must be there: %w", err)
	}
	h := &house{config: c, logger: log}
	defer func() { err = errors.Join(err, h.Close()) }()
	if err := h.lock(); err != nil {
		return nil, err
	}
	_, v, err := openLogKey(c)
	if err != nil {
		return nil, err
	}
	blobs, err := dir.Open(c.path("blobs"))
	if err != nil {
		return nil, fmt.Errorf("opening the blobs: %w", err)
	}
	h.closers = append(h.closers, blobs.Close)
	progress := func(done, all uint64) { log.Info("reading the log", "entries", done, "of", all) }
	did, err := tiles.Repair(ctx, tiles.Config{Dir: c.path("log"), Verifier: v}, &records{blobs, c.path("index.bolt")}, c.write, progress)
	if err != nil {
		return nil, err
	}
	r = &repaired{did.Size, string(did.Signed.Note), c.write, append([]string{}, did.Files...), did.Source, did.Dropped}
	if !c.write && len(r.Files) > 0 {
		err = errDamage
	}
	return r, err
}

func (r *repaired) print(w io.Writer) {
	will := "will be"
	if r.Written {
		will = "was"
	}
	for _, f := range r.Files {
		fmt.Fprintf(w, "%s %s written\n", "log/"+f, will)
	}
	fmt.Fprintf(w, "%d entries in the log, %d files to mend, %d entries from blobs, %d dropped that were never acknowledged\n", r.LogSize, len(r.Files), r.FromBlobs, r.Dropped)
	if !r.Written && len(r.Files) > 0 {
		fmt.Fprintln(w, "nothing is written yet: keep a copy of log/, then run it again with --write")
	}
}

// records are the entries that can be rebuilt from blobs: a [tiles.Source].
type records struct {
	blobs *dir.Blobs
	index string
}

// Entry rebuilds an entry from its record and payload.
func (s *records) Entry(ctx context.Context, leaf attest.Hash) ([]byte, error) {
	rec, payload, err := follow.Load(ctx, s.blobs, leaf)
	if err != nil {
		return nil, err
	}
	l, err := rec.Leaf(payload)
	if err != nil {
		return nil, err
	}
	return l.Entry()
}

// Leaves are in the order of the index, which is only a hint here, as the signed root
// decides; then as they were submitted.
func (s *records) Leaves(ctx context.Context) ([]attest.Hash, error) {
	leaves := s.indexed(ctx)
	known := map[attest.Hash]bool{}
	for _, leaf := range leaves {
		known[leaf] = true
	}
	submitted := map[attest.Hash]time.Time{}
	var rest []attest.Hash
	for key, err := range s.blobs.Each(ctx) {
		name, isRecord := strings.CutPrefix(key, "record/")
		raw, herr := hex.DecodeString(name)
		if !isRecord || err != nil || herr != nil || len(raw) != len(attest.Hash{}) || known[attest.Hash(raw)] {
			continue // what is damaged rebuilds nothing
		}
		rest = append(rest, attest.Hash(raw))
	}
	for _, leaf := range rest {
		if rec, _, err := follow.Load(ctx, s.blobs, leaf); err == nil {
			submitted[leaf] = rec.SubmittedAt
		}
	}
	slices.SortStableFunc(rest, func(a, b attest.Hash) int { return submitted[a].Compare(submitted[b]) })
	return append(leaves, rest...), ctx.Err()
}

// indexed are the leaves of the index, as far as there is one.
func (s *records) indexed(ctx context.Context) (leaves []attest.Hash) {
	if _, err := os.Stat(s.index); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	idx, err := bolt.Open(s.index)
	if err != nil {
		return nil
	}
	defer idx.Close()                             //nolint:errcheck // only read
	idx.View(ctx, func(at store.Snapshot) error { //nolint:errcheck // a hint, as far as it can be read
		for i := range at.Checkpoint().Size {
			rec, err := at.Record(i)
			if err != nil {
				continue
			}
			for _, k := range rec.Keys {
				if k.Kind == store.Leaf && len(k.Value) == len(attest.Hash{}) {
					leaves = append(leaves, attest.Hash([]byte(k.Value)))
				}
			}
		}
		return nil
	})
	return leaves
}
