package follow

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/store"
)

// A Problem is one entry at which log, blobs and index do not agree, or which counts
// for less than it says.
type Problem struct {
	Entry uint64
	Err   error
	// Harmless: nothing is damaged, and nothing is to be done. The entry was
	// registered by the rules of another time.
	Harmless bool
}

// Check checks everything against everything: each entry of the log is
// authenticated, rebuilt from its record and payload, verified, what it says is
// compared with its row in the index, and its row is looked for under each of its keys.
// It changes nothing, and yields every problem; an error ends it. Nothing may be
// following meanwhile.
func (f *Follower) Check(ctx context.Context) iter.Seq2[Problem, error] {
	return func(yield func(Problem, error) bool) {
		f.mu.Lock()
		defer f.mu.Unlock()
		newest, err := f.c.Log.Checkpoint(ctx)
		if err == nil {
			err = f.consistent(ctx, f.position(), newest)
		}
		if err != nil {
			yield(Problem{}, err)
			return
		}
		seen, indexed := map[attest.Hash]bool{}, f.position().Size
		for e, err := range f.c.Log.Entries(ctx, newest, 0) {
			if err != nil {
				yield(Problem{}, err)
				return
			}
			r, err := f.derive(ctx, e, f.material)
			p := Problem{Entry: e.Index, Err: err}
			leaf := attest.LeafHash(e.Data)
			if err == nil && e.Index < indexed && !seen[leaf] {
				p.Err = compare(ctx, *f.index.Load(), r.record)
			}
			seen[leaf] = true
			if ctx.Err() != nil {
				yield(Problem{}, ctx.Err())
				return
			}
			if p.Err == nil {
				p.Err, p.Harmless = r.Remark(), true
			}
			if p.Err != nil && !yield(p, nil) {
				return
			}
		}
	}
}

// compare compares what an entry says with its row in the index, and looks for the
// row wherever it has to be found.
func compare(ctx context.Context, idx store.Index, want store.Record) error {
	return idx.View(ctx, func(s store.Snapshot) error {
		have, err := s.Record(want.Index)
		switch {
		case errors.Is(err, store.ErrNotFound):
			return errors.New("not in the index: run sekishod reindex")
		case err != nil:
			return fmt.Errorf("reading the index: %w", err)
		case !bytes.Equal(have.Value, want.Value) || !slices.Equal(sorted(have.Keys), sorted(want.Keys)):
			return errors.New("the index says something else than the log: run sekishod reindex")
		}
		for _, k := range append(sorted(want.Keys), store.Key{Kind: store.All}) {
			if err := findable(s, k, want.Index); err != nil {
				return fmt.Errorf("the index does not find it by its %v: %w: run sekishod reindex", k.Kind, err)
			}
		}
		return nil
	})
}

// findable reports whether a record is found by a key, and the key among those of its
// group. Where it is the first that is found there, all of it is walked through, so that
// everything is, once.
func findable(s store.Snapshot, k store.Key, index uint64) error {
	if err := walkFrom(s.Indexes(k, 0), index); err != nil {
		return err
	}
	if first, ok := k.First(); ok {
		if err := walkFrom(s.Values(k.Kind, first), k.Value); err != nil {
			return err
		}
	}
	for i, err := range s.Indexes(k, index) {
		if err == nil && i != index {
			err = store.ErrNotFound
		}
		return err
	}
	return store.ErrNotFound
}

// walkFrom goes to the end of what is found, if it begins with first.
func walkFrom[T comparable](found iter.Seq2[T, error], first T) error {
	begun := false
	for one, err := range found {
		if err != nil {
			return err
		}
		if !begun && one != first {
			return nil
		}
		begun = true
	}
	return nil
}

// sorted orders keys, which are a set.
func sorted(keys []store.Key) []store.Key {
	keys = slices.Clone(keys)
	slices.SortFunc(keys, func(a, b store.Key) int {
		if a.Kind != b.Kind {
			return int(a.Kind) - int(b.Kind)
		}
		return strings.Compare(a.Value, b.Value)
	})
	return slices.Compact(keys)
}
